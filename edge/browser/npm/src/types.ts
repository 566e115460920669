/** Where on the shop an answer is shown. */
export type Placement = "home" | "product" | "cart" | "search" | "email";

/** What chiefly put an item into an answer. */
export type Signal = "coview" | "bought" | "knn" | "popularity" | "recency";

/**
 * Why an answer is less than it could be: from a snapshot that could not be refreshed for long, without the tables
 * knowing any of the visitor's items, or from a fixed list.
 */
export type Degraded = "stale" | "popular_only" | "static";

/** What the snapshot knows of an item. What it does not know is left out. */
export interface Item {
  /** The shop's own id, 1 to 128 bytes. */
  id: string;
  name?: string;
  /** A path, as `Garden > Tools`. */
  category?: string;
  brand?: string;
  /** Address of a picture. */
  image?: string;
  /** Address of the item's page. */
  url?: string;
  /** In units of the currency. */
  price?: number;
  /** ISO 4217 code of the price. */
  currency?: string;
  in_stock?: boolean;
}

/** A recommended item and why it is here. */
export interface Recommendation extends Item {
  /** From 0; falls along the answer. Absent in a static list. */
  score?: number;
  signal?: Signal;
  /** The one of the visitor's items that it came from. */
  because?: string | null;
}

/** A running experiment that the answer takes part in. */
export interface Experiment {
  id: string;
  variant: string;
}

/** A page of items. Plain data: it may be sent from a server to a page as JSON. */
export interface Answer {
  /** Best first. */
  items: Recommendation[];
  /** What to pass as `cursor` for the next page; null where there is none. */
  next: string | null;
  /** The region it was answered for. */
  region: string;
  /** The strategy that ranked it. */
  strategy: string;
  /** The snapshot it comes from; null for a static list. */
  snapshot: { version: string; built_at: string; age_s: number } | null;
  degraded: Degraded | null;
  /** Names this answer in events, so that clicks and purchases are attributed to it; null outside the edge. */
  request: string | null;
  experiments?: Experiment[];
  /** Who answered: the edge, the scorer in this page, or the list given to `createClient`. */
  source: "edge" | "browser" | "static";
}

/** What every list can be asked for. */
export interface ListParams {
  /** 1 to 100; 12 where it is left out. */
  limit?: number;
  /** `next` of the page before. */
  cursor?: string | null;
  /** Ids that must not be answered, at most 200. */
  exclude?: string[];
  /** Only this category path and what is below it. */
  category?: string;
  brand?: string;
  /** In units of the currency, inclusive. */
  price_min?: number;
  /** In units of the currency, inclusive. */
  price_max?: number;
  /** A strategy by name, in place of the placement's own. */
  strategy?: string;
  /** In place of the client's. */
  region?: string;
  /** Ends the request: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What `recommend` can be asked for besides. */
export interface RecommendParams extends ListParams {
  /** `home` where it is left out. */
  placement?: Placement;
  /** What is on screen, or everything in the cart; never answered. */
  item?: string | string[];
  /** The visitor's latest items, newest first, in place of those that the browser keeps. */
  recents?: string[];
}

/** What a visitor did. */
export type Kind = "view" | "click" | "cart" | "purchase" | "impression";

/** One thing that a visitor did. */
export interface Event {
  kind: Kind;
  item: string;
  quantity?: number;
  /** Of one, in units of the currency. */
  price?: number;
  /** ISO 4217 code of the price. */
  currency?: string;
  /** Where on the shop the item was shown. */
  placement?: string;
  /** `request` of the answer that led here. */
  request?: string;
  /** The shop's own pseudonym of a person, where it has one and may use it. */
  visitor?: string;
  session?: string;
  /** Makes a retry count once; made where it is left out. */
  id?: string;
}

/** One of the visitor's latest items. */
export interface Recent {
  item: string;
  /** The strongest kind seen. */
  kind: Exclude<Kind, "impression">;
  /** How often it was met, 1 to 9. */
  count: number;
  /** When it was last met, in minutes since 1970. */
  minutes: number;
}
