// What a query costs, found out before anything is asked for.

import { GraphQLError, Kind, getArgumentValues, getNamedType, isListType, getNullableType } from "graphql";

export const LIMITS = {
  // Of the request's body, in bytes.
  body: 64 << 10,
  // Of the query's text.
  tokens: 1_000,
  // Fields in one another; those of introspection do not count.
  depth: 8,
  // Calls to Verge. Cloudflare's free plan lets a request make 50 of them.
  calls: 40,
  // Fields and fragments, each counted as often as it is named, directly or by fragments.
  parts: 1_000,
};

// How many items Verge answers where the limit is null.
const UNLIMITED = 12;
const CALLS = new Set(["recommendations", "popular", "similar"]);

/**
 * The calls that an operation may make at most: those of a list's items count as often as it may have items.
 *
 * Throws a GraphQLError that says which limit is passed. The document has to be valid: no fragment is in itself.
 */
export function cost(schema, document, operation, variables, limits = LIMITS) {
  const fragments = new Map();
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  }
  let calls = 0;
  let parts = 0;

  // `times`: how often the selection is made. `size`: how many items its list may have.
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
