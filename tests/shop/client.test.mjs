// The client in all states of the edge, the network and the browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, inBrowser } from "./browser.mjs";

const PAGE = "<!doctype html><html lang=en><title>Test</title><main></main>";
const DOWN = /ERR_FAILED|ERR_INTERNET_DISCONNECTED|status of (4|5)\d\d/;
const LIST = [{ id: "fixed-1", name: "Fixed" }, { id: "fixed-2", name: "Fixed too" }];

inBrowser("the client", (visit) => {
  async function blank(page) {
    await page.route(/\/test(\?|$)/, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
    await page.goto(`${base}/test`);
  }
  /** Opens an empty page of the shop's site with a client in the global `verge`. */
  async function open(page, options = {}, { consent = true } = {}) {
    await blank(page);
    await make(page, { items: LIST, region: "gb", ...options }, consent);
  }
  const make = (page, options, consent) =>
    page.evaluate(async ([options, consent]) => {
      const { createClient, pages, VergeError } = await import("/verge/index.js");
      Object.assign(globalThis, { pages, VergeError, verge: createClient({ consent: () => globalThis.consent, ...options }), consent });
    }, [options, consent]);

  const recommend = (page, params = {}) => page.evaluate((params) => verge.recommend(params), params);
  const ids = ({ items }) => items.map(({ id }) => id);
  const view = (page, ...items) =>
    page.evaluate((items) => (items.forEach((item) => verge.track({ kind: "view", item })), verge.flush()), items);
  /** The first `count` items of the region. */
  const popular = async (count) => ids(await (await fetch(`${base}/v1/popular?region=gb&limit=${count}`)).json());
  /** Handles requests to the edge with `handler` from now on. Static files are still served. */
  const edge = async (page, handler) => {
    await page.unroute("**/v1/**");
    if (handler) await page.route("**/v1/**", handler);
  };
  const unreachable = (route) => route.abort();
  const broken = (route) => route.fulfill({ status: 500, body: "oops" });
  const slow = (route) => setTimeout(() => route.continue().catch(() => {}), 3000);
  const requests = (page) => {
    const seen = [];
    page.on("request", (request) => seen.push(new URL(request.url()).pathname));
    return seen;
  };

  test("the edge answers while it is up, and the scorer is not loaded", () =>
    visit(async (page) => {
      const seen = requests(page);
      await open(page);
      const [first, second] = await popular(2);
      await view(page, first, second);
      const answer = await recommend(page, { limit: 5 });
      assert.deepEqual([answer.source, answer.degraded, answer.items.length], ["edge", null, 5]);
      const cookie = (await page.context().cookies()).find(({ name }) => name === "verge_recents").value;
      const own = await fetch(`${base}/v1/recommendations?region=gb&limit=5`, { headers: { cookie: `verge_recents=${cookie}` } });
      assert.deepEqual(answer.items, (await own.json()).items);
      assert.deepEqual((await page.evaluate(() => verge.recents())).map(({ item }) => item), [second, first]);
      assert.equal((await page.evaluate((id) => verge.item(id), first)).id, first);
      assert.equal(await page.evaluate(() => verge.item("no such item")), undefined);
      assert.ok(!seen.some((path) => /fallback|scorer|snapshots/.test(path)), seen.join());
    }, { expected: /404/ }));

  for (const [state, how] of Object.entries({ slow, broken, unreachable })) {
    test(`while the edge is ${state}, the page gives the same answers`, () =>
      visit(async (page) => {
        await open(page);
        const [first, second] = await popular(2);
        await view(page, first, second);
        assert.ok(await page.evaluate(() => verge.prepare()));
        const params = { limit: 20, price_min: 1, exclude: [first] };
        const expected = await recommend(page, params);
        const like = await page.evaluate((id) => verge.similar(id, { limit: 7 }), first);
        await edge(page, how);
        const { answer, took } = await page.evaluate(async (params) => {
          const began = performance.now();
          const answer = await verge.recommend(params);
          return { answer, took: performance.now() - began };
        }, params);
        console.log(`${state}: the page's answer took ${took.toFixed(0)} ms${state === "slow" ? ", of which 300 are the deadline" : ""}`);
        assert.equal(answer.source, "browser");
        assert.deepEqual([answer.items, answer.next, answer.strategy, answer.region], [expected.items, expected.next, expected.strategy, "gb"]);
        const { items } = await page.evaluate((id) => verge.similar(id, { limit: 7 }), first);
        assert.deepEqual(items, like.items);
        assert.equal((await page.evaluate((id) => verge.item(id), first)).id, first);
        // Events that have not reached the edge count too.
        await page.evaluate((id) => verge.track({ kind: "cart", item: id }), expected.items[3].id);
        const after = await recommend(page, params);
        assert.ok(!ids(after).includes(expected.items[3].id));
        assert.notDeepEqual(ids(after), ids(expected));
      }, { expected: DOWN }));
  }

  test("paging continues without repeated items when the edge goes down", () =>
    visit(async (page) => {
      await open(page);
      await page.evaluate(() => verge.prepare());
      const shown = await page.evaluate(async () => {
        const found = [];
        for await (const answer of pages((cursor) => verge.popular({ limit: 30, cursor }))) {
          found.push([answer.source, answer.items.map(({ id }) => id)]);
          if (found.length === 3) await globalThis.goDown?.();
          if (found.length === 6) break;
        }
        return found;
      });
      assert.deepEqual(shown.map(([source]) => source), Array(6).fill("edge"));
      await page.exposeFunction("goDown", () => edge(page, unreachable));
      const mixed = await page.evaluate(async () => {
        const found = [];
        for await (const answer of pages((cursor) => verge.popular({ limit: 30, cursor }))) {
          found.push([answer.source, answer.items.map(({ id }) => id)]);
          if (found.length === 3) await goDown();
          if (found.length === 6) break;
        }
        return found;
      });
      assert.deepEqual(mixed.map(([source]) => source), ["edge", "edge", "edge", "browser", "browser", "browser"]);
      assert.deepEqual(mixed.flatMap(([, items]) => items), shown.flatMap(([, items]) => items));
    }, { expected: DOWN }));

  test("a rejected request is an error with its field, without fallback", () =>
    visit(async (page) => {
      await open(page);
      const error = await page.evaluate(() =>
        verge.recommend({ limit: 1000 }).catch((error) => [error instanceof VergeError, error.status, error.field, error.detail]));
      assert.deepEqual(error.slice(0, 3), [true, 400, "limit"]);
      assert.match(error[3], /1 to 100/);
      const aborted = await page.evaluate(() => {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), 0);
        return verge.recommend({ signal: abort.signal }).catch(({ name }) => name);
      });
      assert.equal(aborted, "AbortError");
    }, { expected: /status of 400/ }));

  test("an HTML page at the URL of the edge is not an answer", () =>
    visit(async (page) => {
      await open(page, { endpoint: `${base}/` });
      assert.equal((await recommend(page)).source, "edge");
      for (const status of [200, 403, 404]) {
        await edge(page, (route) => route.fulfill({ status, contentType: "text/html", body: "<h1>Log in</h1>" }));
        assert.equal((await recommend(page)).source, "static");
      }
    }, { expected: DOWN }));

  test("on a server, a client without an endpoint throws", async () => {
    const { createClient } = await import(new URL("../../target/shop/verge/index.js", import.meta.url));
    const error = await createClient().popular().catch((error) => error);
    assert.match(`${error}: ${error.detail}`, /^VergeError: The edge.s URL is unknown .*createClient/);
  });

  test("a first visit while the edge is unreachable shows the fixed list", () =>
    visit(async (page) => {
      await edge(page, unreachable);
      await open(page);
      const answer = await recommend(page, { item: "fixed-1" });
      assert.deepEqual([answer.source, answer.degraded, ids(answer)], ["static", "static", ["fixed-2"]]);
      assert.equal(await page.evaluate(() => verge.prepare()), false);
      assert.equal(await page.evaluate(() => verge.item("a")), undefined);
    }, { expected: DOWN }));

  test("offline after a first visit, a new page answers from storage", () =>
    visit(async (page) => {
      await open(page);
      const [first] = await popular(1);
      await view(page, first);
      await page.evaluate(() => verge.prepare());
      const expected = await recommend(page);
      // In production, a service worker serves the page's files; here only the edge and the snapshot are unreachable.
      await edge(page, unreachable);
      await page.reload();
      await make(page, { items: LIST, region: "gb" }, true);
      const answer = await recommend(page);
      assert.deepEqual([answer.source, ids(answer)], ["browser", ids(expected)]);
    }, { expected: DOWN }));

  test("a corrupt snapshot is discarded, and the fixed list is shown until a valid one arrives", () =>
    visit(async (page) => {
      await page.route("**/v1/snapshots/blob/*", async (route) => {
        const response = await route.fetch();
        const body = Buffer.from(await response.body());
        body[body.length >> 1] ^= 0x10;
        await route.fulfill({ response, body });
      });
      await open(page);
      assert.equal(await page.evaluate(() => verge.prepare()), false);
      await page.route("**/v1/recommendations?*", broken);
      assert.equal((await recommend(page)).source, "static");
      assert.deepEqual(await page.evaluate(async () => (await (await caches.open("verge")).keys()).filter(({ url }) => url.includes("blob"))), []);
      await page.unroute("**/v1/snapshots/blob/*");
      assert.equal((await recommend(page)).source, "browser");
      // Corrupt bytes in storage are detected and fetched again.
      await page.evaluate(async () => {
        const kept = await caches.open("verge");
        for (const { url } of await kept.keys()) if (url.includes("blob")) await kept.put(url, new Response(new Uint8Array(9)));
      });
      await page.reload();
      await make(page, { items: LIST, region: "gb" }, true);
      assert.equal((await recommend(page)).source, "browser");
    }, { expected: DOWN }));

  test("without storage, all state lasts as long as the page", () =>
    visit(async (page) => {
      await page.addInitScript(() => {
        const deny = { get() { throw new DOMException("denied", "SecurityError"); } };
        for (const name of ["localStorage", "caches"]) Object.defineProperty(globalThis, name, deny);
        navigator.locks.request = () => Promise.reject(new DOMException("denied", "SecurityError"));
      });
      await open(page);
      const [first] = await popular(1);
      await view(page, first);
      assert.equal((await page.evaluate(() => verge.recents())).length, 1);
      await page.evaluate(() => verge.prepare());
      await edge(page, broken);
      await page.evaluate(() => verge.track({ kind: "view", item: "a" }));
      assert.equal((await recommend(page)).source, "browser");
      assert.deepEqual((await page.evaluate(() => verge.recents())).map(({ item }) => item), ["a", first]);
    }, { expected: DOWN }));

  test("without consent nothing is stored or sent, and recommendations use the items of this page", () =>
    visit(async (page) => {
      const sent = [];
      page.on("request", (request) => sent.push(request.headers().cookie, new URL(request.url()).search));
      await open(page, {}, { consent: false });
      await page.context().addCookies([{ name: "verge_visitor", value: "0123456789abcdefghijkl", url: base }]);
      const [first] = await popular(1);
      await view(page, first);
      const answer = await recommend(page);
      assert.equal(answer.source, "edge");
      assert.ok(answer.items.some(({ because }) => because === first), "it does not go by the item");
      assert.ok(sent.some((text) => text?.includes(`recents=${first}`)) && !sent.some((text) => text?.includes("verge_visitor")));
      await page.evaluate(() => verge.prepare());
      await edge(page, broken);
      const alone = await recommend(page);
      assert.deepEqual([alone.source, alone.items], ["browser", answer.items]);
      const kept = await page.evaluate(async () => [Object.keys(localStorage), await caches.keys()]);
      assert.deepEqual([(await page.context().cookies()).map(({ name }) => name), ...kept], [["verge_visitor"], [], []]);
    }, { expected: DOWN }));

  test("events are retried with the same id, survive a reload, and are sent when the page closes", () =>
    visit(async (page) => {
      const sent = [];
      page.on("request", (request) => request.url().endsWith("/v1/events") && sent.push(...request.postDataJSON()));
      await open(page);
      await edge(page, broken);
      await view(page, "a", "b");
      assert.deepEqual(sent.map(({ item }) => item), ["a", "b"]);
      await page.reload();
      await edge(page);
      await make(page, { region: "gb" }, true);
      await page.evaluate(() => verge.flush());
      assert.deepEqual(sent.slice(-2).map(({ id }) => id), sent.slice(0, 2).map(({ id }) => id));
      assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("event"))), []);
      const cookie = async () => (await page.context().cookies()).find(({ name }) => name === "verge_recents")?.value ?? "";
      assert.match(await cookie(), /^1\|b:v:\w+\|a:v:\w+$/);

      // A link is followed immediately, and the page returns from the back/forward cache.
      await page.evaluate(() => {
        verge.track({ kind: "click", item: "c" });
        location.assign("/test?next");
      });
      await page.waitForURL("**/test?next");
      for (let tries = 0; !(await cookie()).startsWith("1|c:c:") && tries < 50; tries++) await page.waitForTimeout(50);
      assert.match(await cookie(), /^1\|c:c:\w+\|b:v/);
      await page.goBack();
      // The next page learns from the cookie that the event arrived.
      await make(page, { region: "gb" }, true);
      await page.evaluate(() => verge.flush());
      await page.waitForFunction(() => !Object.keys(localStorage).some((key) => key.includes("event")));
      // Chromium does not report all requests of a closing page. The cookie counts the received clicks: two would be `c2`.
      assert.ok(sent.filter(({ item }) => item === "c").length <= 1);
      assert.match(await cookie(), /^1\|c:c:\w+\|b:v/);
    }, { expected: DOWN }));

  test("events lost when a page closes are sent by the next page with the same id", () =>
    visit(async (page) => {
      const sent = [];
      page.on("request", (request) => request.url().endsWith("/v1/events") && sent.push(...request.postDataJSON()));
      await blank(page);
      const kept = () => page.evaluate(() =>
        Object.keys(localStorage).filter((key) => key.includes("event")).sort().map((key) => JSON.parse(localStorage[key])));
      // The network accepts the request and loses it.
      await page.evaluate(async (items) => {
        const { createClient } = await import("/verge/index.js");
        const fetch = (url, init) => (url.includes("/events") ? new Promise(() => {}) : globalThis.fetch(url, init));
        const verge = createClient({ fetch, items });
        verge.track({ kind: "impression", item: "a" }, { kind: "view", item: "b" });
      }, LIST);
      await page.goto(`${base}/test?next`);
      const left = await kept();
      assert.deepEqual(left.map(({ event: { kind, item } }) => [kind, item]), [["impression", "a"], ["view", "b"]]);
      assert.ok(left.every(({ left }) => left > 0));
      await make(page, { region: "gb" }, true);
      // Events in flight do not change the next answer and are not sent again immediately.
      assert.equal((await recommend(page)).source, "edge");
      await page.evaluate(() => verge.flush());
      assert.deepEqual(sent, []);
      await page.waitForFunction(() => !Object.keys(localStorage).some((key) => key.includes("event")));
      assert.deepEqual(sent.map(({ kind, item, id }) => [kind, item, id]), left.map(({ event: { kind, item, id } }) => [kind, item, id]));
      const cookie = (await page.context().cookies()).find(({ name }) => name === "verge_recents").value;
      assert.match(cookie, /^1\|b:v:\w+$/);
    }));

  test("two tabs send each event once", () =>
    visit(async (page) => {
      const other = await page.context().newPage();
      const sent = [];
      for (const tab of [page, other]) {
        await open(tab);
        await edge(tab, broken);
      }
      await view(page, "a");
      await view(other, "b");
      await view(page, "c");
      for (const tab of [page, other]) {
        tab.on("request", (request) => request.url().endsWith("/v1/events") && sent.push(...request.postDataJSON()));
        await edge(tab);
      }
      await Promise.all([page, other].map((tab) => tab.evaluate(() => verge.flush())));
      assert.deepEqual(sent.map(({ item }) => item).sort(), ["a", "b", "c"]);
      const recents = await other.evaluate(() => verge.recents());
      assert.deepEqual(recents.map(({ item, count }) => [item, count]), [["c", 1], ["b", 1], ["a", 1]]);
    }, { expected: DOWN }));

  test("the page writes the recents cookie like the edge", () =>
    visit(async (page) => {
      await open(page);
      const kinds = ["view", "click", "cart", "purchase", "impression"];
      const items = ["a", "b|c", "d:é", "e f", "g%h", "(i)*'!~"];
      let seed = 7;
      const pick = (list) => list[(seed = (seed * 48271) % 2147483647) % list.length];
      for (let round = 0; round < 20; round++) {
        const events = Array.from({ length: 5 }, () => ({ kind: pick(kinds), item: pick(items) }));
        await edge(page, broken);
        await page.evaluate((events) => verge.track(...events), events);
        const before = await page.evaluate(() => verge.recents());
        await edge(page);
        await page.evaluate(() => verge.flush());
        const after = await page.evaluate(() => verge.recents());
        const clock = ({ minutes, ...recent }) => ({ ...recent, minutes: Math.round(minutes / 2) });
        assert.deepEqual(after.map(clock), before.map(clock), JSON.stringify(events));
      }
    }, { expected: DOWN }));

  test("an offline device answers from files without an edge", () =>
    visit(async (page) => {
      const manifest = await (await fetch(`${base}/v1/snapshots/manifest/gb`)).json();
      const blob = Buffer.from(await (await fetch(`${base}/v1/snapshots/blob/${manifest.lite.hash}`)).arrayBuffer());
      await page.route("**/tablet/manifest/gb", (route) => route.fulfill({ json: manifest }));
      await page.route(`**/tablet/blob/${manifest.lite.hash}`, (route) => route.fulfill({ body: blob }));
      await edge(page, unreachable);
      await open(page, { endpoint: null, snapshots: "/tablet" });
      const [first] = await popular(1);
      await view(page, first);
      const answer = await recommend(page);
      assert.deepEqual([answer.source, answer.items.length], ["browser", 12]);
      assert.ok(answer.items.some(({ because }) => because === first));
      const used = await fetch(`${base}/v1/recommendations?region=gb&recents=${first}`).then((response) => response.json());
      assert.deepEqual(answer.items, used.items);
    }));
});
