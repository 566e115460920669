// GET /v1/live: a WebSocket for pages and in-store tablets that sends events and receives updated recommendations.
//
// Each message is translated to requests, `POST /v1/events` and `GET /v1/recommendations`, so that consent, rules,
// forwarding and problems are the same. A connection's state, cookies and subscriptions, is in this module, so that
// connections survive an abort of the wasm instance.
//
// It does not use a Durable Object: the edge pushes nothing on its own, an idle socket of a Worker costs no CPU time, and an
// object would bind visitors to one location and keep state. When a connection ends, by a deployment or by the limits
// below, the client reconnects and sends the last `recents` it received.
//
//   → {"subscribe": [{"placement": "home", "limit": 6}, …], "recents": "1|85123A:v:ht7ui", "event": {"kind": "view", …}}
//   ← {"ack": {"accepted": 1, "rejected": []}, "recents": "1|…"}      the reply of POST /v1/events; after an event
//   ← {"subscription": 0, "placement": "home", "answer": {…}}         the reply of GET /v1/recommendations; each time
//   ← {"problem": {"status": 400, …}}                                 with `subscription` if it concerns one
//
// Each of the three members is optional. The reply to "ping" is "pong". `subscribe` replaces all subscriptions; its fields
// are the parameters of GET /v1/recommendations. Messages are handled in order. Answers are sent when no message waits, so
// that a burst of events causes one answer.

import { visitorHeaders } from "./beside.js";

export const LIMITS = {
  // Length of a message, in UTF-16 units. A longer one ends the connection.
  length: 64 << 10,
  subscriptions: 8,
  // Sustained rate and burst of messages (token bucket). Messages beyond are rejected with 429.
  perSecond: 10,
  burst: 20,
  // Rejected messages after which the connection ends.
  refused: 100,
  // UTF-16 units sent on one connection: the isolate buffers what a client does not read.
  sent: 4 << 20,
  // Longest duration of a connection, and longest time without a message, in ms.
  lifetime: 30 * 60_000,
  idle: 10 * 60_000,
  // Connections per isolate.
  connections: 1_000,
};

// The characters of a cookie's value, and the quotes and blanks that libraries add.
const VALUE = /^[ -+\--:<-[\]-~]{0,4096}$/;
const RECENTS = "verge_recents";
const VISITOR = "verge_visitor";

const open = new Set();

// Accepts the WebSocket of a request. `handle` answers HTTP requests.
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
  // The values by name.
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
      return this.#sendJson({ problem: problem(429, "Too many messages", "The message was rejected. Send it later.") });
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
      // The client has closed it.
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
    const wrong = validate(message, this.#limits);
    if (wrong) return this.#sendJson({ problem: problem(400, "Bad request", wrong.detail, wrong.field) });
    const { recents, subscribe, event } = message;
    if (recents !== undefined) this.#cookies.set(RECENTS, [recents]);
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
      if (value) this.#cookies.set(name, [value]);
      else this.#cookies.delete(name);
    }
    const state = { recents: this.#cookies.get(RECENTS)?.[0], visitor: this.#cookies.get(VISITOR)?.[0] };
    this.#send(`{"ack":${body},${JSON.stringify(state).slice(1)}`);
  }

  // Answers all subscriptions, until a new message arrives.
  async #answer() {
    this.#stale = false;
    for (const [subscription, query] of this.#subscriptions.entries()) {
      if (!query) continue;
      const response = await this.#ask(`recommendations?${query}`, {});
      const body = await response.text();
      const of = JSON.stringify({ subscription, placement: query.get("placement") ?? "home" }).slice(0, -1);
      if (response.status === 200) this.#send(`${of},"answer":${body}}`);
      else this.#send(`${of},"problem":${body}}`);
      // An invalid subscription stays invalid.
      if (response.status === 400) this.#subscriptions[subscription] = null;
      if (this.#waiting.length > 0 || this.#ended) {
        this.#stale = true;
        return;
      }
    }
  }

  // Answers a request on behalf of the same visitor.
  #ask(path, init) {
    const headers = visitorHeaders(this.#request);
    const pairs = [...this.#cookies].flatMap(([name, values]) => values.map((value) => `${name}=${value}`));
    headers.set("cookie", pairs.join("; "));
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

  #sendJson(value) {
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

// The values by name: cookies of several paths may have the same name, and the Worker chooses among them.
function cookies(header) {
  const found = new Map();
  for (const [name, value] of header.split(";").map((pair) => pair.trim().split(/\s*=(.*)/s))) {
    if (!name || value === undefined) continue;
    if (!found.get(name)?.push(value)) found.set(name, [value]);
  }
  return found;
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

// The parameters of a subscription. A list becomes a repeated parameter.
const pairs = (one) => Object.entries(one).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));

// The first error of a message; undefined if it is valid.
function validate(message, { subscriptions }) {
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
