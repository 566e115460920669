// JavaScript functions that the Worker calls. Each does all it can in one call, since a call between wasm and JavaScript
// costs about as much as scoring a visitor.

import { device } from "../../visitor.js";

// The request's method, URL and the headers of `head.rs`, one per line. None of them can contain a line break.
export function head(request) {
  const { method, url, headers } = request;
  const get = (name) => headers.get(name) ?? "";
  // Reading `cf` parses JSON, which takes 20 µs; Cloudflare usually sends the header too.
  const country = headers.get("cf-ipcountry") ?? request.cf?.country;
  return `${method}\n${url}\n${typeof country === "string" ? country : ""}\n${get("cookie")}\n${get("origin")}\n${get(
    "if-none-match",
  )}\n${get("sec-gpc")}\n${get("content-length")}`;
}

// A client's network: its IP address, or the first 64 bits of it, since an IPv6 client may have a /64 network.
function network({ headers }) {
  const address = headers.get("cf-connecting-ip") ?? "";
  const [head, tail] = address.split("::").map((part) => part.split(":"));
  const zeros = tail ? Array(Math.max(0, 8 - head.length - tail.length)).fill("0") : [];
  return [...head, ...zeros, ...(tail ?? [])].slice(0, 4).join(":");
}

// What tells who sends events, one per line. Called only for events.
export function sender(request) {
  const get = (name) => request.headers.get(name) ?? "";
  // Of Cloudflare's bot management, where the zone has it: scores below 30 are likely automated, 0 is none.
  const { score = 0, verifiedBot } = request.cf?.botManagement ?? {};
  const judged = verifiedBot === true || (score > 0 && score < 30) ? "bot" : "";
  return [get("authorization"), get("sec-fetch-site"), network(request), judged, get("user-agent")].join("\n");
}

// The visitor's device, time zone, continent and subdivision, one per line. Called only if a snapshot has rules or finer
// regions than countries.
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

// The request's body; `undefined` if it is longer than `limit` bytes.
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

// Posts a body to the origin, with a bearer token if there is one, and returns the status. The origin keeps the ids of
// events from this public door apart from those of the shop's servers.
export async function post(url, token, type, body, timeout) {
  const headers = { "content-type": type, "verge-door": "public" };
  if (token) headers.authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(timeout);
  const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
  await response.body?.cancel();
  return response.status;
}

// Writes a message to the queue of events.
export async function enqueue(env, message, timeout) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error("timed out")), timeout);
  });
  await Promise.race([env.EVENTS.send(message, { contentType: "text" }), late]).finally(() => clearTimeout(timer));
}

// The messages of a queue's batch.
export function messages(batch) {
  return batch.messages.map(({ body }) => (typeof body === "string" ? body : ""));
}

// Acknowledges messages, or retries them with exponential backoff up to half an hour.
export function settle(batch, first, end, done) {
  for (const message of batch.messages.slice(first, end)) {
    if (done) message.ack();
    else message.retry({ delaySeconds: Math.min(2 ** message.attempts, 1800) });
  }
}

// Whether the client is within a rate limit, if the request counts so many times.
export async function within(env, limit, request, times) {
  const key = network(request);
  for (let time = 0; key && time < times; time += 1) {
    if (!(await env[limit].limit({ key })).success) return false;
  }
  return true;
}

// Writes a data point to Analytics Engine.
export function measure(env, point) {
  env.METRICS.writeDataPoint(point);
}

let lastLines = "";
let lastHeaders = new Headers();

// A response from its status, headers (alternating lines of name and value), ETag and body. Most answers have the same
// headers as the one before except for the ETag, and copying a `Headers` is five times faster than building one.
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
