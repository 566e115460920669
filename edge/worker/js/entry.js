// The Worker's entry module: hands each event to the wasm instance, and replaces an instance that aborted.
import * as worker from "./index.js";
import * as live from "./live.js";

// Counts the instances that there were.
let instance = 0;
// What ended the last of them; it may be heard of twice.
let last;
// How often a request that waits looks whether its instance is still there, in ms.
const LOOK = 100;

// Replaces an instance that aborted, at once: what it still waits for must meet neither it nor its successor, and is
// turned away as soon as there is one.
function noteAbort(error) {
  // Where a call of the instance's own was on the way, wasm-bindgen wraps the error.
  const trap = [error, error?.cause].find((one) => one instanceof WebAssembly.RuntimeError);
  if (!trap || trap === last) return;
  last = trap;
  worker.__wbg_reset_state();
  instance += 1;
}

addEventListener("error", (event) => noteAbort(event.error));
addEventListener("unhandledrejection", (event) => noteAbort(event.reason));

// What a promise of the instance gives; an error where the instance has aborted meanwhile, as it never answers what it
// was working on. Every request looks for itself: Workers do not let one wake another.
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

  // Where it fails, the queue gives again whatever was not settled.
  async queue(batch, env) {
    try {
      await settled(worker.queue(batch, env));
    } catch (error) {
      noteAbort(error);
      throw error;
    }
  },
};
