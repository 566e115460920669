// Asks the page's scorer what the native one was asked, and compares whole answers.
//
//   node page.mjs DIRECTORY_OF_SCORER DIRECTORY_OF_CASES

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, given] = process.argv.slice(2);
const { default: init, Scorer } = await import(pathToFileURL(join(program, "scorer.js")));
const { memory } = await init({ module_or_path: readFileSync(join(program, "scorer_bg.wasm")) });
const { now, lengths, cases } = JSON.parse(readFileSync(join(given, "cases.json"), "utf8"));
const scorer = new Scorer(readFileSync(join(given, "blobs")), Uint32Array.from(lengths));
const lines = (query) => [...new URLSearchParams(query)].flat().join("\n");
// What the rules' hours go by.
Date.now = () => now;
let settled;
for (const [place, { similar, popular, query, cookie, device, expected }] of cases.entries()) {
  scorer.tell(undefined, device);
  const asked = lines(query);
  const found = similar ? scorer.similar(similar, asked, now) : popular ? scorer.popular(asked, now) : scorer.recommend(asked, cookie, now);
  assert.deepEqual(JSON.parse(found), expected, `${similar ?? ""} ${query} ${cookie}`);
  if (place === cases.length >> 2) settled = memory.buffer.byteLength;
}
const grown = memory.buffer.byteLength - settled;
assert.ok(grown <= 1 << 18, `${grown} bytes more after ${cases.length} answers than after a quarter of them`);
console.log(`${cases.length} alike`);
