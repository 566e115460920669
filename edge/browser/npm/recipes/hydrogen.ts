// A loader for Shopify Hydrogen (or any Remix route). It reads the recents from the request's cookie.
import { createClient } from "verge-browser";

export async function loader({ request, params }: { request: Request; params: { handle: string } }) {
  const cookie = request.headers.get("cookie") ?? "";
  const verge = createClient({ endpoint: "https://verge.shop.example", fallback: false });
  const kept = /(?:^|; )verge_recents=1\|([^;]*)/.exec(cookie)?.[1] ?? "";
  const recents = kept.split("|").filter(Boolean).map((entry) => decodeURIComponent(entry.split(":")[0] ?? ""));
  const recommended = await verge.recommend({
    placement: "product", item: params.handle, limit: 8, recents, signal: request.signal,
  });
  return { recommended };
}
