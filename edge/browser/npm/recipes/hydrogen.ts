// A loader for Shopify Hydrogen (or any Remix or React Router route). It forwards the request's cookies, from which the edge
// reads the recents.
import { createClient } from "verge-browser";

export async function loader({ request, params }: { request: Request; params: { handle?: string } }) {
  const cookie = request.headers.get("cookie") ?? "";
  // The edge sees the country of the server, and not the visitor's. This header is Oxygen's.
  const region = request.headers.get("oxygen-buyer-country")?.toLowerCase();
  const verge = createClient({
    endpoint: "https://verge.shop.example",
    fallback: false,
    fetch: (url, init) => fetch(url, { ...init, headers: { cookie } }),
  });
  const recommended = await verge.recommend({
    placement: "product",
    limit: 8,
    signal: request.signal,
    ...(params.handle && { item: params.handle }),
    ...(region && { region }),
  });
  return { recommended };
}
