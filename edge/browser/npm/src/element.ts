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

/** Clients by endpoint and region, where a page sets none: elements share them. */
const clients = new Map<string, Client>();

let style: CSSStyleSheet | undefined;

function shared(element: Element): Client {
  const [endpoint, region] = [element.getAttribute("endpoint"), element.getAttribute("region")];
  const key = `${endpoint} ${region}`;
  const client = clients.get(key) ?? createClient({ ...(endpoint && { endpoint }), ...(region && { region }) });
  clients.set(key, client);
  return client;
}

/** What stands for a picture where there is none: the name's first letter. */
function blank(name: string): HTMLElement {
  const box = Object.assign(document.createElement("i"), { className: "image", ariaHidden: "true" });
  box.dataset["letter"] = [...name][0] ?? "";
  return box;
}

// On a server there are no elements; importing this is no error there.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * Attributes: `placement`, `item` (ids, separated by commas), `limit`, `heading`, `href` (the address of an item's page,
 * with `{id}`; the item's own `url` where it is left out), `endpoint`, `region`. With `similar` it lists what is like
 * `item`, with `popular` what the region wants.
 *
 * Children: a list that a server rendered (see `renderList`) is taken over as it is. A `<template>` is the inside of a
 * card: elements with `data-verge="name"` (or `price`, `brand`, `category`, `because`) get the text, an `<img
 * data-verge="image">` the picture.
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

  /** The client to ask; one by `endpoint` and `region`, which all elements share, unless it is set. */
  client?: Client;
  /** What is shown. */
  answer?: Answer;
  #asked?: AbortController;
  #seen?: IntersectionObserver;

  /** @internal */
  connectedCallback(): void {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      root.innerHTML = `<section part="section"><h2 part="heading"></h2><slot></slot><ul part="list"></ul></section>`;
      // A page that allows no inline styles allows this.
      if (!style) (style = new CSSStyleSheet()).replaceSync(sheet);
      root.adoptedStyleSheets = [style];
    }
    this.#seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.#impression(entry)), { threshold: 0.5 });
    const mine = [...this.querySelectorAll<HTMLElement>("[data-item]")];
    if (!mine.length) {
      prepare();
      return void this.refresh();
    }
    // A server has asked already.
    const items = mine.map(({ dataset }) => ({ id: dataset["item"] ?? "" }));
    this.answer = { items, request: this.dataset["request"] ?? null } as Answer;
    this.#head();
    this.#list().hidden = true;
    mine.forEach((card, place) => this.#watch(card, items[place]!, this.answer!));
  }

  /** @internal */
  disconnectedCallback(): void {
    this.#asked?.abort();
    this.#seen?.disconnect();
  }

  /** @internal */
  attributeChangedCallback(_: string, before: string | null, after: string | null): void {
    if (this.#seen && before !== after) void this.refresh();
  }

  /** Asks again, and shows the answer. Resolves when it is shown, or another request has taken the place of this one. */
  async refresh(): Promise<void> {
    this.#asked?.abort();
    const { signal } = (this.#asked = new AbortController());
    // Several attributes may be about to change.
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
    this.#tell("answer", answer);
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
      this.#tell(kind, { item, answer });
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

  #tell(name: string, detail: unknown): void {
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
