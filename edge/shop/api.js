// The storefront's Verge client, for the region in the page's URL, with the latency of answers.

import { VergeError, createClient } from "./verge/index.js";

/** A failed request. */
export { VergeError as Problem } from "./verge/index.js";

/** The region in the page's URL, or "" for that of the visitor's country. */
export const region = () => new URLSearchParams(location.search).get("region") ?? "";

/** Whether "Edge down" is on: every API call fails then. */
let down = false;
export const setDown = (is) => (down = is);
export const isDown = () => down;

const clients = new Map();

/** The client for the page's region. */
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
 * An answer with its latency: `{ body, took, score }`, the round trip in ms, and the edge's scoring time in ms if its
 * Server-Timing header has it. Rejects a static answer, since this shop has no fixed list.
 */
export async function timed(asked) {
  const started = performance.now();
  const body = await asked;
  const took = performance.now() - started;
  if (body.source === "static") throw await whyNot();
  for (const item of body.items) items.set(item.id, Promise.resolve(item));
  return { body, took, score: body.source === "edge" ? scoreTime() : undefined };
}

/** The API's error, or one that says that it cannot be reached. */
async function whyNot() {
  const response = down ? null : await fetch("/v1/popular?limit=1").catch(() => null);
  const problem = response?.ok === false ? await response.json().catch(() => null) : null;
  if (problem) return new VergeError(problem.title, response.status, problem.detail);
  return new VergeError("The shop cannot be reached", 0, "Check your connection, then try again.");
}

/** The metric `score` of the newest API answer, in ms; undefined if absent. */
function scoreTime() {
  const answers = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/v1/"));
  return answers.at(-1)?.serverTiming?.find(({ name }) => name === "score")?.duration;
}

const items = new Map();

/** An item's attributes, cached until the page reloads. Rejects with a Problem: status 404 for an unknown item. */
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
