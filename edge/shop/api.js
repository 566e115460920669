// Verge as this storefront uses it: one client for the region of the page's address, and how long answers took.

import { VergeError, createClient } from "./verge/index.js";

/** A request that gave no answer. */
export { VergeError as Problem } from "./verge/index.js";

/** The region asked for in the page's own address, or "" to let the edge choose by the visitor's country. */
export const region = () => new URLSearchParams(location.search).get("region") ?? "";

/** Whether the switch "edge down" is on: then every call of the API fails, as if there was no edge. */
let down = false;
export const setDown = (is) => (down = is);
export const isDown = () => down;

const clients = new Map();

/** The client of the page's region. */
export function verge() {
  const chosen = region();
  if (!clients.has(chosen)) {
    const refuse = () => Promise.reject(new TypeError("The edge is switched off."));
    const isCall = (url) => new URL(url, location).pathname.startsWith("/v1/");
    clients.set(chosen, createClient({
      ...(chosen && { region: chosen }),
      fetch: (url, options) => (down && isCall(url) ? refuse() : fetch(url, options)),
    }));
  }
  return clients.get(chosen);
}

/**
 * An answer with the time that it took: `{ body, took, score }`, the whole round trip in ms, and the edge's own scoring
 * time in ms where its Server-Timing header has one. Rejects where there is no answer but a fixed list: this shop has none.
 */
export async function timed(asked) {
  const started = performance.now();
  const body = await asked;
  const took = performance.now() - started;
  if (body.source === "static") throw await whyNot();
  for (const item of body.items) items.set(item.id, Promise.resolve(item));
  return { body, took, score: body.source === "edge" ? scoreTime() : undefined };
}

/** What the API says is wrong, or that it cannot be reached. */
async function whyNot() {
  const response = down ? null : await fetch("/v1/popular?limit=1").catch(() => null);
  const problem = response?.ok === false ? await response.json().catch(() => null) : null;
  if (problem) return new VergeError(problem.title, response.status, problem.detail);
  return new VergeError("The shop cannot be reached", 0, "Check your connection, then try again.");
}

/** The metric `score` of the newest answer of the API, in ms; undefined where there is none. */
function scoreTime() {
  const answers = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/v1/"));
  return answers.at(-1)?.serverTiming?.find(({ name }) => name === "score")?.duration;
}

const items = new Map();

/** One item's attributes, asked for once a page load. Rejects with a Problem: status 404 for an unknown item. */
export function getItem(id) {
  if (!items.has(id)) {
    const unknown = () => new VergeError("Unknown item", 404, "The shop knows no item with this id.");
    const asked = verge().item(id).then(async (item) => item ?? Promise.reject(await reachable() ? unknown() : await whyNot()));
    items.set(id, asked);
    asked.catch(() => items.delete(id));
  }
  return items.get(id);
}

const reachable = () => verge().popular({ limit: 1 }).then(({ source }) => source !== "static");
