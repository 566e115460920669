// Connects Google's dataLayer and Verge in both directions: GA4's ecommerce events are tracked, and the element's
// impressions and clicks become GA4's `view_item_list` and `select_item`.
import type { Client, Event, Kind, Recommendation } from "verge-browser";

interface Item {
  item_id: string;
  price?: number;
  quantity?: number;
  /** The shop's signature of this line of the order. */
  order_token?: string;
}

interface Pushed {
  event?: string;
  ecommerce?: { currency?: string; transaction_id?: string; items?: Item[] };
}

const KINDS: Record<string, Kind> = { view_item: "view", select_item: "click", add_to_cart: "cart", purchase: "purchase" };

/** Connects a client with the page's `dataLayer`. */
export function bridge(verge: Client, layer: Pushed[]): void {
  const take = ({ event = "", ecommerce }: Pushed) => {
    const kind = KINDS[event];
    if (!kind) return;
    const events = (ecommerce?.items ?? []).map(({ item_id: item, price, quantity, order_token }): Event => ({
      kind, item,
      ...(ecommerce?.transaction_id && { order: ecommerce.transaction_id }),
      ...(order_token && { order_token }),
      ...(price !== undefined && { price }),
      ...(quantity !== undefined && { quantity }),
      ...(ecommerce?.currency && { currency: ecommerce.currency }),
    }));
    verge.track(...events);
  };
  layer.forEach(take);
  const push = layer.push.bind(layer);
  layer.push = (...pushed) => (pushed.forEach(take), push(...pushed));
  for (const [name, event] of [["verge-impression", "view_item_list"], ["verge-click", "select_item"]] as const) {
    addEventListener(name, (heard) => {
      const { id, price } = (heard as CustomEvent<{ item: Recommendation }>).detail.item;
      // The element has sent it to Verge already, so bypass the bridge.
      push({ event, ecommerce: { items: [{ item_id: id, ...(price !== undefined && { price }) }] } });
    });
  }
}
