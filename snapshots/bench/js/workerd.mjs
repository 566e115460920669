// node workerd.mjs WASM INPUTS MS: runs the cases in workerd.
import { readFileSync } from "node:fs";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";

const [wasm, inputs, ms] = process.argv.slice(2);
const here = new URL(".", import.meta.url);
const script = (name) => readFileSync(new URL(name, here), "utf8");
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    name: "bench",
    compatibilityDate: "2026-11-01",
    modules: [
      { type: "ESModule", path: "worker.mjs", contents: script("worker.mjs") },
      { type: "ESModule", path: "host.mjs", contents: script("host.mjs") },
      { type: "CompiledWasm", path: "bench.wasm", contents: readFileSync(wasm) },
    ],
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  }),
);
try {
  const url = new URL(`?ms=${ms}`, await miniflare.unsafeGetDirectURL());
  const response = await fetch(url, { method: "POST", body: readFileSync(inputs) });
  if (!response.ok) throw new Error(await response.text());
  console.log(await response.text());
} finally {
  await miniflare.dispose();
}
