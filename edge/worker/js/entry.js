// The Worker's entry module: passes each event to the wasm instance, and replaces an instance that aborted.
import * as worker from "./index.js";
import * as live from "./live.js";

// Number of replaced instances.
let instance = 0;
// The error that ended the last one. It may be reported twice.
let last;
// How often a waiting request checks whether its instance has aborted, in ms.
const LOOK = 100;

// Replaces an aborted instance at once. Promises of the old one must resume neither it nor its successor; `settled` rejects
// them.
function noteAbort(error) {
  // wasm-bindgen wraps the error if a call from the instance was in progress.
  const trap = [error, error?.cause].find((one) => one instanceof WebAssembly.RuntimeError);
  if (!trap || trap === last) return;
  last = trap;
  worker.__wbg_reset_state();
  instance += 1;
}

addEventListener("error", (event) => noteAbort(event.error));
addEventListener("unhandledrejection", (event) => noteAbort(event.reason));

// The value of an instance's promise, or an error if the instance aborts meanwhile, since its promises then never settle.
// Every request polls for itself, because Workers do not let one request wake another.
async function settled(promise) {
  const mine = instance;
  let timer;
  const aborted = new Promise((_, fail) => {
    timer = setInterval(() => {
      if (instance !== mine) fail(new Error("the instance has aborted"));
    }, LOOK);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    clearInterval(timer);
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

function handle(request, env, ctx) {
  try {
    const answer = worker.fetch(request, env, ctx);
    return answer instanceof Response ? answer : settled(answer).catch(failed);
  } catch (error) {
    return failed(error);
  }
}

export default {
  fetch(request, env, ctx) {
    const answer = handle(request, env, ctx);
    if (answer.status !== 426 || request.headers.get("upgrade")?.toLowerCase() !== "websocket") return answer;
    return live.accept(request, (asked) => handle(asked, env, ctx));
  },

  // If this throws, the queue retries all messages that were not acknowledged.
  async queue(batch, env) {
    try {
      await settled(worker.queue(batch, env));
    } catch (error) {
      noteAbort(error);
      throw error;
    }
  },
};
