// Sends the requests of the native scorer to the page's scorer and compares the answers in full.
//
//   node page.mjs SCORER_DIRECTORY CASES_DIRECTORY

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, inputs] = process.argv.slice(2);
const { default: init, Scorer } = await import(pathToFileURL(join(program, "scorer.js")));
const { memory } = await init({ module_or_path: readFileSync(join(program, "scorer_bg.wasm")) });
const { now, lengths, cases } = JSON.parse(readFileSync(join(inputs, "cases.json"), "utf8"));
const scorer = new Scorer(readFileSync(join(inputs, "blobs")), Uint32Array.from(lengths));
// The clock of rules with hours.
Date.now = () => now;
let settled;
for (const [number, { similar, popular, query, cookie, device, expected }] of cases.entries()) {
  scorer.tell(undefined, device);
  const found = similar ? scorer.similar(similar, query, now) : popular ? scorer.popular(query, now) : scorer.recommend(query, cookie, now);
  assert.deepEqual(JSON.parse(found), expected, `${similar ?? ""} ${query} ${cookie}`);
  if (number === cases.length >> 2) settled = memory.buffer.byteLength;
}
const grown = memory.buffer.byteLength - settled;
assert.ok(grown <= 1 << 18, `${grown} bytes more after ${cases.length} answers than after a quarter of them`);
console.log(`${cases.length} alike`);
