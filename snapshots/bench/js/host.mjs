// Runs the cases in wasm, in Node and in workerd.

/** Measures all cases in passes of `ms`. */
export function measure(module, inputs, ms) {
  const { exports } = new WebAssembly.Instance(module, {
    host: { now: () => performance.now() * 1e6 },
  });
  const at = exports.input(inputs.length);
  new Uint8Array(exports.memory.buffer, at, inputs.length).set(inputs);
  const cases = exports.prepare();
  if (cases === 0) throw new Error("the inputs cannot be read");
  return Array.from({ length: cases }, (_, number) => {
    const json = exports.run(number, ms * 1e6);
    const bytes = new Uint8Array(exports.memory.buffer, json, exports.output_length());
    return JSON.parse(new TextDecoder().decode(bytes));
  });
}
