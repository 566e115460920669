// POST /graphql, for mobile clients that need several lists in one request. It is a separate Worker to keep Verge small,
// and calls Verge through a service binding on behalf of the visitor. In Verge's wasm, async-graphql would take 203 KiB more
// (gzipped), and graphql-parser alone 52 KiB; this is 53 KiB with graphql-js, the language's reference implementation.

import {
  GraphQLError,
  NoSchemaIntrospectionCustomRule,
  buildSchema,
  execute,
  getOperationAST,
  getVariableValues,
  parse,
  specifiedRules,
  validate,
} from "graphql";
import { visitorHeaders } from "../worker/js/beside.js";
import { body } from "../worker/js/glue.js";
import { LIMITS, cost } from "./limits.js";
import { root } from "./resolvers.js";
import text from "./schema.graphql";

const schema = buildSchema(text);
const MODERN = "application/graphql-response+json";

export default {
  async fetch(request, env) {
    const [status, result] = await answer(request, env);
    // https://graphql.github.io/graphql-over-http/draft/#sec-application-json
    const modern = (request.headers.get("accept") ?? "").includes(MODERN);
    const shown = status === 400 && result.understood && !modern ? 200 : status;
    const headers = {
      "content-type": `${modern ? MODERN : "application/json"}; charset=utf-8`,
      "cache-control": "private, no-store",
    };
    if (status === 405) headers.allow = "POST";
    const { understood, ...shape } = result;
    return new Response(JSON.stringify(shape), { status: shown, headers });
  },
};

/** Status and body. A request that was `understood` and refused gets a 200 in the older media type. */
async function answer(request, env) {
  if (!new URL(request.url).pathname.endsWith("/graphql")) return failed(404, "There is nothing here but /graphql.");
  if (request.method !== "POST") return failed(405, "Send the query with POST.");
  // Browsers require a CORS preflight for this type.
  if (!/^application\/json\b/.test(request.headers.get("content-type") ?? "")) {
    return failed(415, "Send the query as application/json.");
  }
  const bytes = await body(request, LIMITS.body).catch(() => new Uint8Array());
  if (!bytes) return failed(413, `The body has more than ${LIMITS.body} bytes.`);
  const asked = parsed(bytes);
  if (typeof asked?.query !== "string" || !isMap(asked.variables) || !isName(asked.operationName)) {
    return failed(400, "Expected a JSON object with query, and variables and operationName where there are any.");
  }
  try {
    return [200, await run(asked, request, env)];
  } catch (error) {
    const errors = Array.isArray(error) ? error : [error];
    if (errors.every((one) => one instanceof GraphQLError)) return [400, { understood: true, errors }];
    console.error(error);
    return failed(500, "The query could not be answered. Try again.");
  }
}

/** The result of a query; throws one or more GraphQLErrors where it is not to be executed. */
async function run({ query, variables, operationName }, request, env) {
  const hideSuggestions = env.INTROSPECTION !== "true";
  const rules = hideSuggestions ? [...specifiedRules, NoSchemaIntrospectionCustomRule] : specifiedRules;
  const document = parse(query, { maxTokens: LIMITS.tokens });
  const wrong = validate(schema, document, rules, { maxErrors: 10, hideSuggestions });
  if (wrong.length > 0) throw wrong;
  const operation = getOperationAST(document, operationName);
  if (!operation) throw new GraphQLError("operationName has to be one of the operations in query.");
  const { errors, variableValues } = getVariableValues(schema, operation.variableDefinitions ?? [], variables ?? {}, {
    maxErrors: 10,
    hideSuggestions,
  });
  if (errors) throw errors;
  cost(schema, document, operation, variableValues);

  const headers = visitorHeaders(request);
  const base = `https://verge${env.BASE_PATH ?? ""}`;
  const ask = (path) => env.VERGE.fetch(base + path, { headers, cf: request.cf });
  const rootValue = root(ask);
  return execute({ schema, document, rootValue, variableValues: variables, operationName, hideSuggestions });
}

const failed = (status, message) => [status, { errors: [{ message }] }];
const isMap = (value) => value === undefined || value === null || (typeof value === "object" && !Array.isArray(value));
const isName = (value) => value === undefined || value === null || typeof value === "string";

function parsed(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
