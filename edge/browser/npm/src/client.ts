import { VergeError } from "./errors.js";
import type { Fallback } from "./fallback.js";
import { createQueue, type Queued } from "./queue.js";
import { COOKIE, encode, fromCookies, parse, includesEvent, touch } from "./recents.js";
import { createStore } from "./store.js";
import type { Answer, Event, Item, ListParams, Recent, RecommendParams } from "./types.js";

/** The options of a client. */
export interface ClientOptions {
  /**
   * The URL of the edge without `/v1`: `https://shop.example`, or a path of the page's own site, so that the edge can keep
   * the recents in a first-party cookie. Default: the root of the page's site. `null` means no edge: the page scores from
   * `snapshots`.
   */
  endpoint?: string | null;
  /** The region. Default: that of the visitor's country. */
  region?: string;
  /**
   * Whether the visitor consents to storage in the browser. A function is called each time. Without consent, requests have
   * no cookies, and recents and unsent events are kept in memory only. Default: `true`.
   */
  consent?: boolean | (() => boolean);
  /** How long to wait for the edge before the page scores itself, in ms. Default: 300. */
  deadline?: number;
  /** `false` if the page must not score itself. Default: `true`. */
  fallback?: boolean;
  /**
   * The URL of the directory with `manifest/{region}` and `blob/{hash}`, as written by `verge publish --to dir:PATH`.
   * Default: `{endpoint}/v1/snapshots`.
   */
  snapshots?: string;
  /** The answer if neither the edge nor the page can compute one. */
  items?: Item[];
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
}

/** Requests recommendations and sends events. */
export interface Client {
  /** Recommendations for this visitor. Rejects only if the edge rejects the request ({@link VergeError}) or `signal` aborts. */
  recommend(params?: RecommendParams): Promise<Answer>;
  /** Similar items. Rejects like `recommend`. */
  similar(item: string, params?: ListParams): Promise<Answer>;
  /** The region's popular items. Rejects like `recommend`. */
  popular(params?: ListParams): Promise<Answer>;
  /** An item; undefined if it is unknown or cannot be loaded. */
  item(id: string, signal?: AbortSignal): Promise<Item | undefined>;
  /** Queues events. They are sent soon, retried until accepted, and survive reloads. */
  track(...events: Event[]): void;
  /** Sends the queued events now. Resolves when they are accepted or sending fails. */
  flush(): Promise<void>;
  /** The visitor's latest items, newest first, that the next answer is based on. */
  recents(): Recent[];
  /** Loads what the page needs to score itself. Resolves to whether it can. */
  prepare(): Promise<boolean>;
  /** Removes everything that Verge has stored in this browser. */
  forget(): void;
}

/** Multiple of the deadline after which the client stops waiting for the edge if the page cannot score either. */
const MAX_DEADLINES = 10;

/** Creates a client. It works in pages, workers and on servers, and uses no global of a page before its first call. */
export function createClient(options: ClientOptions = {}): Client {
  const { region, consent = true, deadline = 300, items = [] } = options;
  const endpoint = options.endpoint === null ? null : (options.endpoint ?? "").replace(/\/$/, "");
  const get = options.fetch ?? ((...request: Parameters<typeof fetch>) => fetch(...request));
  const snapshots = options.snapshots ?? `${endpoint}/v1/snapshots`;
  const consents = () => (typeof consent === "function" ? consent() : consent);
  const store = createStore(consents);
  const queue = createQueue(store, send, arrived);
  let fallback: Promise<Fallback> | undefined;
  let opened: string | undefined;

  /** Whether the page can read the edge's cookie. */
  const hasCookie = () =>
    endpoint !== null && consents() && globalThis.document !== undefined &&
    new URL(endpoint, location.href).origin === location.origin;

  function recents(): Recent[] {
    if (!hasCookie()) return parse(store.get("recents") ?? "");
    return queue.pending().reduce((recents, { event, time }) => touch(recents, event, time), cookie());
  }

  const cookie = () => fromCookies(document.cookie);

  function arrived({ event, time }: Queued): boolean {
    return hasCookie() && includesEvent(cookie(), event, time);
  }

  const credentials = (): RequestCredentials => (consents() ? "include" : "omit");

  async function send(body: string): Promise<number> {
    if (endpoint === null) return 204;
    try {
      const headers = { "content-type": "application/json" };
      const signal = AbortSignal.timeout(10_000);
      const init = { method: "POST", headers, body, credentials: credentials(), keepalive: true, signal };
      const response = await get(`${endpoint}/v1/events`, init);
      // An unread body would keep the connection open.
      await response.body?.cancel();
      return response.status;
    } catch {
      return 0;
    }
  }

  async function exchange<T>(path: string, signal: AbortSignal): Promise<T> {
    const response = await get(`${endpoint}/v1/${path}`, { signal, credentials: credentials() });
    const body = await response.json().catch(() => null);
    if (response.ok && body) return body;
    // An error that is not a Verge problem comes from a proxy in front of the edge.
    if (!body?.title) throw new VergeError("Unexpected response", 0, `${response.url} answered ${response.status} without Verge's JSON`);
    throw new VergeError(body.title, response.status, body.detail, body.field);
  }

  /** The scorer in this page. Rejects if it cannot be loaded. */
  async function local(): Promise<Fallback> {
    if (options.fallback === false) throw new VergeError("The edge gave no answer");
    const known = region ?? store.get("region") ?? "world";
    if (known !== opened) fallback = undefined;
    opened = known;
    fallback ??= import("./fallback.js").then(({ open }) => open({ from: snapshots, region: known, keep: consents(), get }));
    fallback.catch(() => (opened = undefined));
    return fallback;
  }

  /** Asks the edge and, after the deadline, the page too. The first answer wins. */
  async function race<T>(path: string, answer: (page: Fallback) => T, signal?: AbortSignal): Promise<T | undefined> {
    signal?.throwIfAborted();
    if (!globalThis.location && endpoint !== null && !/^https?:/.test(endpoint)) {
      throw new VergeError("The edge's URL is unknown outside a page", 0, 'set it: createClient({ endpoint: "https://shop.example" })');
    }
    const giveUp = new AbortController();
    const stop = () => giveUp.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    const timers: ReturnType<typeof setTimeout>[] = [];
    const after = (wait: number) => new Promise<void>((done) => timers.push(setTimeout(done, wait)));
    void after(deadline * MAX_DEADLINES).then(stop);
    const edge = endpoint === null ? Promise.reject() : exchange<T>(path, giveUp.signal);
    try {
      const early = await Promise.race([edge, after(deadline)]);
      if (early) return early;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof VergeError && error.status && error.status < 500 && ![408, 429].includes(error.status)) throw error;
    }
    try {
      return await Promise.any([edge, local().then(answer)]);
    } catch {
      signal?.throwIfAborted();
      return undefined;
    } finally {
      stop();
      timers.forEach(clearTimeout);
      signal?.removeEventListener("abort", stop);
    }
  }

  async function ask(
    path: string,
    { signal, ...params }: RecommendParams,
    answer: (page: Fallback, query: string) => Answer,
  ): Promise<Answer> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ region, ...params })) {
      for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") query.append(name, `${one}`);
    }
    const asked = query.size ? `${path}?${query}` : path;
    const found = await race<Answer>(asked, (page) => answer(page, `${query}`), signal);
    if (!found) {
      const unwanted = [params.item, params.exclude].flat();
      const shown = items.filter(({ id }) => !unwanted.includes(id)).slice(0, params.limit ?? 12);
      const nothing = { next: null, region: region ?? "world", strategy: "static", snapshot: null, request: null };
      return { ...nothing, items: shown, degraded: "static", source: "static" };
    }
    if (!region && !params.region && !found.source && store.get("region") !== found.region) store.set("region", found.region);
    return { ...found, source: found.source ?? "edge" };
  }

  const popular = (params: ListParams = {}) => ask("popular", params, (page, query) => page.popular(query));

  return {
    async recommend(params = {}) {
      // The request names the items on screen. Other events must reach the edge before the answer.
      const shown = [params.item].flat();
      const isCurrent = queue.pending().every(({ event }) => shown.includes(event.item) || event.kind === "impression");
      if (!isCurrent) await Promise.race([queue.flush(), new Promise((done) => setTimeout(done, deadline))]);
      const mine = recents();
      if (!hasCookie()) params = { recents: mine.map(({ item }) => item), ...params };
      return ask("recommendations", params, (page, query) => page.recommend(query, encode(mine)));
    },
    similar: (item, params = {}) =>
      ask(`items/${encodeURIComponent(item)}/similar`, params, (page, query) => page.similar(item, query)),
    popular,
    item: (id, signal) =>
      race<Item | undefined>(`items/${encodeURIComponent(id)}`, (page) => page.item(id), signal).catch((error) => {
        if (error instanceof VergeError && error.status === 404) return undefined;
        throw error;
      }),
    track(...events) {
      for (const event of events) {
        if (!hasCookie()) store.set("recents", encode(touch(recents(), event, Date.now())));
        if (endpoint !== null) queue.add(event);
      }
    },
    flush: queue.flush,
    recents,
    async prepare() {
      try {
        // The first answer of the edge contains the visitor's region.
        if (!region && endpoint !== null && !store.get("region")) await popular({ limit: 1 });
        await (await local()).refresh();
        return true;
      } catch {
        return false;
      }
    },
    forget() {
      queue.clear();
      store.remove("recents");
      store.remove("region");
      for (const name of hasCookie() ? [COOKIE, "verge_visitor"] : []) {
        document.cookie = `${name}=; Max-Age=0; Path=/; Secure; SameSite=Lax`;
      }
    },
  };
}
