// The limits of live connections, by a clock that is turned.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Connection, LIMITS, accept } from "../../edge/worker/js/live.js";

function connect() {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 });
  const socket = { sent: [], send: (text) => socket.sent.push(text), close: (code) => (socket.closed = code) };
  const request = new Request("https://shop.example/v1/live");
  const connection = new Connection(socket, request, () => assert.fail("nothing is to be asked"), LIMITS);
  return { socket, connection };
}

test("a silent connection ends, and one that speaks ends later", async (context) => {
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

test("a connection that never speaks ends", (context) => {
  context.after(() => mock.timers.reset());
  const { socket } = connect();
  mock.timers.tick(LIMITS.idle - 1);
  assert.equal(socket.closed, undefined);
  mock.timers.tick(1);
  assert.equal(socket.closed, 1012);
});

test("messages are taken again after a while", async (context) => {
  context.after(() => mock.timers.reset());
  const { socket, connection } = connect();
  const pongs = () => socket.sent.filter((text) => text === "pong").length;
  for (let message = 0; message < LIMITS.burst + 5; message += 1) await connection.receive("ping");
  assert.equal(pongs(), LIMITS.burst);
  mock.timers.tick(1_000);
  for (let message = 0; message < LIMITS.perSecond + 5; message += 1) await connection.receive("ping");
  assert.equal(pongs(), LIMITS.burst + LIMITS.perSecond);
});

test("an isolate takes so many connections and no more", async () => {
  const request = new Request("https://shop.example/v1/live");
  const refused = accept(request, () => assert.fail("nothing is to be asked"), { ...LIMITS, connections: 0 });
  assert.equal(refused.status, 503);
  assert.match(refused.headers.get("retry-after"), /^\d+$/);
  assert.equal((await refused.json()).status, 503);
});

// Numbers from 0 up to 1, the same each time (mulberry32).
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("whatever is said is taken or told to be wrong, and the connection goes on", async () => {
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

  const asked = [];
  const handle = (request) => {
    asked.push(request.method);
    assert.ok(["/v1/events", "/v1/recommendations"].includes(new URL(request.url).pathname));
    const cookie = { "set-cookie": "verge_recents=1|b:v:0; Path=/" };
    return request.method === "POST" ? new Response("{}", { status: 202, headers: cookie }) : Response.json({});
  };
  const socket = { send: (text) => heard.push(JSON.parse(text)), close: (code) => (socket.closed = code) };
  const request = new Request("https://shop.example/v1/live", { headers: { cookie: "verge_recents=1|a:v:0" } });
  const limits = { ...LIMITS, burst: Infinity, sent: Infinity };
  const connection = new Connection(socket, request, handle, limits);
  let heard = [];
  for (let round = 0; round < 5_000; round += 1) {
    heard = [];
    const said = JSON.stringify(one([message, () => value(4)])());
    await connection.receive(one([said, said, said, said.slice(0, Math.floor(next() * said.length)), `${said}}`]));
    assert.equal(socket.closed, undefined, said);
    assert.ok(heard.every((reply) => "problem" in reply || "ack" in reply || "answer" in reply), said);
    assert.ok(heard.filter((reply) => "problem" in reply || "ack" in reply).length <= 1, said);
  }
  connection.end(1000, "");
  assert.ok(asked.includes("POST") && asked.includes("GET"));
});
