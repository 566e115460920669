// A rail: a titled row or grid of items from one API call, with its latency.

import { Problem, getItem, verge } from "./api.js";
import { announce, card, h, inRegion, nameOf, skeleton, toast } from "./view.js";

const DONE = { view: "viewed", click: "viewed", cart: "added", purchase: "bought" };
const DEGRADED = {
  stale: ["older tables", "The edge could not refresh its snapshot and answers from the last one it has."],
  popular_only: ["popular only", "The tables know none of the items you opened: this is what is popular."],
  static: ["fallback", "No snapshot could be read: this is the fixed list."],
};

/** The answer that led to an item, to attribute its events (view, cart, purchase). */
export const attribution = new Map();

/**
 * Creates a rail and loads it. Options:
 * - `title(answer?)`: the heading, first without, then with the first answer's body;
 * - `load(cursor)`: resolves to what `timed` gives, with a body `{ items, next, region, degraded, source, request }`;
 * - `layout`: "grid", "grid swipe" (a row on phones) or "row"; `placement`: the placement of its clicks;
 * - `reasons`: show the reason for each item; `here`: the id of the item whose page this is;
 * - `silent`: do not announce the items to screen readers;
 * - `badge(item)`: a label on an item's image;
 * - `fail(problem)`: true when the page has dealt with the problem as a whole.
 */
export function rail(options) {
  const heading = h("h2", {}, options.title());
  const facts = h("p", { class: "facts" }, "\u00a0");
  const list = h("ul", { class: options.layout }, Array.from({ length: 12 }, () => skeleton(options.reasons)));
  const section = h("section", { class: "rail", "aria-busy": "true" }, h("header", {}, heading, facts, options.layout === "row" && arrows(list)), list);
  fill(options, { heading, facts, list, section });
  return section;
}

async function fill(options, parts, cursor) {
  const { heading, facts, list, section } = parts;
  try {
    const answer = await options.load(cursor);
    const { items, next } = answer.body;
    const cards = items.map((item) => cardOf(item, answer.body, options));
    const more = next && moreTile(options, parts, next);
    if (cursor) list.lastElementChild.replaceWith(...cards, ...(more ? [more] : []));
    else list.replaceChildren(...cards, ...(more ? [more] : []));
    heading.textContent = options.title(answer.body);
    facts.replaceChildren(...factsOf(answer));
    section.hidden = !cursor && items.length === 0;
    section.removeAttribute("aria-busy");
    if (!options.silent) announce(`${heading.textContent}: ${items.length}${cursor ? " more" : ""} items`);
    if (cursor) cards[0]?.querySelector("a").focus({ preventScroll: true });
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (!(problem instanceof Problem)) throw problem;
    section.removeAttribute("aria-busy");
    if (cursor) toast(`${problem.message}. ${problem.detail}`);
    else if (!options.fail?.(problem)) list.replaceWith(h("p", { class: "empty" }, `${problem.message}. ${problem.detail}`));
  }
}

function cardOf(item, { request, region }, options) {
  return card(item, {
    reason: options.reasons ? reasonOf(item, region, options.here) : null,
    badge: options.badge?.(item),
    onopen() {
      const source = { placement: options.placement, request: request ?? undefined };
      attribution.set(item.id, source);
      verge().track({ kind: "click", item: item.id, ...source });
    },
  });
}

function moreTile(options, parts, next) {
  const button = h("button", { class: "button quiet", type: "button" }, "Load more");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await fill(options, parts, next);
    button.disabled = false;
  });
  return h("li", { class: "more" }, button);
}

/** Scrolls a row by the width that is seen. For the mouse alone: keys reach the cards, fingers swipe. */
function arrows(list) {
  const arrow = (sign, text) =>
    h("button", { type: "button", tabindex: "-1", onclick: () => list.scrollBy({ left: sign * list.clientWidth }) }, text);
  const both = h("span", { class: "arrows", "aria-hidden": "true" }, arrow(-1, "‹"), arrow(1, "›"));
  new ResizeObserver(() => both.classList.toggle("idle", list.scrollWidth <= list.clientWidth)).observe(list);
  return both;
}

/** Why an item is here, by its signal and the item it goes back to, whose name is filled in when known. */
function reasonOf({ signal, because }, region, here) {
  if (!because) return h("span", {}, `${signal === "recency" ? "Trending" : "Popular"} in ${inRegion(region)}`);
  if (because === here) return h("span", {}, signal === "knn" ? "Similar to this one" : "Often seen with this one");
  const kind = verge().recents().find(({ item }) => item === because)?.kind ?? "view";
  const name = h("b", {}, because);
  getItem(because).then((item) => (name.textContent = nameOf(item)), () => {});
  return h("span", {}, signal === "knn" ? "Similar to " : `Because you ${DONE[kind]} `, name);
}

function factsOf({ body: { degraded, source }, took, score }) {
  const [word, meaning] = DEGRADED[degraded] ?? [degraded, ""];
  const scored = score === undefined ? "" : ` · scored in ${score < 0.01 ? "under 1" : Number(score.toPrecision(2))} ms`;
  return [
    source === "browser" && h("span", { class: "degraded", title: "The edge gave no answer: this page scored its own copy of the tables." }, "by this page"),
    degraded && h("span", { class: "degraded", title: meaning }, word),
    h("span", { title: "The round trip as this page measured it, and the edge's own time from its Server-Timing header" },
      `${took < 10 ? took.toFixed(1) : Math.round(took)} ms${scored}`),
  ].filter(Boolean);
}
