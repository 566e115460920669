// Runs tests in Chromium against a Worker that serves a published demo.
//
//   VERGE_URL=http://127.0.0.1:8787 node --test tests/shop/*.test.mjs
//
// CHROMIUM is the path of the browser if it is not one of the usual ones. SCREENSHOTS is a directory for screenshots
// (optional). Without a browser or VERGE_URL, all tests are skipped with a message.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe } from "node:test";

/** The base URL of the Worker. */
export const base = process.env.VERGE_URL?.replace(/\/$/, "");
const browserPath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => path && existsSync(path));
const skip = !base
  ? "VERGE_URL is not set: start `cargo xtask demo` and set it to the address it prints"
  : !browserPath && "no Chromium found: install it (`apt-get install chromium`) or set CHROMIUM to its path";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts a browser for the suite `name` and calls `tests` with `visit`. The suite may take `timeout` ms. */
export function inBrowser(name, tests, timeout = 300_000) {
  if (skip) console.log(`skipped: ${name} in a browser: ${skip}`);
  describe(name, { skip, timeout }, () => {
    let browser;
    before(async () => {
      const { chromium } = await import("playwright-core");
      browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
    });
    after(() => browser?.close());

    /**
     * Runs `check` on a page of a new visitor without cookies. Fails on console errors and warnings that do not match
     * `expected`.
     */
    async function visit(check, { expected = /^$/, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(15_000);
      const problems = [];
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()) && !expected.test(message.text())) problems.push(message.text());
      });
      page.on("pageerror", (error) => problems.push(String(error)));
      try {
        await check(page);
        assert.deepEqual(problems, []);
      } finally {
        await context.close();
      }
    }
    tests(visit);
  });
}

/** Takes a screenshot of a page or element if SCREENSHOTS is set. */
export async function screenshot(part, name) {
  if (process.env.SCREENSHOTS) await part.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}
