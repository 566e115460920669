// The operators' page in a real Chromium, against a running `verge serve`.
//
//   VERGE_URL=http://127.0.0.1:8080 VERGE_KEY=… node --test tests/admin/*.test.mjs
//
// VERGE_KEY is an admin's key; SCREENSHOTS names a directory to keep pictures in. Without a browser, or without an
// address and a key, every test is skipped and says so.

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";

const base = process.env.VERGE_URL?.replace(/\/$/, "");
const key = process.env.VERGE_KEY;
const pictures = process.env.SCREENSHOTS;
const browserPath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => path && existsSync(path));
const skip = !(base && key)
  ? "VERGE_URL or VERGE_KEY is not set: start `verge serve` and make a key by `verge keys add me --role admin`"
  : !browserPath && "no Chromium found: install it (`apt-get install chromium`) or name it in CHROMIUM";
if (skip) console.log(`skipped: the operators' page in a browser: ${skip}`);

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

describe("the operators' page", { skip, timeout: 120_000 }, () => {
  let browser;
  before(async () => {
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
    if (pictures) mkdirSync(pictures, { recursive: true });
  });
  after(() => browser?.close());

  /** Runs `check` on a page; fails on complaints of the console, and on requests to any other host. */
  async function visit(check, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const complaints = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !/status of 401/.test(message.text())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(base) && !request.url().startsWith("data:")) complaints.push(`asked ${request.url()}`);
    });
    try {
      await check(page, context);
      assert.deepEqual(complaints, []);
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

  /** A picture that is kept if asked for; it has to show something, and nothing may stick out of the window. */
  async function look(page, name) {
    const { wide, high } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth - innerWidth,
      high: document.querySelector("main").getBoundingClientRect().height,
    }));
    assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
    assert.ok(high > 100, `${name}: ${high} px high`);
    const picture = await page.screenshot({ fullPage: true, path: pictures && `${pictures}/${name}.png` });
    assert.ok(picture.length > 5_000, `${name}: a picture of ${picture.length} bytes shows nothing`);
  }

  test("nobody gets in without an admin's key", () =>
    visit(async (page, context) => {
      for (const path of ["/admin", "/admin/items", "/admin/models"]) {
        await page.goto(base + path);
        assert.equal(page.url(), `${base}/admin/login`);
      }
      await look(page, "login");
      await page.getByLabel("Admin key").fill("verge_made_up");
      await page.getByRole("button", { name: "Log in" }).click();
      assert.match(await page.getByRole("alert").innerText(), /not known/);
      assert.deepEqual(await context.cookies(), []);
    }));

  test("the cookie is out of reach of scripts and other sites, and ends with the login", () =>
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

  test("the overview shows how it goes, a line a region, and that nothing is published to nowhere", () =>
    visit(async (page) => {
      await logIn(page);
      const tiles = await page.locator(".tile .label").allInnerTexts();
      assert.deepEqual(tiles, ["Events", "Lag", "Recommendations", "Items", "Newest event", "Published"]);
      assert.equal(await page.locator("figure svg[role=img]").count(), 2);
      assert.ok((await page.locator("tbody tr").allInnerTexts()).at(-1).startsWith("world"));
      await page.locator("figure .line").first().waitFor({ state: "attached", timeout: 1 }).catch(() => {});
      await look(page, "overview");
      await page.getByRole("button", { name: "Publish now" }).click();
      assert.match(await page.getByRole("status").innerText(), /publish_to|Publishing/);
    }));

  test("an item is found with its neighbours and why they are there", () =>
    visit(async (page) => {
      await logIn(page);
      await page.getByRole("link", { name: "Items" }).click();
      const first = page.locator(".items li").first();
      const id = new URL(await first.getByRole("link").getAttribute("href"), base).searchParams.get("item");
      await page.getByLabel("Item").fill(id);
      await page.getByRole("button", { name: "Look up" }).click();
      await page.getByRole("heading", { name: "Recommended beside it" }).waitFor();
      const reasons = await page.locator("section").first().locator(".why").allInnerTexts();
      assert.ok(reasons.length >= 5 && reasons.every((why) => /seen together|alike|bought together|popular/.test(why)), reasons.join());
      await look(page, "items");
      await page.getByLabel("Item").fill("<b>no such item");
      await page.getByRole("button", { name: "Look up" }).click();
      assert.match(await page.getByRole("alert").innerText(), /knows no item <b>no such item/);
    }));

  test("the models show how they did, and which one serves", () =>
    visit(async (page) => {
      await logIn(page);
      await page.getByRole("link", { name: "Models" }).click();
      assert.equal(await page.locator("tr.serves").count(), 1);
      assert.match(await page.locator("tr.serves td.number").nth(1).innerText(), /^0\.\d{4}$|^–$/);
      await look(page, "models");
    }));

  test("it is fit for a telephone and for the dark", () =>
    visit(async (page) => {
      await logIn(page);
      await look(page, "overview-small");
      await page.getByRole("link", { name: "Items" }).click();
      await look(page, "items-small");
    }, { viewport: { width: 390, height: 844 }, colorScheme: "dark" }));
});
