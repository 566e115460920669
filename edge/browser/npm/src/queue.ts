import type { Store } from "./store.js";
import type { Event } from "./types.js";

/** An event that the edge has not accepted yet. */
export interface Queued {
  /** The storage key. Keys sort by time. */
  key: string;
  /** The time of the event by this device's clock, in ms. */
  time: number;
  event: Event;
  /** When an unloading page sent it without receiving the response, in ms. */
  left?: number;
}

/** The queue of events for the edge. */
export interface Queue {
  add(event: Event): void;
  /** The events not sent yet. */
  pending(): Queued[];
  /** Sends the pending events. Resolves when they are accepted or sending fails. */
  flush(): Promise<void>;
  clear(): void;
}

const KEY = "event:";
const MAX_EVENTS = 100;
const BATCH = 25;
/** The edge rejects older events. */
const MAX_AGE_MS = 30 * 86_400_000;
const MAX_WAIT_MS = 60_000;
const SETTLE_MS = 50;
/** How long to wait before checking whether the events of an unloaded page have arrived. */
const ARRIVE_MS = 3_000;
/** Only older events carry their time, and when they are sent, so that the edge can correct the device's clock. */
const SEND_TIME_AFTER_MS = 60_000;

/** Whether a retry is pointless. */
const isFinal = (status: number) => status > 0 && status < 500 && status !== 408 && status !== 429;

const random = () => crypto.getRandomValues(new Uint32Array(2)).join("-");

/**
 * Creates a queue. `send` posts a body and returns the HTTP status, 0 without a response. `arrived` returns whether the edge's
 * cookie shows that it has the event. Each event has its own storage key, so that tabs share the queue.
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
        // Not written by this client.
      }
      store.remove(key);
      return [];
    });
  }

  const pending = () => all().filter(({ left }) => !left);
  const drop = (events: Queued[]) => events.forEach(({ key }) => store.remove(key));

  function post(events: Queued[]): Promise<number> {
    const now = Date.now();
    const iso = (time: number) => new Date(time).toISOString();
    const atOf = (time: number) => (now - time < SEND_TIME_AFTER_MS ? {} : { at: iso(time), sentAt: iso(now) });
    return send(JSON.stringify(events.map(({ time, event }) => ({ ...event, ...atOf(time) }))));
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

  /** Only one tab sends at a time, so that no event is sent twice. */
  async function sendAlone(): Promise<void> {
    try {
      const { locks } = navigator;
      const send = (lock: Lock | null) => lock && sendAll().then(() => true);
      if (await locks.request("verge", { ifAvailable: true }, send)) return;
      // Removals by another tab become visible with a delay.
      await locks.request("verge", () => new Promise((done) => setTimeout(done, SETTLE_MS)).then(sendAll));
    } catch {
      // No locks on servers, in insecure pages, and in browsers that deny storage.
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
    // Do not keep a server process alive.
    (timer as { unref?: () => void }).unref?.();
  }

  /** The page unloads and cannot receive responses: send the events, and keep them until the cookie shows that they arrived. */
  function leave(): void {
    if (failures || navigator.onLine === false) return;
    const unsent = pending().filter(({ key }) => !underWay.some((sent) => sent.key === key)).slice(0, BATCH);
    if (unsent.length) void post(unsent);
    for (const { key, ...event } of [...underWay, ...unsent]) store.set(key, JSON.stringify({ ...event, left: Date.now() }));
    // The page may return from the back/forward cache.
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
