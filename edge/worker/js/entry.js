// The Worker's entry module: hands each event to the wasm instance, and replaces an instance that aborted.
import * as worker from "./index.js";

const state = worker.__worker_init_state();

function noteAbort(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

addEventListener("error", (event) => noteAbort(event.error));

export default {
  async fetch(request, env, ctx) {
    if (state.criticalError) {
      worker.__wbg_reset_state();
      state.criticalError = false;
    }
    try {
      return await worker.fetch(request, env, ctx);
    } catch (error) {
      noteAbort(error);
      console.error(error);
      const problem = {
        type: "about:blank",
        title: "Internal error",
        status: 500,
        detail: "The answer could not be computed. Try again; the error is in the Worker's log.",
      };
      return new Response(JSON.stringify(problem), {
        status: 500,
        headers: { "content-type": "application/problem+json", "cache-control": "no-store" },
      });
    }
  },
};
