// A hook, and a server component (as in Next.js) that renders the element with its answer.
import { useEffect, useState } from "react";
import { createClient, type Answer, type RecommendParams } from "verge-browser";
import { renderList } from "verge-browser/server";

const verge = createClient();

/** Recommendations in a page; undefined until loaded. */
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

/** Rendered by the server, the same for everybody; `verge-browser/element` adopts the list in the page. */
export async function Recommended({ item }: { item: string }) {
  const server = createClient({ endpoint: "https://shop.example", fallback: false });
  const answer = await server.similar(item, { limit: 8 });
  const html = renderList(answer, { heading: "You may also like", placement: "product", href: "/p/{id}" });
  return <div dangerouslySetInnerHTML={{ __html: html }} />;
}
