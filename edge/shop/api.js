// Verge's API as the storefront needs it: answers with the time they took, items by id, events in order.

/** A request that gave no answer: what the API's problem+json says, or that nothing was reached (status 0). */
export class Problem extends Error {
  constructor({ status = 0, title = "The request failed", detail = "" }) {
    super(title);
    this.status = status;
    this.detail = detail;
  }
}

/** The region asked for in the page's own address, or "" to let the edge choose by the visitor's country. */
export const region = () => new URLSearchParams(location.search).get("region") ?? "";

/**
 * GETs `path` with the query `params` (empty values are left out) and the region switch's choice.
 * Resolves to `{ body, took, score }`: the JSON, the whole round trip in ms, and the edge's own scoring time
 * in ms where its Server-Timing header has one. Rejects with a Problem, or an AbortError by `signal`.
 */
export async function get(path, params = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...params, region: region() })) {
    if (value) query.set(name, value);
  }
  const started = performance.now();
  const { response, body } = await exchange(query.size ? `${path}?${query}` : path, { signal });
  const took = performance.now() - started;
  for (const item of body.items ?? []) items.set(item.id, Promise.resolve(item));
  return { body, took, score: scoreTime(response.headers.get("server-timing")) };
}

const items = new Map();

/** One item's attributes, asked for once a page load. Rejects with a Problem: status 404 for an unknown item. */
export function getItem(id) {
  if (!items.has(id)) {
    const asked = get(`/v1/items/${encodeURIComponent(id)}`).then(({ body }) => body);
    items.set(id, asked);
    asked.catch(() => items.delete(id));
  }
  return items.get(id);
}

let queue = Promise.resolve();

/**
 * Sends one event. Events go one after another, since each answer rewrites the cookie that the next one
 * carries. Resolves when the cookie is written; rejects with a Problem.
 */
export function send(event) {
  const sent = queue.then(() =>
    exchange("/v1/events", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(event),
      keepalive: true,
    }),
  );
  queue = sent.catch(() => {});
  return sent;
}

/** Resolves when every event sent so far is answered, so that the cookie is up to date. */
export const settled = () => queue;

async function exchange(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The shop cannot be reached", detail: "Check your connection, then try again." });
  }
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    throw new Problem({
      status: response.status,
      title: body?.title ?? "The shop gave an answer that makes no sense",
      detail: body?.detail ?? `${new URL(url, location).pathname} answered ${response.status} without JSON.`,
    });
  }
  return { response, body };
}

/** The `dur` of the metric `score` in a Server-Timing header, in ms; undefined where there is none. */
export function scoreTime(header) {
  const metric = header?.split(",").find((part) => part.trim().split(";")[0] === "score");
  const duration = metric && /;\s*dur="?([\d.]+)/.exec(metric);
  return duration ? Number(duration[1]) : undefined;
}
