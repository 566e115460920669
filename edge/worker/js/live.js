// GET /v1/live: a WebSocket on which a page or an in-store tablet sends events and gets fresh recommendations.
//
// Each message becomes the requests that it could have been, `POST /v1/events` and `GET /v1/recommendations`, so that
// consent, rules, forwarding and problems are theirs. What a connection knows, cookies and subscriptions, is
// here: an instance of the scorer that aborts takes no connection along.
//
// There is no Durable Object behind it: nothing at the edge has anything to push, an idle socket of a Worker costs no
// CPU time, and an object would bind visitors to one place and keep state. A connection that ends, by a deployment or
// by the limits below, loses nothing: the client opens another and sends the `recents` that it was told last.
//
//   → {"subscribe": [{"placement": "home", "limit": 6}, …], "recents": "1|85123A:v:ht7ui", "event": {"kind": "view", …}}
//   ← {"ack": {"accepted": 1, "rejected": []}, "recents": "1|…"}      what POST /v1/events answers; after an event
//   ← {"subscription": 0, "placement": "home", "answer": {…}}         what GET /v1/recommendations answers; each time
//   ← {"problem": {"status": 400, …}}                                 with `subscription` where it is one's
//
// Any of the three members may be left out; "ping" is answered with "pong". `subscribe` replaces what was subscribed
// to; its fields are the parameters of GET /v1/recommendations. Messages are taken in order. Answers come when none is
// waiting, so that a burst of events is answered once.

import { headersBeside } from "./beside.js";

export const LIMITS = {
  // Of a message, in UTF-16 units; a longer one ends the connection.
  length: 64 << 10,
  subscriptions: 8,
  // Messages a second over a longer time, and at once. Those beyond are refused with 429.
  perSecond: 10,
  burst: 20,
  // Refused messages, after which the connection ends.
  refused: 100,
  // What is sent on one connection: a client that does not read has the isolate keep it.
  sent: 4 << 20,
  // How long a connection lasts, and how long without a message, in ms.
  lifetime: 30 * 60_000,
  idle: 10 * 60_000,
  // Connections of one isolate.
  connections: 1_000,
};

// What `RECENTS` may hold: what a cookie's value may.
const VALUE = /^[!#-+\--:<-[\]-~]{0,4096}$/;
const RECENTS = "verge_recents";
const VISITOR = "verge_visitor";

const open = new Set();

// Accepts the socket of a request, which `handle` answers others like.
export function accept(request, handle, limits = LIMITS) {
  if (open.size >= limits.connections) {
    return new Response(JSON.stringify(problem(503, "Too many connections", "Try again in a while.")), {
      status: 503,
      headers: { "content-type": "application/problem+json", "cache-control": "no-store", "retry-after": "10" },
    });
  }
  const { 0: client, 1: socket } = new WebSocketPair();
  socket.accept();
  const connection = new Connection(socket, request, handle, limits);
  open.add(connection);
  socket.addEventListener("message", ({ data }) => connection.receive(data));
  for (const event of ["close", "error"]) socket.addEventListener(event, () => connection.end(1000, ""));
  return new Response(null, { status: 101, webSocket: client });
}

export class Connection {
  #socket;
  #request;
  #handle;
  #limits;
  #cookies;
  #subscriptions = [];
  #waiting = [];
  #busy = false;
  #stale = false;
  #ended = false;
  #sent = 0;
  #refused = 0;
  #tokens;
  #filled = Date.now();
  #timers = {};

  constructor(socket, request, handle, limits) {
    this.#socket = socket;
    this.#request = request;
    this.#handle = handle;
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#cookies = cookies(request.headers.get("cookie") ?? "");
    this.#endAfter("lifetime");
    this.#endAfter("idle");
  }

  receive(data) {
    if (this.#ended) return;
    if (typeof data !== "string") return this.end(1003, "Messages are text");
    if (data.length > this.#limits.length) return this.end(1009, `A message has at most ${this.#limits.length} bytes`);
    this.#endAfter("idle");
    if (!this.#hasToken()) {
      this.#refused += 1;
      if (this.#refused > this.#limits.refused) return this.end(1008, "Too many messages");
      return this.#tell({ problem: problem(429, "Too many messages", "The message was not taken. Send it later.") });
    }
    this.#waiting.push(data);
    if (!this.#busy) return this.#work();
  }

  end(code, reason) {
    if (this.#ended) return;
    this.#ended = true;
    open.delete(this);
    this.#waiting = [];
    Object.values(this.#timers).forEach(clearTimeout);
    try {
      this.#socket.close(code, reason);
    } catch {
      // The other side has closed it.
    }
  }

  async #work() {
    this.#busy = true;
    try {
      while (!this.#ended && (this.#waiting.length > 0 || this.#stale)) {
        if (this.#waiting.length > 0) await this.#take(this.#waiting.shift());
        else await this.#answer();
      }
    } catch (error) {
      console.error(error);
      this.end(1011, "Connect again");
    } finally {
      this.#busy = false;
    }
  }

  async #take(text) {
    if (text === "ping") return this.#send("pong");
    const message = parsed(text);
    const wrong = wrongOf(message, this.#limits);
    if (wrong) return this.#tell({ problem: problem(400, "Bad request", wrong.detail, wrong.field) });
    const { recents, subscribe, event } = message;
    if (recents !== undefined) this.#cookies.set(RECENTS, recents);
    if (subscribe !== undefined) this.#subscriptions = subscribe.map((one) => new URLSearchParams(pairs(one)));
    if (event !== undefined) await this.#post(event);
    this.#stale = true;
  }

  async #post(event) {
    const headers = { "content-type": "application/json" };
    const response = await this.#ask("events", { method: "POST", headers, body: JSON.stringify(event) });
    const body = await response.text();
    if (response.status !== 202) return this.#send(`{"problem":${body}}`);
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    const told = { recents: this.#cookies.get(RECENTS), visitor: this.#cookies.get(VISITOR) };
    this.#send(`{"ack":${body},${JSON.stringify(told).slice(1)}`);
  }

  // Answers all subscriptions, as long as there is nothing newer to take into account.
  async #answer() {
    this.#stale = false;
    for (const [subscription, query] of this.#subscriptions.entries()) {
      if (!query) continue;
      const response = await this.#ask(`recommendations?${query}`, {});
      const body = await response.text();
      const of = JSON.stringify({ subscription, placement: query.get("placement") ?? "home" }).slice(0, -1);
      if (response.status === 200) this.#send(`${of},"answer":${body}}`);
      else this.#send(`${of},"problem":${body}}`);
      // What makes no sense now will make none later.
      if (response.status === 400) this.#subscriptions[subscription] = null;
      if (this.#waiting.length > 0 || this.#ended) {
        this.#stale = true;
        return;
      }
    }
  }

  // The answer to a request beside this one, by the same visitor.
  #ask(path, init) {
    const headers = headersBeside(this.#request);
    headers.set("cookie", [...this.#cookies].map((pair) => pair.join("=")).join("; "));
    for (const [name, value] of Object.entries(init.headers ?? {})) headers.set(name, value);
    const { cf } = this.#request;
    return this.#handle(new Request(new URL(path, this.#request.url), { cf, ...init, headers }));
  }

  #hasToken() {
    const { perSecond, burst } = this.#limits;
    const now = Date.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filled) * perSecond) / 1_000);
    this.#filled = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #tell(value) {
    this.#send(JSON.stringify(value));
  }

  #send(text) {
    if (this.#ended) return;
    this.#socket.send(text);
    this.#sent += text.length;
    if (this.#sent > this.#limits.sent) this.end(1012, "Connect again, with your last recents");
  }

  #endAfter(limit) {
    clearTimeout(this.#timers[limit]);
    const end = () => this.end(1012, "Connect again, with your last recents");
    this.#timers[limit] = setTimeout(end, this.#limits[limit]);
  }
}

function problem(status, title, detail, field) {
  return { type: "about:blank", title, status, detail, field };
}

function cookies(header) {
  const pairs = header.split(";").map((pair) => pair.trim().split(/=(.*)/s));
  return new Map(pairs.filter(([name, value]) => name && value !== undefined).map(([name, value]) => [name, value]));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isPlain = (value) => typeof value === "string" || typeof value === "number";

// The parameters of a subscription; those of a list are repeated.
const pairs = (one) => Object.entries(one).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));

// What of a message makes no sense, if anything.
function wrongOf(message, { subscriptions }) {
  if (!isObject(message)) return { detail: "Expected a JSON object with subscribe, recents or event." };
  const { subscribe, recents, event } = message;
  if (subscribe === undefined && recents === undefined && event === undefined) {
    return { detail: "Expected subscribe, recents or event." };
  }
  if (recents !== undefined && !(typeof recents === "string" && VALUE.test(recents))) {
    return { field: "recents", detail: "Expected the recents of an earlier message, or the value of the cookie." };
  }
  if (subscribe === undefined) return undefined;
  if (!Array.isArray(subscribe) || subscribe.length > subscriptions) {
    return { field: "subscribe", detail: `Expected a list of at most ${subscriptions} subscriptions.` };
  }
  if (!subscribe.every((one) => isObject(one) && Object.values(one).flat().every(isPlain))) {
    const detail = "A subscription is an object of parameters, each a text, a number or a list of them.";
    return { field: "subscribe", detail };
  }
  return undefined;
}
