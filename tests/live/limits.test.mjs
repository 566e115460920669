// The limits of live connections, with a mocked clock.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Connection, LIMITS, accept } from "../../edge/worker/js/live.js";

function connect() {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 });
  const socket = { sent: [], send: (text) => socket.sent.push(text), close: (code) => (socket.closed = code) };
  const request = new Request("https://shop.example/v1/live");
  const connection = new Connection(socket, request, () => assert.fail("no request is expected"), LIMITS);
  return { socket, connection };
}

test("idle connections close, active ones at the end of their lifetime", async (context) => {
  context.after(() => mock.timers.reset());
  const { socket, connection } = connect();
  let spent = 0;
  for (; spent + LIMITS.idle - 1 < LIMITS.lifetime; spent += LIMITS.idle - 1) {
    mock.timers.tick(LIMITS.idle - 1);
    await connection.receive("ping");
    assert.equal(socket.closed, undefined);
  }
  assert.ok(socket.sent.length > 1 && socket.sent.every((text) => text === "pong"));
  mock.timers.tick(LIMITS.lifetime - spent - 1);
  assert.equal(socket.closed, undefined);
  mock.timers.tick(1);
  assert.equal(socket.closed, 1012);
});

test("a connection that never sends a message closes", (context) => {
  context.after(() => mock.timers.reset());
  const { socket } = connect();
  mock.timers.tick(LIMITS.idle - 1);
  assert.equal(socket.closed, undefined);
  mock.timers.tick(1);
  assert.equal(socket.closed, 1012);
});

test("the message rate limit recovers over time", async (context) => {
  context.after(() => mock.timers.reset());
  const { socket, connection } = connect();
  const pongs = () => socket.sent.filter((text) => text === "pong").length;
  for (let message = 0; message < LIMITS.burst + 5; message += 1) await connection.receive("ping");
  assert.equal(pongs(), LIMITS.burst);
  mock.timers.tick(1_000);
  for (let message = 0; message < LIMITS.perSecond + 5; message += 1) await connection.receive("ping");
  assert.equal(pongs(), LIMITS.burst + LIMITS.perSecond);
});

test("the number of connections per isolate is limited", async () => {
  const request = new Request("https://shop.example/v1/live");
  const refused = accept(request, () => assert.fail("no request is expected"), { ...LIMITS, connections: 0 });
  assert.equal(refused.status, 503);
  assert.match(refused.headers.get("retry-after"), /^\d+$/);
  assert.equal((await refused.json()).status, 503);
});

// A seeded random number generator (mulberry32): numbers from 0 to 1.
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("random messages are accepted or get a problem, and the connection stays open", async () => {
  const next = random(7);
  const one = (choices) => choices[Math.floor(next() * choices.length)];
  const texts = ["", "home", "1|a:v:0", "a; b=c", "\n", "\u0000", "é\ud800", "__proto__", "placement", "x".repeat(5_000)];
  function value(depth) {
    const inner = () => value(depth - 1);
    const several = (make) => Array.from({ length: Math.floor(next() * 4) }, make);
    const kinds = [null, true, -1, 1e308, () => one(texts)];
    if (depth > 0) kinds.push(() => several(inner), () => object(texts, inner));
    const kind = one(kinds);
    return typeof kind === "function" ? kind() : kind;
  }
  const object = (names, make) => Object.fromEntries(names.filter(() => next() < 0.2).map((name) => [name, make()]));
  const message = () => object(["subscribe", "recents", "event", ...texts], () => value(4));

  const methods = [];
  const handle = (request) => {
    methods.push(request.method);
    assert.ok(["/v1/events", "/v1/recommendations"].includes(new URL(request.url).pathname));
    const cookie = { "set-cookie": "verge_recents=1|b:v:0; Path=/" };
    return request.method === "POST" ? new Response("{}", { status: 202, headers: cookie }) : Response.json({});
  };
  const socket = { send: (text) => replies.push(JSON.parse(text)), close: (code) => (socket.closed = code) };
  const request = new Request("https://shop.example/v1/live", { headers: { cookie: "verge_recents=1|a:v:0" } });
  const limits = { ...LIMITS, burst: Infinity, sent: Infinity };
  const connection = new Connection(socket, request, handle, limits);
  let replies = [];
  for (let round = 0; round < 5_000; round += 1) {
    replies = [];
    const text = JSON.stringify(one([message, () => value(4)])());
    await connection.receive(one([text, text, text, text.slice(0, Math.floor(next() * text.length)), `${text}}`]));
    assert.equal(socket.closed, undefined, text);
    assert.ok(replies.every((reply) => "problem" in reply || "ack" in reply || "answer" in reply), text);
    assert.ok(replies.filter((reply) => "problem" in reply || "ack" in reply).length <= 1, text);
  }
  connection.end(1000, "");
  assert.ok(methods.includes("POST") && methods.includes("GET"));
});
