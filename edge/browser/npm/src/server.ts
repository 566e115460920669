/**
 * Renders `<verge-recommendations>` on a server: a plain list, which the element adopts in the page.
 * @module
 */
import type { Answer } from "./types.js";
import { link, price } from "./view.js";

/** The options of a list. */
export interface ListOptions {
  heading?: string;
  placement?: string;
  /** The URL of an item's page, with `{id}`. Default: the item's `url`. */
  href?: string;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escape = (text: string) => text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? "");

/** The element with its list as HTML. All text of the answer is escaped. Without scripts it is a list of links. */
export function renderList(answer: Answer, { heading, placement, href }: ListOptions = {}): string {
  const given = Object.entries({ heading, placement, href, "data-request": answer.request });
  const attributes = given.map(([name, value]) => (value ? ` ${name}="${escape(value)}"` : "")).join("");
  const cards = answer.items.map((item) => {
    const address = link(item, href);
    const image = item.image && link({ ...item, url: item.image });
    const picture = image ? `<img src="${escape(image)}" alt="" loading="lazy">` : "";
    const text = `${picture}<b>${escape(item.name || item.id)}</b> <span>${escape(price(item))}</span>`;
    return `<li data-item="${escape(item.id)}"><a${address ? ` href="${escape(address)}"` : ""}>${text}</a></li>`;
  });
  return `<verge-recommendations${attributes}><ul>${cards.join("")}</ul></verge-recommendations>`;
}
