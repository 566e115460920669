// A loader for Shopify Hydrogen (or any Remix route). It forwards the request's cookies, from which the edge reads the recents.
import { createClient } from "verge-browser";

export async function loader({ request, params }: { request: Request; params: { handle: string } }) {
  const headers = { cookie: request.headers.get("cookie") ?? "" };
  const verge = createClient({
    endpoint: "https://verge.shop.example", fallback: false, fetch: (url, init) => fetch(url, { ...init, headers }),
  });
  const recommended = await verge.recommend({
    placement: "product", item: params.handle, limit: 8, signal: request.signal,
  });
  return { recommended };
}
