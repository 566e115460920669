// A storefront's server in Node. It calls Verge over HTTP:
//
//   VERGE_URL=http://127.0.0.1:8787 PORT=3000 node edge/recipes/node/storefront.mjs
//
// Cloudflare sees this server's country and address instead of the visitor's, so set REGION, and EVENTS_KEY to that of the
// Worker.

import { createServer } from "node:http";
import { itemOf, page, recommend } from "../verge.js";

const { VERGE_URL = "http://127.0.0.1:8787", PORT = "3000", REGION = "", EVENTS_KEY = "" } = process.env;
const send = (path, init) => fetch(VERGE_URL + path, init);

const server = createServer(async (request, response) => {
  const item = itemOf(new URL(request.url, "http://shop").pathname);
  const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const { items, cookies } = await recommend(send, headers, item, { limit: 6, region: REGION }, EVENTS_KEY);
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("cache-control", "private, no-store");
  response.setHeader("set-cookie", cookies);
  response.end(page(items));
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
