/**
 * `<verge-recommendations>`: a list of recommendations, defined by importing this module.
 *
 * ```html
 * <script type="module" src="/verge/element.js"></script>
 * <verge-recommendations placement="product" item="85123A" limit="6" heading="You may also like"></verge-recommendations>
 * ```
 * @module
 */
import { createClient, type Answer, type Client, type Placement, type Recommendation } from "./index.js";
import { link, prepare, price, sheet } from "./view.js";

/** Clients shared by elements, by endpoint and region. */
const clients = new Map<string, Client>();

let style: CSSStyleSheet | undefined;

function shared(element: Element): Client {
  const [endpoint, region] = [element.getAttribute("endpoint"), element.getAttribute("region")];
  const key = `${endpoint} ${region}`;
  const client = clients.get(key) ?? createClient({ ...(endpoint && { endpoint }), ...(region && { region }) });
  clients.set(key, client);
  return client;
}

/** A placeholder for a missing image: the name's first letter. */
function blank(name: string): HTMLElement {
  const box = Object.assign(document.createElement("i"), { className: "image", ariaHidden: "true" });
  box.dataset["letter"] = [...name][0] ?? "";
  return box;
}

// Importing this module on a server, which has no elements, is not an error.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * Attributes: `placement`, `item` (ids, separated by commas), `limit`, `heading`, `href` (the URL of an item's page, with
 * `{id}`; default: the item's `url`), `endpoint`, `region`. With `similar` it lists items similar to `item`, with `popular`
 * the region's popular items.
 *
 * Children: a list rendered by a server (see `renderList`) is kept. A `<template>` defines the content of a card: elements
 * with `data-verge="name"` (or `price`, `regular_price`, `brand`, `category`, `because`) get the text, an
 * `<img data-verge="image">` the image.
 *
 * Parts: `heading`, `list`, `card`, `link`, `image`, `name`, `price`. Custom properties: `--verge-columns`, `--verge-gap`,
 * `--verge-radius`, `--verge-bone`, `--verge-focus`.
 *
 * Events, which bubble: `verge-answer` with the {@link Answer}, `verge-impression` and `verge-click` with the item and
 * the answer. Impressions and clicks are tracked by the client, once for each item and answer.
 */
export class VergeRecommendations extends Base {
  /** @internal */
  static readonly observedAttributes = ["placement", "item", "limit", "href", "endpoint", "region", "similar", "popular"];

  /** The client. Default: one for `endpoint` and `region`, shared by all elements. */
  client?: Client;
  /** The answer shown. */
  answer?: Answer;
  #pending?: AbortController;
  #seen?: IntersectionObserver;

  /** @internal */
  connectedCallback(): void {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      root.innerHTML = `<section part="section"><h2 part="heading"></h2><slot></slot><ul part="list"></ul></section>`;
      // Works with a Content-Security-Policy that forbids inline styles.
      if (!style) (style = new CSSStyleSheet()).replaceSync(sheet);
      root.adoptedStyleSheets = [style];
    }
    this.#seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.#impression(entry)), { threshold: 0.5 });
    const mine = [...this.querySelectorAll<HTMLElement>("[data-item]")];
    if (!mine.length) {
      prepare();
      return void this.refresh();
    }
    // Rendered by a server.
    const items = mine.map(({ dataset }) => ({ id: dataset["item"] ?? "" }));
    this.answer = { items, request: this.dataset["request"] ?? null } as Answer;
    this.#head();
    this.#list().hidden = true;
    mine.forEach((card, place) => this.#watch(card, items[place]!, this.answer!));
  }

  /** @internal */
  disconnectedCallback(): void {
    this.#pending?.abort();
    this.#seen?.disconnect();
  }

  /** @internal */
  attributeChangedCallback(_: string, before: string | null, after: string | null): void {
    if (this.#seen && before !== after) void this.refresh();
  }

  /** Requests and shows a new answer. Resolves when it is shown or superseded by a later request. */
  async refresh(): Promise<void> {
    this.#pending?.abort();
    const { signal } = (this.#pending = new AbortController());
    // Wait for changes of other attributes.
    await null;
    if (signal.aborted) return;
    this.#head();
    const list = this.#list();
    const limit = Number(this.getAttribute("limit")) || 12;
    list.hidden = false;
    list.ariaBusy = "true";
    if (!list.children.length) list.innerHTML = `<li part="card" class="bone" aria-hidden="true"><a part="link"><i class="image"></i><b>&nbsp;</b><span>&nbsp;</span></a></li>`.repeat(limit);
    try {
      const answer = await this.#ask(limit, signal);
      if (signal.aborted) return;
      this.#show(answer);
    } catch (error) {
      if (signal.aborted) return;
      this.hidden = true;
      console.error(error);
    }
  }

  #ask(limit: number, signal: AbortSignal): Promise<Answer> {
    const client = this.client ?? shared(this);
    const item = (this.getAttribute("item") ?? "").split(",").filter(Boolean);
    const params = { limit, signal };
    if (this.hasAttribute("popular")) return client.popular({ ...params, exclude: item });
    if (this.hasAttribute("similar") && item[0]) return client.similar(item[0], params);
    return client.recommend({ ...params, item, placement: (this.getAttribute("placement") ?? "home") as Placement });
  }

  #list(): HTMLElement {
    return this.shadowRoot!.querySelector("ul")!;
  }

  #head(): void {
    const [heading, section] = [this.getAttribute("heading") ?? "", this.shadowRoot!.querySelector("section")!];
    const title = section.querySelector("h2")!;
    title.textContent = heading;
    title.hidden = !heading;
    section.ariaLabel = heading || "Recommendations";
  }

  #show(answer: Answer): void {
    this.answer = answer;
    const template = this.querySelector("template");
    const list = this.#list();
    list.replaceChildren(...answer.items.map((item) => this.#card(item, answer, template)));
    list.ariaBusy = null;
    this.hidden = !answer.items.length;
    this.#emit("answer", answer);
  }

  #card(item: Recommendation, answer: Answer, template: HTMLTemplateElement | null): HTMLElement {
    const card = document.createElement("li");
    card.setAttribute("part", "card");
    const anchor = card.appendChild(document.createElement("a"));
    anchor.setAttribute("part", "link");
    const address = link(item, this.getAttribute("href"));
    if (address) anchor.href = address;
    if (template) anchor.append(template.content.cloneNode(true));
    else anchor.innerHTML = `<img part="image" class="image" data-verge="image"><b part="name" data-verge="name"></b><span part="price" data-verge="price"></span>`;
    const texts: Record<string, string> = { ...(item as object), name: item.name || item.id, price: price(item) };
    if (item.regular_price !== undefined) texts["regular_price"] = price({ ...item, price: item.regular_price });
    for (const element of anchor.querySelectorAll<HTMLElement>("[data-verge]")) {
      const text = texts[element.dataset["verge"]!] ?? "";
      if (!(element instanceof HTMLImageElement)) element.textContent = text;
      else if (/^(https?:|data:image\/|[^:]+$)/i.test(text)) Object.assign(element, { src: text, alt: "", loading: "lazy" });
      else element.replaceWith(blank(texts["name"]!));
    }
    this.#watch(card, item, answer);
    return card;
  }

  #watched = new WeakMap<Element, () => void>();

  #watch(card: HTMLElement, item: Recommendation, answer: Answer): void {
    const event = { item: item.id, placement: this.getAttribute("placement") ?? "home", ...(answer.request && { request: answer.request }) };
    const track = (kind: "impression" | "click") => {
      (this.client ?? shared(this)).track({ kind, ...event });
      this.#emit(kind, { item, answer });
    };
    this.#watched.set(card, () => track("impression"));
    this.#seen?.observe(card);
    card.addEventListener("click", ({ target }) => (target as Element).closest("a") && track("click"));
  }

  #impression({ isIntersecting, target }: IntersectionObserverEntry): void {
    if (!isIntersecting) return;
    this.#seen?.unobserve(target);
    this.#watched.get(target)?.();
    this.#watched.delete(target);
  }

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(`verge-${name}`, { detail, bubbles: true, composed: true }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "verge-recommendations": VergeRecommendations;
  }
}

if (globalThis.customElements && !customElements.get("verge-recommendations")) {
  customElements.define("verge-recommendations", VergeRecommendations);
}
