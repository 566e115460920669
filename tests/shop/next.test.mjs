// The recipes for React in a new Next.js app with the app router: it is built, started and clicked. Skipped if the npm registry
// is unreachable.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { base, inBrowser } from "./browser.mjs";

const built = fileURLToPath(new URL("../../target/browser/package", import.meta.url));
const FILES = {
  "package.json": JSON.stringify({ private: true }),
  "app/layout.tsx": `
    export default function Layout({ children }: { children: React.ReactNode }) {
      return <html lang="en"><head><link rel="icon" href="data:," /></head><body>{children}</body></html>;
    }`,
  "app/page.tsx": `"use client";
    import { useRecommendations } from "./react";
    export default function Home() {
      const answer = useRecommendations({ limit: 3 });
      return <ul>{answer?.items.map(({ id, name }) => <li key={id}>{name ?? id}</li>)}</ul>;
    }`,
  "app/p/[id]/page.tsx": `
    import { Suspense } from "react";
    import { Recommendations } from "../../react";
    import { Recommended } from "../../react-server";
    export default async function Page({ params }: { params: Promise<{ id: string }> }) {
      const { id } = await params;
      return <main>
        <h1>{id}</h1>
        <Suspense fallback={<p>…</p>}><Recommended item={id} /></Suspense>
        <Recommendations popular limit={4} heading="Wanted" href="/p/{id}" />
      </main>;
    }`,
};

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

inBrowser("Next.js", (visit) => {
  test("an app with the recipes builds, renders on the server and in the page, and tracks clicks", async (t) => {
    const app = mkdtempSync(join(tmpdir(), "verge-next-"));
    const env = { ...process.env, VERGE_URL: base, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };
    const run = (program, ...given) => execFileSync(program, given, { cwd: app, env, stdio: "pipe", timeout: 240_000 });
    let server;
    try {
      for (const [file, text] of Object.entries(FILES)) {
        mkdirSync(join(app, file, ".."), { recursive: true });
        writeFileSync(join(app, file), text);
      }
      const packed = JSON.parse(run("npm", "pack", built, "--json", "--pack-destination", app))[0];
      try {
        run("npm", "install", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", `./${packed.filename}`,
          "next@16", "react@19", "react-dom@19", "typescript@6.0", "@types/react@19", "@types/node@22");
      } catch (error) {
        return t.skip(`npm cannot install Next.js here: ${String(error.stderr).slice(0, 200)}`);
      }
      const recipes = join(app, "node_modules/verge-browser/recipes");
      for (const recipe of ["react.tsx", "react-server.tsx"]) cpSync(join(recipes, recipe), join(app, "app", recipe));
      cpSync(join(recipes, "next.config.mjs"), join(app, "next.config.mjs"));
      try {
        run(process.execPath, "node_modules/next/dist/bin/next", "build");
      } catch (error) {
        assert.fail(`${error.stdout}${error.stderr}`);
      }
      const port = await freePort();
      const site = `http://127.0.0.1:${port}`;
      server = spawn(process.execPath, ["node_modules/next/dist/bin/next", "start", "-p", `${port}`, "-H", "127.0.0.1"], { cwd: app, env, stdio: "ignore" });
      for (let tries = 0; ; tries++) {
        if (await fetch(site).then((answer) => answer.ok, () => false)) break;
        assert.ok(tries < 100 && server.exitCode === null, "next start does not answer");
        await pause(200);
      }
      const popular = await (await fetch(`${base}/v1/popular?limit=1`)).json();
      const { id } = popular.items[0];
      await visit(async (page) => {
        await page.goto(`${site}/p/${id}`);
        const [rendered, loaded] = [0, 1].map((place) => page.locator("verge-recommendations").nth(place));
        await loaded.locator("[part=card]:not(.bone)").nth(3).waitFor();
        assert.equal(await rendered.locator("[data-item]").count(), 8);
        assert.equal(await rendered.evaluate((element) => element.answer.items.length), 8, "the element has not taken the list over");
        await rendered.locator("a").first().click();
        await page.waitForURL((url) => url.pathname !== `/p/${id}`);
        const clicked = decodeURIComponent(new URL(page.url()).pathname.split("/").pop());
        await page.waitForFunction((item) => document.cookie.includes(encodeURIComponent(item)), clicked);
        await page.goto(site);
        await page.locator("li").nth(2).waitFor();
      });
    } finally {
      if (server && server.exitCode === null) {
        server.kill();
        await once(server, "exit");
      }
      rmSync(app, { recursive: true, force: true });
    }
  });
}, 600_000);
