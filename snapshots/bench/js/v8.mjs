// node v8.mjs WASM INPUTS MS: runs the cases in Node's V8.
import { readFileSync } from "node:fs";
import { measure } from "./host.mjs";

const [wasm, inputs, ms] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(wasm));
console.log(JSON.stringify(measure(module, readFileSync(inputs), Number(ms))));
