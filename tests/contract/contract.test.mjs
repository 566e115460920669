// Contract tests of edge/openapi.json: sends each example to a Worker and validates the answers against the schemas.
//
//   VERGE_URL=http://127.0.0.1:8787 node --test tests/contract/*.test.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import Ajv from "ajv/dist/2020.js";

const base = process.env.VERGE_URL;
const skip = base ? false : "VERGE_URL is not set: start `cargo xtask demo` and set it to the address it prints";
if (skip) console.log(`skipped: the examples of edge/openapi.json: ${skip}`);

const document = JSON.parse(readFileSync(new URL("../../edge/openapi.json", import.meta.url), "utf8"));

// The file allows additional properties. The tests do not, so that every property is documented.
function close(schema) {
  if (typeof schema !== "object" || schema === null) return;
  if (schema.properties && schema.additionalProperties === undefined) schema.additionalProperties = false;
  Object.values(schema).forEach(close);
}
const closed = structuredClone(document);
close(closed.components.schemas);

const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true, formats: { "date-time": isTime } });
// Keywords of OpenAPI outside its schemas.
ajv.addVocabulary(["openapi", "info", "servers", "security", "paths", "components"]);
ajv.addSchema(closed, "api");

function isTime(text) {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
}

const resolve = (value) =>
  value?.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], document) : value;

/** Asserts that `value` matches the schema at `pointer`, which may be a reference. */
function conforms(value, pointer, about) {
  const valid = ajv.getSchema(`api#${pointer}`);
  assert.ok(valid, `no schema at ${pointer}`);
  assert.ok(valid(value), `${about}: ${ajv.errorsText(valid.errors)}\n${JSON.stringify(value, null, 1)}`);
}

const escape = (key) => encodeURIComponent(key.replaceAll("~", "~0").replaceAll("/", "~1"));
const pointer = (...keys) => keys.map((key) => `/${escape(key)}`).join("");

/** Asserts that a response matches one of those that the operation documents. */
async function isDocumented(response, path, method) {
  const about = `${method} ${response.url}`;
  const { responses } = document.paths[path][method];
  const status = responses[response.status] ? `${response.status}` : "default";
  const { $ref } = responses[status];
  const documented = resolve(responses[status]);
  const at = $ref ? $ref.slice(1) : pointer("paths", path, method, "responses", status);
  for (const name of response.headers.keys()) {
    const ours = ["etag", "set-cookie", "cache-control", "server-timing"].includes(name);
    const named = Object.keys(documented.headers ?? {}).some((known) => known.toLowerCase() === name);
    assert.ok(!ours || named || status === "default" || documented.content?.["application/problem+json"],
      `${about}: the header ${name} of ${status} is not in the file`);
  }
  const [type] = (response.headers.get("content-type") ?? "").split(";");
  if (!documented.content) return assert.equal(await response.text(), "", `${about}: a body that is not in the file`);
  assert.ok(documented.content[type], `${about}: the type '${type}' is not in the file`);
  if (!type.endsWith("json")) return assert.ok((await response.arrayBuffer()).byteLength > 0, about);
  const body = await response.json();
  conforms(body, `${at}${pointer("content", type, "schema")}`, about);
  return body;
}

describe("edge/openapi.json", { skip, timeout: 60_000 }, () => {
  let ours;
  /** Replaces the ids and the blob of an example by those of this shop. */
  async function adapt(example) {
    if (!ours) {
      const { items } = await (await fetch(`${base}/v1/popular?limit=2`)).json();
      const { lite } = await (await fetch(`${base}/v1/snapshots/manifest/world`)).json();
      const { hash } = document.components.parameters;
      ours = { "85123A": items[0].id, "22423": items[1].id, [hash.example]: lite.hash };
    }
    const replaced = (text, [theirs, our]) => text.replaceAll(theirs, our);
    return JSON.parse(Object.entries(ours).reduce(replaced, JSON.stringify(example)));
  }

  async function ask(path, method, parameters, body) {
    const query = new URLSearchParams();
    const headers = {};
    let address = path;
    for (const { name, in: place, example } of parameters) {
      const value = await adapt(example);
      if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(value));
      else if (place === "header") headers[name] = value;
      else for (const one of [value].flat()) query.append(name, one);
    }
    if (body) headers["content-type"] = body.type;
    const text = body && (typeof body.value === "string" ? body.value : JSON.stringify(body.value));
    const init = { method: method.toUpperCase(), headers, body: text };
    return fetch(`${base}${address}${query.size ? `?${query}` : ""}`, init);
  }

  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (method === "parameters" || path === "/v1/live") continue;
      const all = [...(operations.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
      const needed = all.filter(({ required }) => required);
      const known = all.filter(({ example }) => example !== undefined);
      const ways = [needed, known, ...known.filter((one) => !needed.includes(one)).map((one) => [...needed, one])];
      const bodies = Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, { examples }]) =>
        Object.values(examples ?? {}).map(({ value }) => ({ type, value })),
      );
      test(`${method} ${path}`, async () => {
        for (const body of bodies.length ? bodies : [undefined]) {
          for (const parameters of ways) {
            const response = await ask(path, method, parameters, body && (await adapt(body)));
            const given = parameters.map(({ name }) => name);
            assert.ok(response.ok, `${given}: ${response.status} ${await response.clone().text()}`);
            await isDocumented(response, path, method);
          }
        }
        // Invalid requests.
        for (const [name, value] of [["limit", "0"], ["region", "../x"]]) {
          const invalid = { name, in: "query", example: value };
          if (!all.some((one) => one.name === name && one.in === "query")) continue;
          const response = await ask(path, method, [...needed, invalid]);
          assert.equal(response.status, 400);
          assert.equal((await isDocumented(response, path, method)).field, name);
        }
      });
    }
  }

  test("unchanged answers get 304", async () => {
    for (const path of ["/v1/recommendations", "/v1/popular", "/v1/items/{id}", "/v1/items/{id}/similar"]) {
      const parameters = (document.paths[path].parameters ?? []).map(resolve);
      const first = await ask(path, "get", parameters);
      const known = { name: "if-none-match", in: "header", example: first.headers.get("etag") };
      const again = await ask(path, "get", [...parameters, known]);
      assert.equal(again.status, 304);
    }
  });

  test("unknown items and invalid events get documented problems", async () => {
    const unknown = { name: "id", in: "path", example: "never-seen" };
    const response = await ask("/v1/items/{id}", "get", [unknown]);
    assert.equal(response.status, 404);
    await isDocumented(response, "/v1/items/{id}", "get");
    const rejected = await ask("/v1/events", "post", [], { type: "application/json", value: [{ kind: "view" }] });
    assert.equal(rejected.status, 400);
    assert.equal((await isDocumented(rejected, "/v1/events", "post")).rejected.length, 1);
  });

  test("examples in the file match their schemas", () => {
    for (const [name, { examples = [] }] of Object.entries(document.components.schemas)) {
      for (const example of examples) conforms(example, pointer("components", "schemas", name), name);
    }
    let answers = 0;
    function walk(value, keys) {
      if (typeof value !== "object" || value === null) return;
      if (value.schema && value.example !== undefined) {
        conforms(value.example, pointer(...keys, "schema"), keys.join(" "));
        answers += 1;
      }
      for (const { value: example } of Object.values((value.schema && value.examples) || {})) {
        // The formats of Google and Segment have no schema here.
        if (example.kind || Array.isArray(example)) conforms(example, pointer(...keys, "schema"), keys.join(" "));
      }
      for (const [key, inner] of Object.entries(value)) walk(inner, [...keys, key]);
    }
    walk(document, []);
    assert.ok(answers > 10);
  });

  test("live messages in the file get documented answers", async () => {
    const rejected = await fetch(`${base}/v1/live`);
    assert.equal(rejected.status, 426);
    await isDocumented(rejected, "/v1/live", "get");
    const { examples } = document.components.schemas.LiveMessage;
    const socket = new WebSocket(`${base.replace("http", "ws")}/v1/live`);
    const replies = [];
    const done = Promise.withResolvers();
    socket.onerror = () => done.reject(new Error("the connection failed"));
    socket.onmessage = ({ data }) => (data === "pong" ? done.resolve() : replies.push(JSON.parse(data)));
    await new Promise((open) => (socket.onopen = open));
    for (const example of examples) {
      socket.send(JSON.stringify(await adapt(example)));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    socket.send("ping");
    await done.promise;
    socket.close();
    for (const reply of replies) conforms(reply, "/components/schemas/LiveReply", "live");
    for (const member of ["ack", "answer", "problem"]) assert.ok(replies.some((reply) => member in reply), member);
  });
});
