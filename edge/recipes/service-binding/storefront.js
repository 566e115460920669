// A storefront in a Worker. It calls Verge through a service binding, without network, URL or CORS.

import { itemOf, page, recommend } from "../verge.js";

export default {
  async fetch(request, env) {
    // The host does not matter; `cf` has the visitor's country.
    const send = (path, init) => env.VERGE.fetch(`https://verge${path}`, { ...init, cf: request.cf });
    const item = itemOf(new URL(request.url).pathname);
    const { items, cookies } = await recommend(send, request.headers, item, { limit: 6 });
    const headers = new Headers({ "content-type": "text/html; charset=utf-8", "cache-control": "private, no-store" });
    for (const cookie of cookies) headers.append("set-cookie", cookie);
    return new Response(page(items), { headers });
  },
};
