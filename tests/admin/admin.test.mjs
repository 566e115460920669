// The operators' page of a running `verge serve`, in Chromium.
//
//   VERGE_URL=http://127.0.0.1:8080 VERGE_KEY=… node --test tests/admin/*.test.mjs
//
// VERGE_KEY is a key with the role `admin`. SCREENSHOTS is a directory for screenshots (optional). Without a browser, a URL
// or a key, all tests are skipped with a message.

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";

const base = process.env.VERGE_URL?.replace(/\/$/, "");
const key = process.env.VERGE_KEY;
const screenshots = process.env.SCREENSHOTS;
const browserPath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => path && existsSync(path));
const skip = !(base && key)
  ? "VERGE_URL or VERGE_KEY is not set: start `verge serve` and create a key with `verge keys add me --role admin`"
  : !browserPath && "no Chromium found: install it (`apt-get install chromium`) or set CHROMIUM to its path";
if (skip) console.log(`skipped: the operators' page in a browser: ${skip}`);

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

describe("the operators' page", { skip, timeout: 120_000 }, () => {
  let browser;
  before(async () => {
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
    if (screenshots) mkdirSync(screenshots, { recursive: true });
  });
  after(() => browser?.close());

  /** Runs `check` on a page. Fails on console errors and warnings, and on requests to other hosts. */
  async function visit(check, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const problems = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !/status of 401/.test(message.text())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(base) && !request.url().startsWith("data:")) problems.push(`requested ${request.url()}`);
    });
    try {
      await check(page, context);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  }

  async function logIn(page) {
    await page.goto(`${base}/admin`);
    await page.getByLabel("Admin key").fill(key);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(`${base}/admin`);
  }

  /** Takes a screenshot. Asserts that the page is not empty and does not overflow horizontally. */
  async function screenshot(page, name) {
    const { wide, high } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth - innerWidth,
      high: document.querySelector("main").getBoundingClientRect().height,
    }));
    assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
    assert.ok(high > 100, `${name}: ${high} px high`);
    const image = await page.screenshot({ fullPage: true, path: screenshots && `${screenshots}/${name}.png` });
    assert.ok(image.length > 5_000, `${name}: a screenshot of ${image.length} bytes is empty`);
  }

  test("logging in requires the key of an admin", () =>
    visit(async (page, context) => {
      for (const path of ["/admin", "/admin/items", "/admin/models"]) {
        await page.goto(base + path);
        assert.equal(page.url(), `${base}/admin/login`);
      }
      await screenshot(page, "login");
      await page.getByLabel("Admin key").fill("verge_made_up");
      await page.getByRole("button", { name: "Log in" }).click();
      assert.match(await page.getByRole("alert").innerText(), /not valid/);
      assert.deepEqual(await context.cookies(), []);
    }));

  test("the cookie is inaccessible to scripts and other sites, and is invalid after logging out", () =>
    visit(async (page, context) => {
      await logIn(page);
      const [cookie, ...others] = await context.cookies();
      assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path, others.length], [true, "Strict", "/admin", 0]);
      assert.ok(!cookie.value.includes(key));
      await page.getByRole("button", { name: "Log out" }).click();
      await page.waitForURL(`${base}/admin/login`);
      await context.addCookies([cookie]);
      await page.goto(`${base}/admin`);
      assert.equal(page.url(), `${base}/admin/login`);
    }));

  test("the overview shows metrics and regions, and reports a missing destination", () =>
    visit(async (page) => {
      await logIn(page);
      const tiles = await page.locator(".tile .label").allInnerTexts();
      assert.deepEqual(tiles, ["Events", "Lag", "Recommendations", "Items", "Newest event", "Published"]);
      assert.equal(await page.locator("figure svg[role=img]").count(), 2);
      assert.ok((await page.locator("tbody tr").allInnerTexts()).at(-1).startsWith("world"));
      await page.locator("figure .line").first().waitFor({ state: "attached", timeout: 1 }).catch(() => {});
      await screenshot(page, "overview");
      await page.getByRole("button", { name: "Publish now" }).click();
      assert.match(await page.getByRole("status").innerText(), /publish_to|Publishing/);
    }));

  test("an item is shown with its neighbours and their reasons", () =>
    visit(async (page) => {
      await logIn(page);
      await page.getByRole("link", { name: "Items" }).click();
      const first = page.locator(".items li").first();
      const id = new URL(await first.getByRole("link").getAttribute("href"), base).searchParams.get("item");
      await page.getByLabel("Item").fill(id);
      await page.getByRole("button", { name: "Look up" }).click();
      await page.getByRole("heading", { name: "Recommendations for this item" }).waitFor();
      const reasons = await page.locator("section").first().locator(".why").allInnerTexts();
      assert.ok(reasons.length >= 5 && reasons.every((reason) => /viewed together|similar|bought together|popular/.test(reason)), reasons.join());
      await screenshot(page, "items");
      await page.getByLabel("Item").fill("<b>no such item");
      await page.getByRole("button", { name: "Look up" }).click();
      assert.match(await page.getByRole("alert").innerText(), /contains no item <b>no such item/);
    }));

  test("the models page shows metrics and the promoted model", () =>
    visit(async (page) => {
      await logIn(page);
      await page.getByRole("link", { name: "Models" }).click();
      assert.equal(await page.locator("tr.serves").count(), 1);
      assert.match(await page.locator("tr.serves td.number").nth(1).innerText(), /^0\.\d{4}$|^–$/);
      await screenshot(page, "models");
    }));

  test("the page supports small screens and dark mode", () =>
    visit(async (page) => {
      await logIn(page);
      await screenshot(page, "overview-small");
      await page.getByRole("link", { name: "Items" }).click();
      await screenshot(page, "items-small");
    }, { viewport: { width: 390, height: 844 }, colorScheme: "dark" }));
});
