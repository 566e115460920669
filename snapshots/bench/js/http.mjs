// node http.mjs SNAPSHOTS WORKER PATH VARS: runs the Worker with these snapshots in its KV and these variables (JSON), and a
// baseline Worker that answers the same number of bytes, in one workerd. Prints the ports and workerd's process id.
// SIGTERM stops it.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";

const [snapshots, worker, path, vars] = process.argv.slice(2);
const bindings = JSON.parse(vars);
const compatibilityDate = "2026-11-01";
const unsafeDirectSockets = [{ host: "127.0.0.1", port: 0 }];
const types = { ".js": "ESModule", ".mjs": "ESModule", ".wasm": "CompiledWasm" };
const modules = ["entry.js", ...readdirSync(worker, { recursive: true }).filter((file) => file !== "entry.js")]
  .map((file) => ({ path: file, type: types[file.slice(file.lastIndexOf("."))] }))
  .filter((module) => module.type)
  .map((module) => ({ ...module, contents: readFileSync(join(worker, module.path)) }));
const constant = readFileSync(new URL("constant.mjs", import.meta.url), "utf8");
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    workers: [
      { name: "verge", compatibilityDate, modules, bindings, kvNamespaces: ["SNAPSHOTS"], unsafeDirectSockets },
      {
        name: "constant",
        compatibilityDate,
        modules: [{ type: "ESModule", path: "constant.mjs", contents: constant }],
        unsafeDirectSockets,
      },
    ],
  }),
);
process.on("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit(0);
});

const kv = await miniflare.getKVNamespace("SNAPSHOTS", "verge");
for (const kind of ["blob", "manifest"]) {
  for (const file of readdirSync(join(snapshots, kind))) {
    await kv.put(`${kind}/${file}`, readFileSync(join(snapshots, kind, file)));
  }
}
const [verge, other] = await Promise.all(
  ["verge", "constant"].map((name) => miniflare.unsafeGetDirectURL(name)),
);
const response = await fetch(new URL(path, verge));
if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
await fetch(other, { method: "PUT", body: await response.text() });

function processOf(name) {
  for (const id of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [, command, parent] = readFileSync(`/proc/${id}/stat`, "utf8").match(/\((.*)\) \S (\d+)/);
      if (Number(parent) === process.pid && command === name) return Number(id);
    } catch {
      // The process has exited.
    }
  }
  return 0;
}
let pid = 0;
try {
  pid = processOf("workerd");
} catch {
  // Not Linux.
}
console.log(JSON.stringify({ verge: Number(verge.port), constant: Number(other.port), pid }));
setInterval(() => {}, 1 << 30);
