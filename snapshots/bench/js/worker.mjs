// Runs the cases in workerd. The request body contains the inputs.
import { measure } from "./host.mjs";
import module from "./bench.wasm";

export default {
  async fetch(request) {
    const ms = Number(new URL(request.url).searchParams.get("ms"));
    return Response.json(measure(module, await request.bytes(), ms));
  },
};
