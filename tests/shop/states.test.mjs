// What a visitor sees in each state of edge, network, storage and consent: in the element, which has a fixed list as a last
// resort, and in the shop, which has none. Takes screenshots if SCREENSHOTS is set.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, inBrowser, screenshot } from "./browser.mjs";

const LIST = [{ id: "fixed-1", name: "Always wanted", price: 12.5, currency: "GBP" }, { id: "fixed-2", name: "Always there" }];
const ELEMENT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:24px}</style>
<script type="module">
  import { createClient } from "/verge/index.js";
  import "/verge/element.js";
  const list = document.querySelector("verge-recommendations");
  globalThis.verge = list.client = createClient({ region: "gb", items: ${JSON.stringify(LIST)}, consent: !location.search });
</script>
<verge-recommendations limit="6" heading="For you" href="/p/{id}"></verge-recommendations>`;

const fail = (status) => (page) => page.route("**/v1/**", (route) => route.fulfill({ status }));
const deny = (page) => page.addInitScript(() => {
  const thrown = { get() { throw new DOMException("denied", "SecurityError"); } };
  for (const name of ["localStorage", "caches"]) Object.defineProperty(globalThis, name, thrown);
});
const corrupt = (page) => page.route("**/v1/snapshots/blob/*", async (route) => {
  const response = await route.fetch();
  const body = Buffer.from(await response.body());
  body[body.length >> 1] ^= 0x10;
  await route.fulfill({ response, body });
});
/** What happens before the first visit and before the second one, and who answers the second one. */
const STATES = {
  "edge up": { then: () => {}, answers: "edge" },
  slow: { then: (page) => page.route("**/v1/**", (route) => setTimeout(() => route.continue().catch(() => {}), 3000)), answers: "browser" },
  "status 500": { then: fail(500), answers: "browser" },
  unreachable: { then: (page) => page.route("**/v1/**", (route) => route.abort()), answers: "browser" },
  offline: { then: (page) => page.context().setOffline(true), answers: "browser" },
  "corrupt snapshot": { before: corrupt, then: (page) => page.route(/v1\/(?!snapshots)/, (route) => route.abort()), answers: "static" },
  "storage denied": { before: deny, then: fail(503), answers: "browser" },
  "consent withheld": { then: () => {}, answers: "edge", search: "?no" },
};

inBrowser("what is seen", (visit) => {
  for (const [state, { before, then, answers, search = "" }] of Object.entries(STATES)) {
    test(`${state}: the element shows what ${answers} answers`, () =>
      visit(async (page) => {
        await before?.(page);
        await page.route(/\/test(\?|$)/, (route) => route.fulfill({ contentType: "text/html", body: ELEMENT }));
        await page.goto(`${base}/test${search}`);
        const cards = page.locator("verge-recommendations [part=card]:not(.bone)");
        await cards.first().waitFor();
        assert.equal(await page.evaluate(() => verge.prepare()), answers !== "static");
        await then(page);
        const answer = page.evaluate(async () => {
          const list = document.querySelector("verge-recommendations");
          await list.refresh();
          return list.answer.source;
        });
        assert.equal(await answer, answers);
        assert.equal(await cards.count(), answers === "static" ? LIST.length : 6);
        await screenshot(page.locator("verge-recommendations"), `element-${state.replaceAll(" ", "-")}`);
      }, { expected: /ERR_|status of (4|5)/ }));

    // The shop does not ask for consent.
    if (state !== "consent withheld") test(`${state}: the shop answers or reports the problem`, () =>
      visit(async (page) => {
        await before?.(page);
        await page.goto(`${base}/?region=gb`);
        const first = page.locator(".rail .card:not(.waiting) > a").first();
        await first.waitFor();
        await page.waitForLoadState("networkidle");
        await then(page);
        await first.click();
        await page.locator(".item h1, [role=alert]").first().waitFor();
        await page.waitForFunction(() => !document.querySelector("[aria-busy], .waiting"));
        await page.waitForFunction(() => document.querySelector("[role=alert]") || [...document.querySelectorAll("verge-recommendations")].every(({ answer }) => answer));
        assert.equal(await page.locator(".item h1").count(), answers === "static" ? 0 : 1, state);
        await screenshot(page, `shop-${state.replaceAll(" ", "-")}`);
      }, { expected: /ERR_|status of (4|5)/ }));
  }
});
