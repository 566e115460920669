// Asks the page's scorer what the native one was asked, and compares whole answers.
//
//   node page.mjs DIRECTORY_OF_SCORER DIRECTORY_OF_CASES

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, given] = process.argv.slice(2);
const { default: init, Scorer } = await import(pathToFileURL(join(program, "scorer.js")));
await init({ module_or_path: readFileSync(join(program, "scorer_bg.wasm")) });
const { now, lengths, cases } = JSON.parse(readFileSync(join(given, "cases.json"), "utf8"));
const scorer = new Scorer(readFileSync(join(given, "blobs")), Uint32Array.from(lengths));
const minuteOfWeek = (zone) => (zone === "Etc/UTC" ? (Math.floor(now / 60_000) + 3 * 1_440) % (7 * 1_440) : -1);
for (const { similar, popular, query, cookie, device, expected } of cases) {
  scorer.tell(undefined, device, minuteOfWeek);
  const found = similar ? scorer.similar(similar, query, now) : popular ? scorer.popular(query, now) : scorer.recommend(query, cookie, now);
  assert.deepEqual(found, expected, `${similar ?? ""} ${query} ${cookie}`);
}
console.log(`${cases.length} alike`);
