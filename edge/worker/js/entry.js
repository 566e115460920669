// The Worker's entry module: hands each event to the wasm instance, and replaces an instance that aborted.
import * as worker from "./index.js";

const state = worker.__worker_init_state();
// What an aborted instance was working on is never answered by it.
const waiting = new Set();

function noteAbort(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  state.criticalError = true;
  for (const fail of waiting) fail(error);
}

addEventListener("error", (event) => noteAbort(event.error));

// What a promise of the instance gives, or its abort, whichever comes first.
async function settled(promise) {
  const { promise: aborted, reject: fail } = Promise.withResolvers();
  waiting.add(fail);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    waiting.delete(fail);
  }
}

function failed(error) {
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

function revive() {
  if (!state.criticalError) return;
  worker.__wbg_reset_state();
  state.criticalError = false;
}

export default {
  fetch(request, env, ctx) {
    revive();
    try {
      const answer = worker.fetch(request, env, ctx);
      return answer instanceof Response ? answer : settled(answer).catch(failed);
    } catch (error) {
      return failed(error);
    }
  },

  // Where it fails, the queue gives again whatever was not settled.
  async queue(batch, env) {
    revive();
    try {
      await settled(worker.queue(batch, env));
    } catch (error) {
      noteAbort(error);
      throw error;
    }
  },
};
