// A client of Verge for a storefront's server. It sends requests on behalf of the visitor.

// The headers that Verge needs. No others are forwarded.
const HEADERS = ["cookie", "sec-gpc", "cf-ipcountry", "cf-connecting-ip", "user-agent", "sec-ch-ua-mobile"];
const PATIENCE_MS = 300;

/**
 * Sends a view of `item` ("" on pages without one) and requests recommendations for its page.
 *
 * `send(path, init)` sends a request to Verge, as `fetch` does. `headers` are those of the visitor's request, and
 * `query` holds more parameters of GET /v1/recommendations. `key` is the Worker's EVENTS_KEY, for a server whose visitors
 * would otherwise share its address and its country. Resolves to `items`, none where Verge does not answer, and
 * `cookies`: values for Set-Cookie headers of the page, without which the visitor is a new one on the next.
 */
export async function recommend(send, headers, item, query = {}, key = "") {
  const visitor = new Headers();
  for (const name of HEADERS) {
    const value = headers.get(name);
    if (value) visitor.set(name, value);
  }
  const ask = (path, init) => send(path, { headers: visitor, signal: AbortSignal.timeout(PATIENCE_MS), ...init });
  const shown = item ? { placement: "product", item } : { placement: "home" };
  const view = { kind: "view", item, ...(key && query.region && { region: query.region }) };
  const sender = new Headers(visitor);
  if (key) sender.set("authorization", `Bearer ${key}`);
  const [answer, told] = await Promise.allSettled([
    ask(`/v1/recommendations?${new URLSearchParams({ ...shown, ...query })}`).then((response) => response.json()),
    item && ask("/v1/events", { method: "POST", body: JSON.stringify(view), headers: sender }),
  ]);
  return { items: answer.value?.items ?? [], cookies: told.value?.headers?.getSetCookie() ?? [] };
}

/** The page: a list of links. */
export function page(items) {
  const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  const link = ({ id, name }) => `<li><a href="/items/${encodeURIComponent(id)}">${escaped(name ?? id)}</a></li>`;
  return `<!doctype html><title>Shop</title><ul>${items.map(link).join("")}</ul>`;
}

/** The item that an address of the shop shows; "" for all others. */
export function itemOf(path) {
  const [, encoded = ""] = /^\/items\/([^/]+)$/.exec(path) ?? [];
  try {
    return decodeURIComponent(encoded);
  } catch {
    return "";
  }
}
