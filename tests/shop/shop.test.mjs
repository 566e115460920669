// The demo shop in Chromium, against a Worker that serves a published demo; see browser.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, inBrowser, screenshot } from "./browser.mjs";

inBrowser("the shop", (visit) => {
  const rail = (page, title) => page.locator(".rail", { has: page.getByRole("heading", { name: title }) });
  const cards = (page, title) => rail(page, title).locator(".card:not(.waiting) > a");
  const addresses = (page, title) => cards(page, title).evaluateAll((links) => links.map((link) => link.hash));
  /** The links in the storefront element. */
  const similar = (page) => page.locator("verge-recommendations [part=card]:not(.bone) a");
  /** Waits until the page shows its answers and all events are acknowledged. */
  async function ready(page) {
    await page.locator("main h1").waitFor();
    await page.waitForFunction(() => !document.querySelector("[aria-busy], .waiting")
      && [...document.querySelectorAll("verge-recommendations")].every((element) => element.answer));
    await page.waitForLoadState("networkidle");
  }
  async function open(page, path = "/") {
    await page.goto(base + path);
    await ready(page);
  }
  /** Opens the popular item at this position, then returns to the home page. */
  async function lookAt(page, place) {
    const seen = await cards(page, /^Popular in/).nth(place).getAttribute("href");
    await cards(page, /^Popular in/).nth(place).click();
    await page.waitForURL(`${base}/${seen}`);
    await ready(page);
    await page.getByRole("link", { name: "All items" }).click();
    await ready(page);
    return seen;
  }

  test("a new visitor sees popular items, timings, and that nothing is known about them", () =>
    visit(async (page) => {
      await open(page);
      assert.equal(await cards(page, /^Popular in/).count(), 12);
      assert.match(await rail(page, /^Popular in/).locator(".facts").innerText(), /[\d.]+ ms · scored in (under )?[\d.]+ ms/);
      assert.match(await rail(page, "For you").innerText(), /Nothing yet/);
      assert.match(await page.locator("#known-text").innerText(), /^Nothing\./);
      assert.ok(await page.getByRole("button", { name: "Forget me" }).isDisabled());
    }));

  test("“load more” adds other items and focuses the first of them", () =>
    visit(async (page) => {
      await open(page);
      await rail(page, /^Popular in/).getByRole("button", { name: "Load more" }).click();
      await cards(page, /^Popular in/).nth(12).waitFor();
      const shown = await addresses(page, /^Popular in/);
      assert.equal(new Set(shown).size, shown.length);
      assert.equal(await page.evaluate(() => document.activeElement.hash), shown[12]);
    }));

  test("two viewed items fill “for you” with other items and their reasons", () =>
    visit(async (page) => {
      await open(page);
      const seen = [await lookAt(page, 0), await lookAt(page, 3)];
      const reasons = await rail(page, "For you").locator(".reason").allInnerTexts();
      assert.equal(reasons.length, 12);
      for (const reason of reasons) assert.match(reason, /^(Because you viewed|Similar to|Popular in|Trending in) ./);
      assert.ok(reasons.some((reason) => /^(Because you viewed|Similar to) ./.test(reason)), reasons.join("; "));
      for (const address of await addresses(page, "For you")) assert.ok(!seen.includes(address), address);
      assert.deepEqual(await addresses(page, "Recently viewed"), seen.toReversed());
      assert.match(await page.locator("#known-text").innerText(), /^Your last 2 items/);

      await page.getByRole("button", { name: "Forget me" }).click();
      await ready(page);
      assert.match(await rail(page, "For you").innerText(), /Nothing yet/);
      assert.deepEqual(await page.context().cookies(), []);
    }));

  test("events name the item and the request id of the answer that led to it", () =>
    visit(async (page) => {
      const sent = [];
      page.on("request", (request) => {
        if (request.url().endsWith("/v1/events")) sent.push(...request.postDataJSON().filter(({ kind }) => kind !== "impression"));
      });
      const [answer] = await Promise.all([
        page.waitForResponse((response) => response.url().includes("/v1/popular")).then((response) => response.json()),
        open(page),
      ]);
      await cards(page, /^Popular in/).nth(1).click();
      await ready(page);
      await page.getByRole("button", { name: "Add to cart" }).click();
      await page.locator("#toast", { hasText: "Added to the cart" }).waitFor();
      await page.getByRole("button", { name: "Buy" }).click();
      await page.locator("#toast", { hasText: "Bought" }).waitFor();
      const { id, price, currency } = answer.items[1];
      const source = { item: id, placement: "popular", request: answer.request };
      assert.ok(answer.request);
      assert.deepEqual(sent.map(({ kind }) => kind), ["click", "view", "cart", "purchase"]);
      assert.equal(new Set(sent.map((event) => event.id)).size, 4);
      for (const { id: _, ...event } of sent.slice(0, 3)) assert.deepEqual(event, { kind: event.kind, ...source });
      assert.deepEqual(sent[3], { id: sent[3].id, kind: "purchase", ...source, quantity: 1, price, currency });
    }));

  test("an item page shows its price, similar items and items viewed with it", () =>
    visit(async (page) => {
      await open(page);
      const name = await cards(page, /^Popular in/).nth(0).locator(".card-name").innerText();
      const price = await cards(page, /^Popular in/).nth(0).locator(".price").innerText();
      await cards(page, /^Popular in/).nth(0).click();
      await ready(page);
      assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), name);
      assert.equal(await page.locator(".item .price").innerText(), price);
      const here = new URL(page.url()).hash;
      const like = await similar(page).evaluateAll((links) => links.map(({ hash }) => hash));
      for (const shown of [like, await addresses(page, "Also viewed")]) {
        assert.ok(shown.length > 0);
        assert.ok(!shown.includes(here));
      }
    }));

  test("the region switch changes the popular items and is kept in the URL", () =>
    visit(async (page) => {
      await open(page);
      const orders = new Map();
      for (const region of ["gb", "fr"]) {
        await page.getByLabel("Region").selectOption(region);
        await ready(page);
        assert.equal(new URL(page.url()).searchParams.get("region"), region);
        orders.set(region, await addresses(page, /^Popular in/));
      }
      assert.match(await page.getByRole("heading", { name: /^Popular in/ }).innerText(), /France/);
      assert.equal(orders.get("fr").length, 12);
      assert.notDeepEqual(orders.get("fr"), orders.get("gb"));
      await page.reload();
      await ready(page);
      assert.deepEqual(await addresses(page, /^Popular in/), orders.get("fr"));
    }));

  test("a card can be reached, opened and left with the keyboard alone", () =>
    visit(async (page) => {
      await open(page);
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "skip");
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement.id), "main");
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(() => {
        const { hash, parentElement } = document.activeElement;
        return { hash, card: parentElement.className, outline: getComputedStyle(document.activeElement).outlineStyle };
      });
      assert.deepEqual([focused.card, focused.outline], ["card", "solid"]);
      await page.keyboard.press("Enter");
      await page.waitForURL(`${base}/${focused.hash}`);
      await ready(page);
      assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
      await page.goBack();
      await ready(page);
      assert.match(await page.locator("h1").innerText(), /^Picked at the edge/);
    }));

  for (const width of [360, 768, 1280]) {
    test(`no overflow and no layout shift at a width of ${width} px`, () =>
      visit(async (page) => {
        await page.addInitScript(() => {
          globalThis.shifted = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifted += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
        });
        await open(page);
        await lookAt(page, 0);
        for (const path of ["/#/", await cards(page, /^Popular in/).nth(0).getAttribute("href").then((href) => `/${href}`)]) {
          await open(page, path);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, path);
          assert.ok(await page.evaluate(() => globalThis.shifted) < 0.02, path);
        }
      }, { viewport: { width, height: 800 } }));
  }

  const answerWith = (page, path, status, body) =>
    page.route(path, (route) => route.fulfill({
      status, contentType: status < 400 ? "application/json" : "application/problem+json", body: JSON.stringify(body),
    }));

  test("without a snapshot the page names the command that builds one, and retries", () =>
    visit(async (page) => {
      const problem = { type: "about:blank", title: "No snapshot is published", status: 503, detail: "KV holds none." };
      await answerWith(page, "**/v1/**", 503, problem);
      await page.goto(base);
      const notice = page.getByRole("alert");
      await notice.waitFor();
      assert.match(await notice.innerText(), /No snapshot is published\s+KV holds none\.[^]*cargo xtask demo/);
      await page.unroute("**/v1/**");
      await notice.getByRole("button", { name: "Try again" }).click();
      await ready(page);
      assert.equal(await cards(page, /^Popular in/).count(), 12);
    }, { expected: /status of 503/ }));

  test("unknown items and a lost connection are reported", () =>
    visit(async (page) => {
      // With a snapshot in storage, the page would answer by itself.
      await page.route("**/verge/fallback.js", (route) => route.abort());
      await page.goto(`${base}/#/item/${encodeURIComponent("no such/item")}`);
      await page.getByRole("alert").getByRole("link", { name: "Back to the shop" }).click();
      await ready(page);
      await page.context().setOffline(true);
      await cards(page, /^Popular in/).nth(0).click();
      await page.getByRole("alert").getByText("The shop cannot be reached").waitFor();
    }, { expected: /status of 404|ERR_INTERNET_DISCONNECTED|ERR_FAILED/ }));

  test("hostile text is escaped, and only http URLs become links or images", () =>
    visit(async (page) => {
      const item = { id: "x<y", name: "<img src=x onerror=alert(1)>", price: 1, currency: "no such", brand: "<b>B</b>",
        category: "<i>C", image: "javascript:alert(1)", url: "javascript:alert(1)", signal: "popularity", because: null, score: 1 };
      const answer = { items: [item], next: null, region: "<u>", degraded: "stale", request: null };
      await answerWith(page, "**/v1/popular?*", 200, answer);
      await open(page);
      assert.equal(await cards(page, /^Popular in/).locator(".card-name").innerText(), item.name);
      assert.equal(await rail(page, /^Popular in/).locator(".degraded").innerText(), "older tables");
      assert.equal(await page.locator("main img, main b, main i, main u").count(), 0);
      await answerWith(page, "**/v1/items/**", 404, { title: "Unknown item", status: 404 });
      await answerWith(page, "**/v1/recommendations?*", 200, { ...answer, items: [] });
      await cards(page, /^Popular in/).click();
      await page.locator(".item h1", { hasText: item.name }).waitFor();
      assert.equal(await page.locator("main img, main a[href^=javascript]").count(), 0);
    }, { expected: /status of 404|Unknown item/ }));

  test("with the edge down the shop continues, and sends the missed events afterwards", () =>
    visit(async (page) => {
      await open(page);
      const seen = await lookAt(page, 0);
      const before = { you: await addresses(page, "For you"), popular: await addresses(page, /^Popular in/) };
      await page.waitForFunction(async () => (await (await caches.open("verge")).keys()).length >= 3);
      await screenshot(page, "shop");
      await page.getByRole("button", { name: "Edge down" }).click();
      await ready(page);
      assert.equal(await rail(page, "For you").locator(".degraded").first().innerText(), "by this page");
      assert.deepEqual(await addresses(page, "For you"), before.you);
      assert.deepEqual(await addresses(page, /^Popular in/), before.popular);
      await screenshot(page, "shop-edge-down");
      const next = await lookAt(page, 2);
      assert.deepEqual(await addresses(page, "Recently viewed"), [next, seen]);
      assert.notDeepEqual(await addresses(page, "For you"), before.you);
      const cookie = async () => (await page.context().cookies()).find(({ name }) => name === "verge_recents").value;
      assert.equal((await cookie()).split("|").length, 2);
      await page.getByRole("button", { name: "Edge down" }).click();
      await ready(page);
      for (let tries = 0; (await cookie()).split("|").length < 3 && tries < 100; tries++) await page.waitForTimeout(50);
      assert.equal((await cookie()).split("|").length, 3);
      assert.equal(await rail(page, "For you").locator(".degraded").count(), 0);
    }));
});
