/** Where an answer is shown. */
export type Placement = "home" | "product" | "cart" | "search" | "email";

/** The signal that contributed most to a recommendation. */
export type Signal = "coview" | "bought" | "knn" | "popularity" | "recency";

/**
 * Why an answer is degraded: the snapshot could not be loaded or refreshed, it knows none of the visitor's items, or the
 * answer is a fixed list.
 */
export type Degraded = "stale" | "popular_only" | "static";

/** An item. Unknown fields are absent. */
export interface Item {
  /** The shop's id of the item, 1 to 128 bytes. */
  id: string;
  name?: string;
  /** Category path such as `Garden > Tools`. */
  category?: string;
  brand?: string;
  /** URL of an image. */
  image?: string;
  /** URL of the item's page. */
  url?: string;
  /** The price in force, in units of the currency. */
  price?: number;
  /** The regular price, while a sale with another price holds. */
  regular_price?: number;
  /** ISO 4217 code of the price. */
  currency?: string;
  in_stock?: boolean;
}

/** A recommended item and the reason for it. */
export interface Recommendation extends Item {
  /** Not negative, never increases along the answer. Absent in a static list. */
  score?: number;
  signal?: Signal;
  /** The visitor's item that led to this one. */
  because?: string | null;
}

/** An experiment of the answer and the visitor's variant. */
export interface Experiment {
  id: string;
  variant: string;
}

/** A page of items. Plain data: it may be sent from a server to a page as JSON. */
export interface Answer {
  /** Best first. */
  items: Recommendation[];
  /** The `cursor` of the next page; null on the last page. */
  next: string | null;
  /** The region of the snapshot. */
  region: string;
  /** The ranking strategy. */
  strategy: string;
  /** The snapshot; null for a static list. */
  snapshot: { version: string; built_at: string; age_s: number } | null;
  degraded: Degraded | null;
  /** Id of this answer for events, so that clicks and purchases are attributed to it; null unless the edge answered. */
  request: string | null;
  experiments?: Experiment[];
  /** Who answered: the edge, the scorer in this page, or the list given to `createClient`. */
  source: "edge" | "browser" | "static";
}

/** The parameters of every list. */
export interface ListParams {
  /** 1 to 100. Default: 12. */
  limit?: number;
  /** `next` of the previous page. */
  cursor?: string | null;
  /** Ids that must not be in the answer, at most 200. */
  exclude?: string[];
  /** Only this category and its subcategories. */
  category?: string;
  brand?: string;
  /** In units of the currency, inclusive. */
  price_min?: number;
  /** In units of the currency, inclusive. */
  price_max?: number;
  /** The strategy's name. Default: that of the placement. */
  strategy?: string;
  /** The region. Default: that of the client. */
  region?: string;
  /** Aborts the request: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** The parameters of `recommend`. */
export interface RecommendParams extends ListParams {
  /** Default: `home`. */
  placement?: Placement;
  /** The item on screen, or all items in the cart. Never in the answer. */
  item?: string | string[];
  /** The visitor's latest items, newest first. Replaces those stored in the browser. */
  recents?: string[];
}

/** The kinds of events. */
export type Kind = "view" | "click" | "cart" | "purchase" | "impression";

/** An event: an interaction of the visitor with an item. */
export interface Event {
  kind: Kind;
  item: string;
  /** Id of the order of a purchase. A line of an order, by order, item and visitor, counts once. */
  order?: string;
  /** The shop's signature of this line of the order. Without it, a purchase counts as a view until the shop confirms it. */
  order_token?: string;
  quantity?: number;
  /** Price of one item, in units of the currency. */
  price?: number;
  /** ISO 4217 code of the price. */
  currency?: string;
  /** The placement that showed the item. */
  placement?: string;
  /** `request` of the answer that the event is attributed to. */
  request?: string;
  /** The shop's pseudonym for the visitor. Only the events of servers with the edge's key may name one. */
  visitor?: string;
  /** Id of the session. The edge leaves it out without consent. */
  session?: string;
  /** Unique id. Retries with the same id count once. Default: generated. */
  id?: string;
}

/** One of the visitor's latest items. */
export interface Recent {
  item: string;
  /** The strongest kind of event. */
  kind: Exclude<Kind, "impression">;
  /** The number of events, 1 to 9. */
  count: number;
  /** The time of the last event, in minutes since 1970. */
  minutes: number;
}
