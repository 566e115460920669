// Resolvers that call Verge with GET requests.

import { GraphQLError } from "graphql";

const enumOf = (text) => text && text.toUpperCase();

/** The root of one request's query. `ask(path)` gives Verge's response to a GET request by the same visitor. */
export function root(ask) {
  // Repeated fields and items cause one call.
  const asked = new Map();

  function get(path) {
    if (!asked.has(path)) asked.set(path, read(path));
    return asked.get(path);
  }

  async function read(path) {
    let status, body;
    try {
      const response = await ask(path);
      status = response.status;
      body = await response.json();
    } catch (error) {
      console.error(error);
      throw new GraphQLError("Verge does not answer. Try again.", { extensions: { code: "UNREACHABLE" } });
    }
    if (status === 200) return body;
    throw new GraphQLError(body.detail ?? `Verge answers ${status}.`, { extensions: { code: "PROBLEM", problem: body } });
  }

  async function answer(path, { id, placement, filter, ...others }) {
    const { priceMin, priceMax, ...filters } = filter ?? {};
    const prices = { price_min: priceMin, price_max: priceMax };
    const given = { ...others, ...filters, ...prices, placement: placement?.toLowerCase() };
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(given)) {
      for (const each of [value ?? []].flat()) query.append(name, each);
    }
    const { items, snapshot, degraded, experiments = [], ...rest } = await get(`${path}?${query}`);
    return {
      ...rest,
      experiments,
      items: items.map(({ score, signal, because, ...shown }) => ({
        item: item(shown),
        score,
        signal: enumOf(signal),
        because,
      })),
      snapshot: snapshot && { version: snapshot.version, builtAt: snapshot.built_at, ageS: snapshot.age_s },
      degraded: enumOf(degraded),
    };
  }

  const similar = (id, given) => answer(`/v1/items/${encodeURIComponent(id)}/similar`, given);
  const item = ({ in_stock, regular_price, ...known }) => ({
    ...known,
    inStock: in_stock ?? true,
    regularPrice: regular_price,
    similar: (given) => similar(known.id, given),
  });

  async function byId(id, region) {
    const query = region ? `?${new URLSearchParams({ region })}` : "";
    try {
      return item(await get(`/v1/items/${encodeURIComponent(id)}${query}`));
    } catch (error) {
      if (error.extensions?.problem?.status === 404) return null;
      throw error;
    }
  }

  return {
    recommendations: (given) => answer("/v1/recommendations", given),
    popular: (given) => answer("/v1/popular", given),
    similar: (given) => similar(given.id, given),
    items: ({ ids, region }) => ids.map((id) => byId(id, region)),
  };
}
