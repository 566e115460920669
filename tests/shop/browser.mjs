// A real Chromium, against a Worker that serves a published demo.
//
//   VERGE_URL=http://127.0.0.1:8787 node --test tests/shop/*.test.mjs
//
// CHROMIUM names the browser where it is not one of the usual paths. Without a browser, or without VERGE_URL,
// every test is skipped and says so. SCREENSHOTS names a directory for pictures.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe } from "node:test";

/** Where the Worker answers. */
export const base = process.env.VERGE_URL?.replace(/\/$/, "");
const browserPath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => path && existsSync(path));
const skip = !base
  ? "VERGE_URL is not set: start `cargo xtask demo` and set it to the address it prints"
  : !browserPath && "no Chromium found: install it (`apt-get install chromium`) or name it in CHROMIUM";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Tests `what` in a browser: `tests` is called with `visit`. */
export function inBrowser(what, tests) {
  if (skip) console.log(`skipped: ${what} in a browser: ${skip}`);
  describe(what, { skip, timeout: 300_000 }, () => {
    let browser;
    before(async () => {
      const { chromium } = await import("playwright-core");
      browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
    });
    after(() => browser?.close());

    /**
     * Runs `check` on a page of a new visitor, who has no cookies, and fails on whatever the console complains of, but
     * for what is `expected`.
     */
    async function visit(check, { expected = /^$/, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(15_000);
      const complaints = [];
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()) && !expected.test(message.text())) complaints.push(message.text());
      });
      page.on("pageerror", (error) => complaints.push(String(error)));
      try {
        await check(page);
        assert.deepEqual(complaints, []);
      } finally {
        await context.close();
      }
    }
    tests(visit);
  });
}

/** Keeps a picture of the page or of a part of it, where SCREENSHOTS says so. */
export async function picture(part, name) {
  if (process.env.SCREENSHOTS) await part.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}
