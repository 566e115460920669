// Elements, names, prices, cards and messages. Text from the API is only inserted as text, never as HTML.

import { picture } from "./art.js";

/** An element with attributes, `on…` listeners and children (elements or text; null and false are left out). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);
export const itemAddress = (id) => `#/item/${encodeURIComponent(id)}`;

/** Says what changed on the page to those who hear it rather than see it. */
export function announce(text) {
  byId("spoken").textContent = text;
}

/** Shows a message for a few seconds to everybody. */
export function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => element.classList.remove("shown"), 5000);
}

/** The item's name for people: logs write many in capitals, and some have none at all. */
export function nameOf(item) {
  const name = item.name?.trim();
  if (name) return name === name.toUpperCase() ? sentence(name.toLowerCase()) : name;
  const described = [item.brand && sentence(item.brand), categoryPath(item).at(-1)?.toLowerCase()].filter(Boolean);
  return described.length ? sentence(described.join(" ")) : `Item ${item.id}`;
}

/** `Electronics > Audio` or `electronics.audio.head_phone` as its parts: `["Electronics", "Audio", "Head phone"]`. */
export function categoryPath(item) {
  const path = item.category ?? "";
  const parts = path.split(/[>\s]/.test(path) ? /\s*>\s*/ : ".").filter(Boolean);
  return parts.map((part) => sentence(part.replaceAll("_", " ")));
}

/** Whether nothing but the id is known. */
const isBare = (item) => !item.name && !item.brand && !item.category;

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What a drawing of the item carries. */
export function initialsOf(item) {
  if (isBare(item)) return item.id.slice(-2).toUpperCase();
  const words = nameOf(item).match(/[\p{L}\p{N}]+/gu) ?? ["?"];
  return words.slice(0, 2).map((word) => word[0].toUpperCase()).join("");
}

/** The price with its currency, or null where the item has none. */
export function priceOf({ price, currency }) {
  if (typeof price !== "number") return null;
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).format(price);
  } catch {
    return `${price.toFixed(2)} ${currency ?? ""}`.trim();
  }
}

const COUNTRIES = new Intl.DisplayNames("en", { type: "region", fallback: "code" });

/** A region's name: a country's for two letters, else the code itself. */
export function regionName(code) {
  if (!/^[a-z]{2}$/i.test(code)) return sentence(code);
  return COUNTRIES.of(code.toUpperCase());
}

/** A region's name after "in": `the United Kingdom`, `France`, `the world`. */
export const inRegion = (code) => (code === "world" ? "the world" : regionName(code).replace(/^(?=United|Netherlands)/, "the "));

/** The picture of an item, as large as the box it is put into. */
export const pictureOf = (item) => h("span", { class: "frame" }, picture(item, initialsOf(item)));

/**
 * A card that leads to the item's page. `reason` is an element or null; without one, no room is kept for it.
 * `onopen` is called as the visitor follows the link.
 */
export function card(item, { reason = null, badge = null, onopen = () => {} } = {}) {
  const kind = [item.brand && sentence(item.brand), categoryPath(item).at(-1)].filter(Boolean).join(" · ");
  return h("li", { class: "card" },
    h("a", { href: itemAddress(item.id), onclick: onopen },
      h("span", { class: "card-art" }, pictureOf(item), badge && h("span", { class: "badge" }, badge)),
      h("span", { class: "card-name" }, nameOf(item)),
      h("span", { class: "card-line" },
        h("span", { class: "price" }, priceOf(item) ?? "\u00a0"),
        h("span", { class: "kicker" }, item.name ? kind : isBare(item) ? "" : item.id)),
      reason && h("span", { class: "reason" }, reason)));
}

/** A card's shape while its item is on the way. */
export function skeleton(withReason) {
  const line = (kind) => h("span", { class: kind }, h("span", { class: "bone" }));
  return h("li", { class: "card waiting", "aria-hidden": "true" },
    h("span", { class: "card-art bone" }), line("card-name"), line("card-line"), withReason && line("reason"));
}

/** The error page; explains how to publish tables if the server has none. */
export function problemNotice(problem, retry) {
  const noTables = problem.status === 503;
  return h("section", { class: "notice", role: "alert" },
    h("h1", { tabindex: "-1" }, problem.message),
    problem.detail && h("p", {}, problem.detail),
    noTables && h("p", {}, "On your own machine, one command imports a log, learns the tables and publishes them:"),
    noTables && h("pre", { class: "command" }, "cargo xtask demo"),
    h("p", { class: "actions" },
      h("button", { class: "button", type: "button", onclick: retry }, "Try again"),
      problem.status === 404 && h("a", { class: "button quiet", href: "#/" }, "Back to the shop")));
}
