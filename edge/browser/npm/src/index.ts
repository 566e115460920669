/**
 * Verge in a storefront.
 *
 * ```js
 * import { createClient } from "verge-browser";
 * const verge = createClient();
 * const { items } = await verge.recommend({ placement: "product", item: "85123A", limit: 6 });
 * verge.track({ kind: "view", item: "85123A" });
 * ```
 * @module
 */
export { createClient, type Client, type ClientOptions } from "./client.js";
export { VergeError } from "./errors.js";
export { pages } from "./pages.js";
export type * from "./types.js";
