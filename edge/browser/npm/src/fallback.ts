import type { Answer, Item } from "./types.js";
import init, { Scorer } from "./scorer.js";
import { device, visitor } from "./visitor.js";

/** The scorer in the page. Gives the same answers as the edge from the same snapshot. */
export interface Fallback {
  recommend(query: string, recents: string): Answer;
  similar(id: string, query: string): Answer;
  popular(query: string): Answer;
  item(id: string): Item | undefined;
  /** Loads a newer snapshot, if there is one. */
  refresh(): Promise<void>;
}

/** The source of the snapshot. */
export interface Source {
  /** The URL of the directory with `manifest/{region}` and `blob/{hash}`. */
  from: string;
  region: string;
  /** Whether Cache Storage may be used. */
  keep: boolean;
  get: typeof fetch;
}

interface Blob {
  hash: string;
  bytes: number;
  rows?: unknown;
}

interface Manifest {
  region: string;
  version: string;
  built_at: string;
  blobs?: Blob[];
  lite?: Blob;
}

const CACHE = "verge";
/** How long a manifest is assumed to be the newest, in ms. */
const FRESH_MS = 60_000;

/** Cache Storage; undefined if it is denied or missing. */
async function cache(keep: boolean): Promise<Cache | undefined> {
  try {
    return keep ? await globalThis.caches?.open(CACHE) : undefined;
  } catch {
    return undefined;
  }
}

/** Fetches a URL, from the cache first or as a fallback. */
async function fetched({ get, keep }: Source, url: string, cachedFirst: boolean): Promise<Response> {
  const kept = await cache(keep);
  const cached = () => kept?.match(url).catch(() => undefined);
  const found = cachedFirst && (await cached());
  if (found) return found;
  try {
    const response = await get(url, { credentials: "omit" });
    if (!response.ok) {
      // An unread body would keep the connection open.
      await response.body?.cancel();
      throw new Error(`${url} answered ${response.status}`);
    }
    await kept?.put(url, response.clone()).catch(() => {});
    return response;
  } catch (error) {
    const old = await cached();
    if (old) return old;
    throw error;
  }
}

/** Opens the scorer and the region's snapshot. Rejects if either cannot be loaded. */
export async function open(source: Source): Promise<Fallback> {
  const at = (key: string) => `${source.from}/${key}`;
  let scorer: Scorer;
  let manifest: Manifest;
  let looked = 0;
  // A new release may have another program at the same URL, so do not read it from the cache first.
  const program = fetched(source, new URL("scorer_bg.wasm", import.meta.url).href, false).then((response) =>
    init({ module_or_path: response }),
  );

  async function load(cached: boolean): Promise<void> {
    const found: Manifest = await (await fetched(source, at(`manifest/${source.region}`), cached)).json();
    if (!cached) looked = Date.now();
    if (found.version === manifest?.version) return;
    // Sharded tables are too large for a page.
    const blobs = found.lite ? [found.lite] : (found.blobs ?? []).filter(({ rows }) => !rows);
    const bytes = await Promise.all(
      blobs.map(async ({ hash }) => new Uint8Array(await (await fetched(source, at(`blob/${hash}`), true)).arrayBuffer())),
    );
    const whole = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
    bytes.reduce((place, part) => (whole.set(part, place), place + part.length), 0);
    await program;
    try {
      const opened = new Scorer(whole, Uint32Array.from(bytes, ({ length }) => length));
      scorer?.free();
      [scorer, manifest] = [opened, found];
    } catch (error) {
      await drop(({ url }) => blobs.some(({ hash }) => url.endsWith(hash)));
      throw error;
    }
    await drop(({ url }) => /blob\/[^/]*$/.test(url) && !blobs.some(({ hash }) => url.endsWith(hash)));
  }

  async function drop(unwanted: (request: Request) => boolean): Promise<void> {
    const kept = await cache(source.keep);
    const old = ((await kept?.keys()) ?? []).filter(unwanted);
    await Promise.all(old.map((request) => kept?.delete(request)));
  }

  await Promise.all([program, load(true).catch(() => load(false))]);

  const refresh = () => load(false);

  function tell(): Scorer {
    scorer.tell(visitor(), device());
    return scorer;
  }

  function answer(json: string): Answer {
    const found: Answer & { field?: string; detail?: string } = JSON.parse(json);
    if (found.detail) throw new Error(`${found.field}: ${found.detail}`);
    // Refresh in the background.
    if (Date.now() - looked > FRESH_MS) {
      looked = Date.now();
      void refresh().catch(() => {});
    }
    const { region, version, built_at } = manifest;
    const age_s = Math.max(0, Math.floor((Date.now() - Date.parse(built_at)) / 1000));
    return { ...found, region, snapshot: { version, built_at, age_s }, request: null, source: "browser" };
  }

  return {
    recommend: (query, recents) => answer(tell().recommend(query, recents, Date.now())),
    similar: (id, query) => answer(scorer.similar(id, query, Date.now())),
    popular: (query) => answer(scorer.popular(query, Date.now())),
    item: (id) => JSON.parse(scorer.item(id, Date.now())) ?? undefined,
    refresh,
  };
}
