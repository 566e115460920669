"use client";
// React in the page: a hook, the element as a component, and a list that a server rendered. For Next.js, Remix and Vite.
import { useEffect, useState, type DetailedHTMLProps, type HTMLAttributes } from "react";
import { createClient, type Answer, type Placement, type RecommendParams } from "verge-browser";
import "verge-browser/element";

/** The attributes of `<verge-recommendations>`. */
export interface RecommendationsProps {
  placement?: Placement;
  /** The item on screen; the items of the cart, separated by commas. */
  item?: string;
  limit?: number;
  heading?: string;
  /** The URL of an item's page, with `{id}`. */
  href?: string;
  /** List items that are similar to `item`, or the region's popular items, instead of personal ones. */
  similar?: boolean;
  popular?: boolean;
}

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "verge-recommendations": DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> & RecommendationsProps;
    }
  }
}

/** A client for all components: the edge is below /v1 of this site. */
export const verge = createClient();

/** Recommendations for this visitor; undefined until loaded. */
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

/** The element, which loads its list in the page. */
export function Recommendations(props: RecommendationsProps) {
  // The element hides itself if there is nothing to show.
  return <verge-recommendations {...props} suppressHydrationWarning />;
}

/** A list that a server rendered with `renderList`. The element takes it over, and tracks what is seen and clicked. */
export function RenderedList({ html }: { html: string }) {
  return <div suppressHydrationWarning dangerouslySetInnerHTML={{ __html: html }} />;
}
