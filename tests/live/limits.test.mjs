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
