// The npm package as a storefront installs it: its API, its sizes, and a new Vite project that installs, type-checks, builds
// and runs it, also offline. The project is skipped if the npm registry is unreachable.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { base, inBrowser } from "./browser.mjs";

const here = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const built = here("target/browser/package");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

/** Serves a directory, and the Worker's API below /v1, and calls `check` with the URL. */
async function serve(directory, check) {
  const server = createServer(async ({ url, method, headers }, response) => {
    const { pathname } = new URL(url, "http://site");
    try {
      if (pathname.startsWith("/v1/")) {
        const answer = await fetch(base + url, { method, headers: { cookie: headers.cookie ?? "" } });
        const bytes = Buffer.from(await answer.arrayBuffer());
        return response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" }).end(bytes);
      }
      const file = join(directory, pathname === "/" ? "index.html" : pathname);
      const bytes = readFileSync(file);
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await check(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const inTemporary = async (work) => {
  const directory = mkdtempSync(join(tmpdir(), "verge-"));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

inBrowser("the package", (visit) => {
  test("its API equals the approved reference", () => {
    for (const file of readdirSync(here("edge/browser/npm/api"))) {
      const [agreed, now] = [here("edge/browser/npm/api"), join(built, "api")].map((folder) => readFileSync(join(folder, file), "utf8"));
      assert.equal(now, agreed, `the API has changed; where that is meant: cp target/browser/package/api/${file} edge/browser/npm/api/`);
    }
  });

  test("its files are within their size budgets", () => {
    for (const file of ["index.js", "element.js"]) {
      const { length } = gzipSync(readFileSync(join(built, file)), { level: 9 });
      assert.ok(length <= 4096, `${file} has ${length} bytes gzipped`);
    }
    assert.deepEqual(Object.keys(JSON.parse(readFileSync(join(built, "package.json"))).dependencies ?? {}), []);
  });

  test("a new Vite project installs, type-checks, builds and runs it, and opens again offline", (t) =>
    inTemporary(async (project) => {
      const run = (program, ...given) => execFileSync(program, given, { cwd: project, stdio: "pipe", timeout: 180_000 });
      const packed = JSON.parse(run("npm", "pack", built, "--json", "--pack-destination", project))[0];
      assert.ok(packed.files.some(({ path }) => path === "index.d.ts"));
      writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
      try {
        run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", `./${packed.filename}`, "vite@8", "typescript@6.0", "react@19", "react-dom@19", "@types/react@19", "@types/react-dom@19");
      } catch (error) {
        return t.skip(`npm cannot install Vite here: ${String(error.stderr).slice(0, 200)}`);
      }
      mkdirSync(join(project, "src"));
      const recipes = join(project, "node_modules/verge-browser/recipes");
      for (const recipe of ["react.tsx", "hydrogen.ts", "gtm.ts"]) cpSync(join(recipes, recipe), join(project, "src", recipe));
      writeFileSync(join(project, "src/react-app.tsx"), `
        import { createRoot } from "react-dom/client";
        import { Recommendations, useRecommendations } from "./react.js";
        function App() {
          const answer = useRecommendations({ limit: 3 });
          return <main><p>{answer?.items.length}</p><Recommendations popular limit={2} heading="Wanted" href="/p/{id}" /></main>;
        }
        createRoot(document.getElementById("app")!).render(<App />);
      `);
      writeFileSync(join(project, "react.html"), `<!doctype html><html lang="en"><title></title><div id="app"></div>
        <script type="module" src="/src/react-app.tsx"></script>`);
      writeFileSync(join(project, "vite.config.js"), `
        export default { build: { rolldownOptions: { input: ["index.html", "react.html"], onwarn: () => {} } } };
      `);
      writeFileSync(join(project, "src/main.ts"), `
        import { createClient, type Answer } from "verge-browser";
        import "verge-browser/element";
        import { bridge } from "./gtm.js";
        const verge = createClient({ region: "gb", items: [{ id: "fixed" }] });
        const layer: { event?: string }[] = [];
        bridge(verge, layer);
        const list = document.querySelector("verge-recommendations")!;
        list.client = verge;
        list.addEventListener("verge-answer", (heard) => document.title = (heard as CustomEvent<Answer>).detail.source);
        Object.assign(globalThis, { verge, layer });
        await navigator.serviceWorker.register("/sw.js");
      `);
      writeFileSync(join(project, "index.html"), `<!doctype html><html lang="en"><title></title>
        <script type="module" src="/src/main.ts"></script>
        <verge-recommendations popular limit="4" heading="Wanted" href="/p/{id}"></verge-recommendations>`);
      writeFileSync(join(project, "tsconfig.json"), JSON.stringify({
        compilerOptions: { target: "es2022", module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom", "dom.iterable"],
          strict: true, noEmit: true, jsx: "react-jsx", exactOptionalPropertyTypes: true },
        include: ["src"],
      }));
      try {
        run("npx", "tsc", "--project", ".");
        run("npx", "vite", "build", "--logLevel", "warn");
      } catch (error) {
        assert.fail(`${error.stdout}${error.stderr}`);
      }
      cpSync(join(recipes, "sw.js"), join(project, "dist/sw.js"));
      await serve(join(project, "dist"), (site) =>
        visit(async (page) => {
          await page.goto(site);
          await page.waitForFunction(() => document.title === "edge");
          await page.evaluate(() => layer.push({ event: "view_item", ecommerce: { items: [{ item_id: "bridged" }] } }));
          assert.equal((await page.evaluate(() => verge.recents()))[0].item, "bridged");
          assert.ok(await page.evaluate(() => verge.prepare()));
          // The service worker controls the page from the second visit, which fills its cache.
          await page.evaluate(() => navigator.serviceWorker.ready);
          await page.reload();
          await page.waitForFunction(() => document.title === "edge" && navigator.serviceWorker.controller);
          assert.ok(await page.evaluate(() => verge.prepare()));
          const react = await page.context().newPage();
          await react.goto(`${site}/react.html`);
          await react.locator("verge-recommendations [part=card]:not(.bone)").nth(1).waitFor();
          await react.getByText("3", { exact: true }).waitFor();
          await react.close();
          await page.context().setOffline(true);
          await page.reload();
          await page.waitForFunction(() => document.title === "browser");
          assert.equal(await page.locator("verge-recommendations [part=card]:not(.bone)").count(), 4);
        }, { expected: /ERR_INTERNET_DISCONNECTED|ERR_FAILED|status of 40/ }));
    }));

  test("the tag for Google Tag Manager sends what the data layer held and what is pushed", () =>
    inTemporary(async (site) => {
      const tag = readFileSync(join(built, "recipes/gtm.html"), "utf8");
      const pushed = (event, id) => `dataLayer.push(${JSON.stringify({ event, ecommerce: { items: [{ item_id: id }] } })})`;
      writeFileSync(join(site, "index.html"), `<!doctype html><html lang="en"><title></title><script>
        var dataLayer = [{ event: "consent" }]; ${pushed("view_item", "before")}</script>${tag}
        <script>${pushed("add_to_cart", "after")}; ${pushed("view_promotion", "other")}</script>`);
      await serve(site, (address) =>
        visit(async (page) => {
          const sent = [];
          await page.route("**/v1/events", (route) => {
            sent.push(JSON.parse(route.request().postData()));
            return route.fulfill({ status: 202, body: "{}" });
          });
          await page.goto(address);
          for (let tries = 0; tries < 100 && sent.length < 2; tries++) await page.waitForTimeout(20);
          assert.equal(await page.evaluate(() => dataLayer.length), 4);
          assert.deepEqual(sent.map(({ event, ecommerce }) => [event, ecommerce.items[0].item_id]), [["view_item", "before"], ["add_to_cart", "after"]]);
          // The edge takes the bodies as they are.
          for (const body of sent) {
            const answer = await fetch(`${base}/v1/events`, { method: "POST", body: JSON.stringify(body) });
            assert.equal(answer.status, 202, await answer.text());
          }
        }, { expected: /status of 40/ }));
    }));

  for (const recipe of ["plain", "tablet"]) {
    test(`the recipe ${recipe}.html runs`, () =>
      inTemporary(async (site) => {
        cpSync(built, join(site, "verge"), { recursive: true });
        cpSync(join(built, "recipes", `${recipe}.html`), join(site, "index.html"));
        const manifest = await (await fetch(`${base}/v1/snapshots/manifest/gb`)).json();
        const blob = await fetch(`${base}/v1/snapshots/blob/${manifest.lite.hash}`).then((answer) => answer.arrayBuffer());
        for (const folder of ["manifest", "blob"]) mkdirSync(join(site, "snapshots", folder), { recursive: true });
        writeFileSync(join(site, "snapshots/manifest/gb"), JSON.stringify(manifest));
        writeFileSync(join(site, "snapshots/blob", manifest.lite.hash), Buffer.from(blob));
        await serve(site, (address) =>
          visit(async (page) => {
            await page.goto(address);
            await page.locator("verge-recommendations [part=card]:not(.bone)").nth(7).waitFor();
            const { source } = await page.evaluate(() => document.querySelector("verge-recommendations").answer);
            assert.equal(source, recipe === "tablet" ? "browser" : "edge");
          }, { expected: /status of 40/ }));
      }));
  }
});
