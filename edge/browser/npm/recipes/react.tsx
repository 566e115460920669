// A hook, and the element with its answer from the server. In Next.js, `Recommended` is a server component as it is.
import { useEffect, useState } from "react";
import { createClient, type Answer, type RecommendParams } from "verge-browser";
import { renderList } from "verge-browser/server";

const verge = createClient();

/** What is recommended in a page; undefined until it is known. */
export function useRecommendations(params: RecommendParams): Answer | undefined {
  const [answer, setAnswer] = useState<Answer>();
  const asked = JSON.stringify(params);
  useEffect(() => {
    const left = new AbortController();
    const { signal } = left;
    verge.recommend({ ...(JSON.parse(asked) as RecommendParams), signal }).then(setAnswer, () => {});
    return () => left.abort();
  }, [asked]);
  return answer;
}

/** Rendered by the server for everybody alike; `verge-browser/element` takes the list over in the page. */
export async function Recommended({ item }: { item: string }) {
  const server = createClient({ endpoint: "https://shop.example", fallback: false });
  const answer = await server.similar(item, { limit: 8 });
  const html = renderList(answer, { heading: "You may also like", placement: "product", href: "/p/{id}" });
  return <div dangerouslySetInnerHTML={{ __html: html }} />;
}
