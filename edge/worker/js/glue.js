// What the Worker asks of a request and of a response, each in one call: a crossing between wasm and JavaScript
// costs about as much as scoring a visitor.

// The request's method, address and the headers in `head.rs`, a line each. None of them can hold a line break.
export function head(request) {
  const { method, url, headers } = request;
  const get = (name) => headers.get(name) ?? "";
  // `cf` is made anew from JSON where it is asked for, which takes 20 µs; Cloudflare mostly sends the header too.
  const country = headers.get("cf-ipcountry") ?? request.cf?.country;
  return `${method}\n${url}\n${typeof country === "string" ? country : ""}\n${get("cookie")}\n${get("origin")}\n${get(
    "if-none-match",
  )}\n${get("sec-gpc")}\n${get("content-length")}`;
}

let lastLines = "";
let lastHeaders = new Headers();

// The request's body; `undefined` where it is longer than `limit` bytes.
export async function body(request, limit) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  chunks.reduce((at, chunk) => (bytes.set(chunk, at), at + chunk.byteLength), 0);
  return bytes;
}

// Sends JSON, with a bearer token where there is one, and gives the answer's status.
export async function post(url, token, body, patience) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(patience);
  const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
  await response.body?.cancel();
  return response.status;
}

// A response from its status, its headers (name and value in turn, a line each) and its body, if any. Most answers
// have the headers of the one before, and a `Headers` is copied five times faster than it is made.
export function respond(status, lines, body) {
  if (lines !== lastLines) {
    lastHeaders = new Headers();
    const parts = lines.split("\n");
    for (let at = 0; at + 1 < parts.length; at += 2) lastHeaders.append(parts[at], parts[at + 1]);
    lastLines = lines;
  }
  return new Response(body, { status, headers: lastHeaders });
}
