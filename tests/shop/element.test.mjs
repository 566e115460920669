// `<verge-recommendations>`: its content and events in all states, with screenshots.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, inBrowser, screenshot } from "./browser.mjs";

const PAGE = (body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:24px}</style>
<script type="module" src="/verge/element.js"></script>${body}<p id="after">After</p>`;
const LIST = `<verge-recommendations placement="home" limit="6" heading="For you" href="/p/{id}" region="gb"></verge-recommendations>`;

inBrowser("the element", (visit) => {
  async function open(page, body = LIST) {
    await page.route("**/test", (route) => route.fulfill({ contentType: "text/html", body: PAGE(body) }));
    await page.goto(`${base}/test`);
  }
  const cards = (page) => page.locator("verge-recommendations [part=card]:not(.bone)");
  const sent = (page) => {
    const events = [];
    page.on("request", (request) => request.url().endsWith("/v1/events") && events.push(...request.postDataJSON()));
    return events;
  };
  const soon = async (page, holds) => {
    for (let tries = 0; !holds() && tries < 100; tries++) await page.waitForTimeout(30);
  };

  for (const [scheme, motion] of [["light", "no-preference"], ["dark", "reduce"]]) {
    test(`placeholders reserve the space and loading causes no layout shift (${scheme}, motion: ${motion})`, () =>
      visit(async (page) => {
        let answer;
        await page.route("**/v1/recommendations?*", (route) => (answer = () => route.continue()));
        await open(page);
        await page.locator("verge-recommendations .bone").first().waitFor();
        const list = page.locator("verge-recommendations ul");
        assert.equal(await list.getAttribute("aria-busy"), "true");
        const animations = await page.evaluate(() =>
          document.querySelector("verge-recommendations").shadowRoot.getAnimations().filter(({ playState }) => playState === "running").length);
        assert.equal(animations > 0, motion !== "reduce");
        const place = () => page.locator("#after").evaluate((element) => element.getBoundingClientRect().top);
        const before = await place();
        await screenshot(page, `element-waiting-${scheme}`);
        // The client falls back to the page after 300 ms; here the edge is faster.
        answer();
        await cards(page).nth(5).waitFor();
        assert.equal(await list.getAttribute("aria-busy"), null);
        assert.ok(Math.abs((await place()) - before) < 1, `moved from ${before} to ${await place()}`);
        assert.equal(await page.getByRole("region", { name: "For you" }).getByRole("listitem").count(), 6);
        await screenshot(page, `element-${scheme}`);
      }, { colorScheme: scheme, reducedMotion: motion }));
  }

  test("impressions are reported once, when visible, and clicks with the request id of their answer", () =>
    visit(async (page) => {
      const events = sent(page);
      await page.setViewportSize({ width: 1280, height: 400 });
      await open(page, `<div style="height:1000px"></div>${LIST}`);
      await cards(page).nth(5).waitFor();
      await page.waitForTimeout(200);
      assert.deepEqual(events, []);
      const heard = page.evaluate(() => new Promise((done) => addEventListener("verge-impression", ({ detail }) => done(detail.item.id), { once: true })));
      await page.evaluate(() => scrollTo(0, 900));
      await soon(page, () => events.length >= 6);
      const answer = await page.evaluate(() => document.querySelector("verge-recommendations").answer);
      assert.deepEqual(events.map(({ kind, item }) => [kind, item]).sort(), answer.items.map(({ id }) => ["impression", id]).sort());
      assert.ok(events.every(({ request, placement }) => request === answer.request && placement === "home"));
      assert.equal(await heard, answer.items[0].id);
      await page.evaluate(() => scrollTo(0, 0));
      await page.evaluate(() => scrollTo(0, 900));
      // The browser does not report requests of a closing page, so the page navigates only after the click is sent.
      await page.route("**/p/**", async (route) => {
        await soon(page, () => events.length >= 7);
        await route.fulfill({ contentType: "text/html", body: "<!doctype html><title>Item</title>" });
      });
      await cards(page).nth(2).locator("a").focus();
      await screenshot(page, "element-focused");
      await page.keyboard.press("Enter");
      await page.waitForURL(`**/p/${answer.items[2].id}`);
      await soon(page, () => events.length >= 7);
      assert.equal(events.length, 7);
      const { kind, item, request } = events[6];
      assert.deepEqual([kind, item, request], ["click", answer.items[2].id, answer.request]);
    }));

  test("a template defines the content of a card, with the page's styles", () =>
    visit(async (page) => {
      await open(page, `<style>verge-recommendations::part(tag){color:rgb(1,2,3)}</style>
        <verge-recommendations popular limit="3" region="gb" style="--verge-columns:3"><template>
        <i part="tag" data-verge="category"></i> <b data-verge="name"></b></template></verge-recommendations>`);
      await cards(page).nth(2).waitFor();
      const tag = cards(page).first().locator("i");
      assert.match(await tag.innerText(), /\w/);
      assert.equal(await tag.evaluate((element) => getComputedStyle(element).color), "rgb(1, 2, 3)");
      await screenshot(page, "element-template");
    }));

  test("a server-rendered list is kept and sends no request", () =>
    visit(async (page) => {
      const asked = [];
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      const { renderList } = await import(new URL("../../target/shop/verge/server.js", import.meta.url));
      const items = [{ id: "a<b", name: "A & \"B\"", price: 2.5, currency: "EUR" }, { id: "c", url: "javascript:alert(1)" }];
      const html = renderList({ items, request: "r1" }, { heading: "From the server", placement: "product", href: "/p/{id}" });
      assert.ok(html.includes("A &amp; &quot;B&quot;") && html.includes('href="/p/a%3Cb"') && html.includes("€2.50"), html);
      assert.ok(!renderList({ items, request: null }).includes("javascript"));
      const events = sent(page);
      await open(page, html);
      await soon(page, () => events.length >= 2);
      assert.deepEqual(events.map(({ kind, item, request, placement }) => [kind, item, request, placement]),
        [["impression", "a<b", "r1", "product"], ["impression", "c", "r1", "product"]]);
      assert.ok(!asked.includes("/v1/recommendations"));
      assert.ok(await page.getByRole("heading", { name: "From the server" }).isVisible());
      await screenshot(page, "element-from-server");
    }));

  test("an empty element takes no space, and hostile text is escaped", () =>
    visit(async (page) => {
      await page.route("**/v1/**", (route) => route.abort());
      await open(page);
      await page.waitForFunction(() => document.querySelector("verge-recommendations").hidden);
      await screenshot(page, "element-nothing");
      await page.unroute("**/v1/**");
      const item = { id: "x", name: "<img src=x onerror=alert(1)>", url: "javascript:alert(1)", image: "javascript:alert(1)", price: 1, currency: "no" };
      await page.route("**/v1/recommendations?*", (route) => route.fulfill({ json: { items: [item], next: null, region: "gb", request: null } }));
      await page.evaluate(() => document.querySelector("verge-recommendations").removeAttribute("href"));
      await cards(page).waitFor();
      assert.equal(await cards(page).locator("b").innerText(), item.name);
      assert.equal(await cards(page).locator("img, a[href]").count(), 0);
    }, { expected: /ERR_FAILED/ }));

  test("on a phone, the page answers while the edge is down", () =>
    visit(async (page) => {
      await open(page);
      await cards(page).nth(5).waitFor();
      const before = await cards(page).allInnerTexts();
      const source = () => page.evaluate(() => document.querySelector("verge-recommendations").answer.source);
      await page.route("**/v1/recommendations?*", (route) => route.fulfill({ status: 500 }));
      await page.evaluate(() => document.querySelector("verge-recommendations").refresh());
      assert.equal(await source(), "browser");
      assert.deepEqual(await cards(page).allInnerTexts(), before);
      await screenshot(page, "element-phone-edge-down");
    }, { expected: /500/, viewport: { width: 360, height: 640 } }));
});
