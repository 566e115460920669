// Limits on the cost of a query, checked before it runs.

import { GraphQLError, Kind, getArgumentValues, getNamedType, isListType, getNullableType } from "graphql";

export const LIMITS = {
  // Size of the request's body, in bytes.
  body: 64 << 10,
  // Length of the query, in tokens.
  tokens: 1_000,
  // Depth of fields, without introspection.
  depth: 8,
  // Calls to Verge. Cloudflare's free plan lets a request make 50 of them.
  calls: 40,
  // Fields and fragments after expansion of all fragments.
  parts: 1_000,
};

// Number of items if `limit` is null.
const UNLIMITED = 12;
const CALLS = new Set(["recommendations", "popular", "similar"]);

/**
 * The greatest number of calls of an operation. Calls below a list count once per item that it may have.
 *
 * Throws a GraphQLError that names the exceeded limit. The document must be valid, without recursive fragments.
 */
export function cost(schema, document, operation, variables, limits = LIMITS) {
  const fragments = new Map();
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  }
  let calls = 0;
  let parts = 0;

  // `times`: how often the selection is resolved. `size`: the most items of its list.
  function walk({ selections }, type, depth, times, size) {
    for (const node of selections) {
      parts += 1;
      if (parts > limits.parts) throw refused(`more than ${limits.parts} fields and fragments`);
      if (node.kind === Kind.FIELD) field(node, type, depth, times, size);
      else {
        const { selectionSet } = node.kind === Kind.FRAGMENT_SPREAD ? fragments.get(node.name.value) : node;
        walk(selectionSet, type, depth, times, size);
      }
    }
  }

  function field(node, type, depth, times, size) {
    const name = node.name.value;
    if (name.startsWith("__")) return;
    if (depth > limits.depth) throw refused(`more than ${limits.depth} fields deep`);
    const definition = type.getFields()[name];
    const given = getArgumentValues(definition, node, variables);
    if (CALLS.has(name)) calls += times;
    if (given.ids) calls += times * given.ids.length;
    if (calls > limits.calls) throw refused(`more than ${limits.calls} calls`);
    if (!node.selectionSet) return;
    const within = isListType(getNullableType(definition.type)) ? times * (given.ids?.length ?? size) : times;
    const most = "limit" in given ? Math.max(1, given.limit ?? UNLIMITED) : size;
    walk(node.selectionSet, getNamedType(definition.type), depth + 1, within, most);
  }

  walk(operation.selectionSet, schema.getQueryType(), 1, 1, 1);
  return calls;
}

const refused = (what) =>
  new GraphQLError(`The query costs too much: ${what}. Ask for less, or in parts.`, { extensions: { code: "COST" } });
