import type { Store } from "./store.js";
import type { Event } from "./types.js";

/** An event that is not delivered yet. */
export interface Queued {
  /** Where it is kept; later events have later keys. */
  key: string;
  /** When it happened, in ms by this device's clock. */
  time: number;
  event: Event;
}

/** Events on their way to the edge. */
export interface Queue {
  add(event: Event): void;
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
/** An event says when it happened only if that was so long ago: the edge's clock is better than the device's. */
const TELL_TIME_MS = 60_000;

/** Whether trying again makes no sense. */
const isFinal = (status: number) => status > 0 && status < 500 && status !== 408 && status !== 429;

const random = () => crypto.getRandomValues(new Uint32Array(2)).join("-");

/** `send` posts a body and gives the HTTP status, 0 for no answer. Each event has a key of its own, so that tabs share a queue. */
export function createQueue(store: Store, send: (body: string) => Promise<number>): Queue {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending: Promise<void> | undefined;
  let underWay: Queued[] = [];
  let failures = 0;
  let count = 0;

  function pending(): Queued[] {
    return store.keys(KEY).flatMap((key) => {
      try {
        const { time, event } = JSON.parse(store.get(key) ?? "") as Queued;
        if (Date.now() - time < MAX_AGE_MS) return [{ key, time, event }];
      } catch {
        // Another hand wrote it.
      }
      store.remove(key);
      return [];
    });
  }

  const drop = (events: Queued[]) => events.forEach(({ key }) => store.remove(key));

  function post(events: Queued[]): Promise<number> {
    const told = (time: number) => (Date.now() - time < TELL_TIME_MS ? {} : { at: new Date(time).toISOString() });
    return send(JSON.stringify(events.map(({ time, event }) => ({ ...event, ...told(time) }))));
  }

  async function sendAll(): Promise<void> {
    for (;;) {
      underWay = pending().slice(0, BATCH);
      if (!underWay.length) return;
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
    timer = undefined;
    sending ??= sendAlone().finally(() => (sending = undefined));
    return sending;
  }

  function schedule(wait: number): void {
    timer ??= setTimeout(() => void flush(), wait);
    // A server may end while the edge is down.
    (timer as { unref?: () => void }).unref?.();
  }

  /** The page goes: what the edge is well enough to take is sent without waiting for the answer. */
  function leave(): void {
    if (failures || navigator.onLine === false) return;
    const events = pending();
    const unsent = events.filter(({ key }) => !underWay.some((sent) => sent.key === key)).slice(0, BATCH);
    if (unsent.length) void post(unsent);
    drop([...underWay, ...unsent]);
  }

  globalThis.addEventListener?.("pagehide", leave);
  globalThis.addEventListener?.("online", () => void flush());
  if (pending().length) schedule(0);

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
    clear: () => drop(pending()),
  };
}
