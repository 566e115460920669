import type { Store } from "./store.js";
import type { Event } from "./types.js";

/** An event that is not delivered yet. */
export interface Queued {
  /** Where it is kept; later events have later keys. */
  key: string;
  /** When it happened, in ms by this device's clock. */
  time: number;
  event: Event;
  /** When it was sent by a page that went without hearing whether it arrived, in ms. */
  left?: number;
}

/** Events on their way to the edge. */
export interface Queue {
  add(event: Event): void;
  /** What was not sent yet. */
  pending(): Queued[];
  /** Sends what is pending; resolves when it was delivered, or could not be. */
  flush(): Promise<void>;
  clear(): void;
}

const KEY = "event:";
const MAX_EVENTS = 100;
const BATCH = 25;
/** What happened longer ago the edge refuses. */
const MAX_AGE_MS = 30 * 86_400_000;
const MAX_WAIT_MS = 60_000;
const SETTLE_MS = 50;
/** How long what was sent by a page that went may take, before it is looked for. */
const ARRIVE_MS = 3_000;
/** An event says when it happened only if that was so long ago: the edge's clock is better than the device's. */
const TELL_TIME_MS = 60_000;

/** Whether trying again makes no sense. */
const isFinal = (status: number) => status > 0 && status < 500 && status !== 408 && status !== 429;

const random = () => crypto.getRandomValues(new Uint32Array(2)).join("-");

/**
 * `send` posts a body and gives the HTTP status, 0 for no answer; `arrived` tells of events which the edge shows to have.
 * Each event has a key of its own, so that tabs share a queue.
 */
export function createQueue(
  store: Store,
  send: (body: string) => Promise<number>,
  arrived: (event: Queued) => boolean,
): Queue {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = Infinity;
  let sending: Promise<void> | undefined;
  let underWay: Queued[] = [];
  let failures = 0;
  let count = 0;

  function all(): Queued[] {
    return store.keys(KEY).flatMap((key) => {
      try {
        const kept = JSON.parse(store.get(key) ?? "") as Queued;
        if (Date.now() - kept.time < MAX_AGE_MS) return [{ ...kept, key }];
      } catch {
        // Another hand wrote it.
      }
      store.remove(key);
      return [];
    });
  }

  const pending = () => all().filter(({ left }) => !left);
  const drop = (events: Queued[]) => events.forEach(({ key }) => store.remove(key));

  function post(events: Queued[]): Promise<number> {
    const told = (time: number) => (Date.now() - time < TELL_TIME_MS ? {} : { at: new Date(time).toISOString() });
    return send(JSON.stringify(events.map(({ time, event }) => ({ ...event, ...told(time) }))));
  }

  async function sendAll(): Promise<void> {
    for (;;) {
      const late = all().filter(({ left = 0 }) => Date.now() - left >= ARRIVE_MS);
      drop(late.filter((event) => event.left && arrived(event)));
      underWay = late.filter(({ key }) => store.get(key)).slice(0, BATCH);
      if (!underWay.length) return all().length ? schedule(ARRIVE_MS) : undefined;
      const status = await post(underWay);
      if (!isFinal(status)) {
        underWay = [];
        schedule(Math.min(2 ** failures++ * 1000, MAX_WAIT_MS) * (0.5 + Math.random()));
        return;
      }
      failures = 0;
      drop(underWay);
    }
  }

  /** One tab sends at a time: two would tell the edge of an event twice. */
  async function sendAlone(): Promise<void> {
    try {
      const { locks } = navigator;
      const send = (lock: Lock | null) => lock && sendAll().then(() => true);
      if (await locks.request("verge", { ifAvailable: true }, send)) return;
      // What another tab has just removed is seen here a moment later.
      await locks.request("verge", () => new Promise((done) => setTimeout(done, SETTLE_MS)).then(sendAll));
    } catch {
      // There are no locks here: servers, insecure pages, browsers that deny storage.
      await sendAll();
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    due = Infinity;
    sending ??= sendAlone().finally(() => (sending = undefined));
    return sending;
  }

  function schedule(wait: number): void {
    if (Date.now() + wait >= due) return;
    due = Date.now() + wait;
    clearTimeout(timer);
    timer = setTimeout(() => void flush(), wait);
    // A server may end while the edge is down.
    (timer as { unref?: () => void }).unref?.();
  }

  /** The page goes, and will not hear the answers: what the edge is well enough to take is sent, and kept until it shows to have it. */
  function leave(): void {
    if (failures || navigator.onLine === false) return;
    const unsent = pending().filter(({ key }) => !underWay.some((sent) => sent.key === key)).slice(0, BATCH);
    if (unsent.length) void post(unsent);
    for (const { key, ...event } of [...underWay, ...unsent]) store.set(key, JSON.stringify({ ...event, left: Date.now() }));
    // It may come back from the browser's cache.
    schedule(ARRIVE_MS);
  }

  globalThis.addEventListener?.("pagehide", leave);
  globalThis.addEventListener?.("online", () => void flush());
  if (all().length) schedule(0);

  return {
    add(event) {
      const time = Date.now();
      const id = random();
      const kept = store.keys(KEY);
      kept.slice(0, Math.max(0, kept.length - MAX_EVENTS + 1)).forEach(store.remove);
      const place = (count++).toString(36).padStart(4, "0");
      store.set(`${KEY}${time.toString(36)}-${place}-${id}`, JSON.stringify({ time, event: { id, ...event } }));
      if (!failures) schedule(0);
    },
    pending,
    flush,
    clear: () => drop(all()),
  };
}
