import { VergeError } from "./errors.js";
import type { Fallback } from "./fallback.js";
import { createQueue, type Queued } from "./queue.js";
import { COOKIE, encode, parse, tells, touch } from "./recents.js";
import { createStore } from "./store.js";
import type { Answer, Event, Item, ListParams, Recent, RecommendParams } from "./types.js";

/** How a client is made. */
export interface ClientOptions {
  /**
   * Where the edge answers, without `/v1`: `https://shop.example`, or a path of the page's own site, which is best, as
   * the edge then keeps the recents in a first-party cookie; that is what is meant where it is left out. `null` asks
   * no edge at all: the page answers, from `snapshots`.
   */
  endpoint?: string | null;
  /** The region to answer for; where it is left out, the edge goes by the visitor's country. */
  region?: string;
  /**
   * Whether the visitor agreed to anything being kept in the browser; asked each time where it is a function. Without
   * consent requests carry no cookies, and recents and unsent events live as long as the page. `true` where it is left out.
   */
  consent?: boolean | (() => boolean);
  /** How long an answer of the edge is waited for before the page looks for one of its own, in ms; 300 where it is left out. */
  deadline?: number;
  /** `false` if the page never answers by itself. */
  fallback?: boolean;
  /**
   * Where `manifest/{region}` and `blob/{hash}` are, as `verge publish --to DIRECTORY` writes them;
   * `{endpoint}/v1/snapshots` where it is left out.
   */
  snapshots?: string;
  /** What to show where neither the edge nor the page can answer. */
  items?: Item[];
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** Asks for recommendations, and tells what the visitor did. */
export interface Client {
  /** Items for this visitor. Rejects only for what the edge refuses ({@link VergeError}), and if `signal` aborts. */
  recommend(params?: RecommendParams): Promise<Answer>;
  /** Items like this one. Rejects as `recommend` does. */
  similar(item: string, params?: ListParams): Promise<Answer>;
  /** What the region wants. Rejects as `recommend` does. */
  popular(params?: ListParams): Promise<Answer>;
  /** One item; undefined where there is none with this id, or nobody knows. */
  item(id: string, signal?: AbortSignal): Promise<Item | undefined>;
  /** Takes note of what the visitor did. It is sent soon, again until it is taken, and kept over reloads. */
  track(...events: Event[]): void;
  /** Sends what was tracked now; resolves when it was taken, or could not be. */
  flush(): Promise<void>;
  /** The visitor's latest items, newest first, as the next answer will go by. */
  recents(): Recent[];
  /** Fetches what the page needs to answer by itself, ahead of need; whether it has it now. */
  prepare(): Promise<boolean>;
  /** Removes everything that Verge keeps in this browser. */
  forget(): void;
}

/** How much longer than the deadline the edge is waited for where the page has no answer either. */
const PATIENCE = 10;

/** Makes a client. It touches no global of a page before it is used, and works in pages, workers and on servers. */
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

  /** Whether the edge's cookie is the page's too. */
  const hasCookie = () =>
    endpoint !== null && consents() && globalThis.document !== undefined &&
    new URL(endpoint, location.href).origin === location.origin;

  function recents(): Recent[] {
    if (!hasCookie()) return parse(store.get("recents") ?? "");
    return queue.pending().reduce((recents, { event, time }) => touch(recents, event, time), cookie());
  }

  function cookie(): Recent[] {
    const pair = document.cookie.split("; ").find((pair) => pair.startsWith(`${COOKIE}=`));
    return parse(pair?.slice(COOKIE.length + 1) ?? "");
  }

  function arrived({ event, time }: Queued): boolean {
    return hasCookie() && tells(cookie(), event, time);
  }

  const credentials = (): RequestCredentials => (consents() ? "include" : "omit");

  async function send(body: string): Promise<number> {
    if (endpoint === null) return 204;
    try {
      const headers = { "content-type": "application/json" };
      const signal = AbortSignal.timeout(10_000);
      const init = { method: "POST", headers, body, credentials: credentials(), keepalive: true, signal };
      const response = await get(`${endpoint}/v1/events`, init);
      // A body that nobody reads keeps the request open.
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
    // What is no problem of the edge's own comes from something before it, and is no answer.
    if (!body?.title) throw new VergeError("The answer makes no sense", 0, `${response.url} answered ${response.status}, and no JSON of Verge's`);
    throw new VergeError(body.title, response.status, body.detail, body.field);
  }

  /** What this page answers by itself; rejects where it cannot. */
  async function local(): Promise<Fallback> {
    if (options.fallback === false) throw new VergeError("The edge gave no answer");
    const known = region ?? store.get("region") ?? "world";
    if (known !== opened) fallback = undefined;
    opened = known;
    fallback ??= import("./fallback.js").then(({ open }) => open({ from: snapshots, region: known, keep: consents(), get }));
    fallback.catch(() => (opened = undefined));
    return fallback;
  }

  /** Asks the edge, and the page too once the edge is late; the first answer wins. */
  async function race<T>(path: string, answer: (page: Fallback) => T, signal?: AbortSignal): Promise<T | undefined> {
    signal?.throwIfAborted();
    if (!globalThis.location && endpoint !== null && !/^https?:/.test(endpoint)) {
      throw new VergeError("There is no page to take the edge's address from", 0, 'name it: createClient({ endpoint: "https://shop.example" })');
    }
    const giveUp = new AbortController();
    const stop = () => giveUp.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    const timers: ReturnType<typeof setTimeout>[] = [];
    const after = (wait: number) => new Promise<void>((done) => timers.push(setTimeout(done, wait)));
    void after(deadline * PATIENCE).then(stop);
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
      // What is on screen leads by itself; of anything else that was just tracked the edge has to be told first.
      const shown = [params.item].flat();
      const told = queue.pending().every(({ event }) => shown.includes(event.item) || event.kind === "impression");
      if (!told) await Promise.race([queue.flush(), new Promise((done) => setTimeout(done, deadline))]);
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
        // The edge tells the visitor's region with its first answer.
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
