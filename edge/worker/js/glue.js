// What the Worker asks of a request and of a response, each in one call: a crossing between wasm and JavaScript
// costs about as much as scoring a visitor.

import { device } from "../../visitor.js";

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

// What rules ask of a visitor: device, time zone, continent and subdivision, a line each. Only called where a snapshot
// has rules or finer regions than countries.
export function details({ headers, cf }) {
  const hint = headers.get("sec-ch-ua-mobile");
  const line = (value) => (typeof value === "string" ? value : "");
  const by = device(headers.get("user-agent") ?? "", hint ? hint === "?1" : undefined);
  return `${by}\n${line(cf?.timezone)}\n${line(cf?.continent)}\n${line(cf?.regionCode)}`;
}

// Whether `signature` (base64url) is the HMAC-SHA-256 of `text` by `secret`.
export async function verify(secret, text, signature) {
  const bytes = (text) => new TextEncoder().encode(text);
  try {
    const digits = atob(signature.replaceAll("-", "+").replaceAll("_", "/"));
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes(secret), algorithm, false, ["verify"]);
    return await crypto.subtle.verify("HMAC", key, Uint8Array.from(digits, (digit) => digit.charCodeAt(0)), bytes(text));
  } catch {
    return false;
  }
}

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

// Sends a body, with a bearer token where there is one, and gives the answer's status.
export async function post(url, token, type, body, patience) {
  const headers = { "content-type": type };
  if (token) headers.authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(patience);
  const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
  await response.body?.cancel();
  return response.status;
}

// Puts a message into the queue of events.
export async function enqueue(env, message, patience) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error("it does not answer")), patience);
  });
  await Promise.race([env.EVENTS.send(message, { contentType: "text" }), late]).finally(() => clearTimeout(timer));
}

// The bodies of a batch of the queue.
export function messages(batch) {
  return batch.messages.map(({ body }) => (typeof body === "string" ? body : ""));
}

// The queue is done with these messages, or is to give them again, later each time, up to half an hour.
export function settle(batch, first, end, done) {
  for (const message of batch.messages.slice(first, end)) {
    if (done) message.ack();
    else message.retry({ delaySeconds: Math.min(2 ** message.attempts, 1800) });
  }
}

// Whether the client may ask once more, by its address, of which it may have 2^64 where they are of version 6.
export async function within(env, limit, request) {
  const address = request.headers.get("cf-connecting-ip");
  if (!address) return true;
  const [head, tail] = address.split("::").map((part) => part.split(":"));
  const zeros = tail ? Array(Math.max(0, 8 - head.length - tail.length)).fill("0") : [];
  const key = [...head, ...zeros, ...(tail ?? [])].slice(0, 4).join(":");
  return (await env[limit].limit({ key })).success;
}

// Writes a point of metrics.
export function measure(env, point) {
  env.METRICS.writeDataPoint(point);
}

let lastLines = "";
let lastHeaders = new Headers();

// A response from its status, its headers (name and value in turn, a line each), its ETag, if any, and its body, if any.
// Most answers have the headers of the one before but for the ETag, and a `Headers` is copied five times faster than it
// is made.
export function respond(status, lines, tag, body) {
  if (lines !== lastLines) {
    lastHeaders = new Headers();
    const parts = lines.split("\n");
    for (let at = 0; at + 1 < parts.length; at += 2) lastHeaders.append(parts[at], parts[at + 1]);
    lastLines = lines;
  }
  const response = new Response(body, { status, headers: lastHeaders });
  if (tag) response.headers.set("etag", tag);
  return response;
}
