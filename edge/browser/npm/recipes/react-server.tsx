// A React server component for the app router of Next.js. In <Suspense>, the page is sent before the answer is there.
import { headers } from "next/headers";
import { createClient } from "verge-browser";
import { renderList } from "verge-browser/server";
import { RenderedList } from "./react";

/** Recommendations for this visitor on the page of an item. Empty if the edge does not answer. */
export async function Recommended({ item }: { item: string }) {
  const received = await headers();
  const cookie = received.get("cookie") ?? "";
  // The edge sees the country of this server, and not the visitor's.
  const region = received.get("cf-ipcountry")?.toLowerCase();
  const verge = createClient({
    endpoint: process.env["VERGE_URL"] ?? "https://shop.example",
    fallback: false,
    fetch: (url, init) => fetch(url, { ...init, headers: { cookie }, cache: "no-store" }),
  });
  const answer = await verge.recommend({ placement: "product", item, limit: 8, ...(region && { region }) });
  return <RenderedList html={renderList(answer, { heading: "You may also like", placement: "product", href: "/p/{id}" })} />;
}
