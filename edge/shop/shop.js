// The storefront: pages home (`#/`) and item (`#/item/{id}`), the region selector, and "Forget me".

import "./verge/element.js";
import { Problem, getItem, isDown, region, setDown, timed, verge } from "./api.js";
import { attribution, rail } from "./rail.js";
import { byId, categoryPath, h, inRegion, initialsOf, nameOf, pictureOf, priceOf, problemNotice, regionName, skeleton, toast } from "./view.js";
import { drawingAddress, webAddress } from "./art.js";

const main = byId("main");
const regions = new Set(["world", "gb", "us", "de", "fr", "nl", "es", "ie"]);
const SEEN = { cart: "in cart", purchase: "bought" };

let page = new AbortController();

/** Shows the page the address names. What the page before was still waiting for is dropped. */
function show({ moved = false } = {}) {
  page.abort();
  page = new AbortController();
  const id = itemOfAddress();
  document.title = "Verge demo shop";
  if (id === undefined) home();
  else itemPage(id, page.signal);
  known();
  if (!moved) return;
  main.querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, history.state?.scroll ?? 0);
}

function itemOfAddress() {
  const found = /^#\/item\/(.+)$/.exec(location.hash);
  try {
    return found ? decodeURIComponent(found[1]) : undefined;
  } catch {
    return found[1];
  }
}

function home() {
  const { signal } = page;
  const seen = verge().recents();
  main.replaceChildren(
    h("section", { class: "hero" },
      h("h1", { tabindex: "-1" }, "Picked at the edge, from what you just looked at."),
      h("p", {}, "No account, no profile. The last items you opened stay in a cookie of your browser; the nearest edge location scores the shop against them, in well under a millisecond.")),
    seen.length ? forYou(signal) : h("section", { class: "rail" },
      h("header", {}, h("h2", {}, "For you")),
      h("p", { class: "empty" }, "Nothing yet. Open an item or two below, come back, and this rail is yours.")),
    rail({
      title(answer) {
        const code = answer?.region ?? region();
        return `Popular in ${code ? inRegion(code) : "your region"}`;
      },
      layout: "grid", placement: "popular", fail,
      load: async (cursor) => learnRegion(await timed(verge().popular({ limit: 12, cursor, signal }))),
    }),
    seen.length ? recentlyViewed() : "",
  );
}

const forYou = (signal) => rail({
  title: () => "For you",
  layout: "grid swipe", placement: "home", reasons: true, fail,
  load: (cursor) => timed(verge().recommend({ placement: "home", limit: 12, cursor, signal })),
});

async function itemPage(id, signal) {
  main.replaceChildren(
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "← All items")),
    h("article", { class: "item waiting" }, skeleton(false).firstElementChild,
      h("div", { class: "item-text" }, h("h1", { tabindex: "-1" }, "Loading…"))),
    similar(id),
    rail({
      title: () => "Also viewed", layout: "row", placement: "product", reasons: true, here: id, fail: quiet,
      load: (cursor) => timed(verge().recommend({ placement: "product", item: id, limit: 12, cursor, signal })),
    }),
    recentlyViewed(id),
  );
  try {
    const item = await getItem(id);
    if (signal.aborted) return;
    document.title = `${nameOf(item)} · Verge demo shop`;
    const focused = document.activeElement?.tagName === "H1";
    main.querySelector(".item").replaceWith(itemDetails(item));
    if (focused) main.querySelector("h1").focus({ preventScroll: true });
    record("view", item, signal);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (!signal.aborted) showProblem(problem);
  }
}

/** The element for storefronts, with this shop's client and drawings. */
function similar(id) {
  const element = h("verge-recommendations", { similar: true, item: id, placement: "similar", heading: "Similar items", href: "#/item/{id}" });
  const drawn = (item) => ({ ...item, name: nameOf(item), image: webAddress(item.image) ?? drawingAddress(item, initialsOf(item)) });
  const pictured = async (asked) => asked.then((answer) => ({ ...answer, items: answer.items.map(drawn) }));
  element.client = { ...verge(), similar: (...asked) => pictured(verge().similar(...asked)) };
  element.addEventListener("verge-click", ({ detail: { item, answer } }) => {
    attribution.set(item.id, { placement: "similar", request: answer.request ?? undefined });
  });
  return h("div", { class: "rail" }, element);
}

function itemDetails(item) {
  const price = priceOf(item);
  const address = webAddress(item.url);
  const act = (kind, done) => async () => {
    await record(kind, item, page.signal);
    toast(`${done}. The next answers know.`);
  };
  return h("article", { class: "item" },
    pictureOf(item),
    h("div", { class: "item-text" },
      categoryPath(item).length > 0 && h("p", { class: "kicker" }, categoryPath(item).join(" › ")),
      h("h1", { tabindex: "-1" }, nameOf(item)),
      item.brand && item.name && h("p", { class: "by" }, `by ${item.brand}`),
      price && h("p", { class: "price" }, price),
      item.in_stock === false && h("p", { class: "by" }, "Out of stock"),
      h("p", { class: "actions" },
        h("button", { class: "button", type: "button", onclick: act("cart", "Added to the cart") }, "Add to cart"),
        h("button", { class: "button quiet", type: "button", onclick: act("purchase", "Bought") }, "Buy")),
      h("p", { class: "fine" }, "A demo: nothing is charged or shipped. Both buttons only tell the edge what you like. ",
        address && h("a", { href: address, rel: "noopener nofollow" }, "See it in the real shop"), ` Item ${item.id}.`)));
}

/** Tells what was done with the item, then brings up to date what the page shows of the cookie. */
async function record(kind, { id, price, currency }, signal) {
  const worth = kind === "purchase" && typeof price === "number" ? { quantity: 1, price, currency } : {};
  verge().track({ kind, item: id, ...worth, ...attribution.get(id) });
  await verge().flush();
  known();
  if (!signal.aborted) main.querySelector("#recently")?.replaceWith(recentlyViewed(itemOfAddress()));
}

/** The rail of what the cookie names, without the item on screen; hidden while there is none. */
function recentlyViewed(here) {
  const kinds = new Map(verge().recents().map(({ item, kind }) => [item, kind]));
  kinds.delete(here);
  const ids = [...kinds.keys()].slice(0, 12);
  const started = performance.now();
  const section = rail({
    title: () => "Recently viewed", layout: "row", placement: "recents", silent: true,
    badge: (item) => SEEN[kinds.get(item.id)],
    async load() {
      const found = await Promise.all(ids.map((id) => getItem(id).catch(() => null)));
      return { body: { items: found.filter(Boolean), next: null }, took: performance.now() - started };
    },
  });
  section.id = "recently";
  section.hidden = ids.length === 0;
  return section;
}

/** A page with nothing to show becomes the message; any other problem stays within its rail. */
function fail(problem) {
  const whole = problem.status === 503 || problem.status === 0;
  if (whole) showProblem(problem);
  return whole;
}

/** On an item's page the item itself says what is wrong, once. */
const quiet = (problem) => problem.status === 404 || fail(problem);

function showProblem(problem) {
  page.abort();
  main.replaceChildren(problemNotice(problem, () => show({ moved: true })));
}

/** Takes a region the API answered for into the switch, and shows what "auto" or a region without tables came to. */
function learnRegion(answer) {
  const code = answer.body.region;
  regions.add(code);
  if (region() && region() !== code) toast(`${regionName(region())} has no tables of its own: this is ${inRegion(code)}.`);
  drawRegions(region() === "" ? code : undefined);
  return answer;
}

function drawRegions(auto) {
  const select = byId("region");
  if (region()) regions.add(region());
  const options = [...regions].map((code) => h("option", { value: code }, regionName(code)));
  select.replaceChildren(h("option", { value: "" }, auto ? `Auto (${auto.length === 2 ? auto.toUpperCase() : auto})` : "Auto"), ...options);
  select.value = region();
}

/** The footer's panel: the cookie as it is. */
function known() {
  const raw = /(?:^|; )verge_recents=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  const count = verge().recents().length;
  const id = document.cookie.includes("verge_visitor=") ? ", and a random id in another, since you agreed to it" : "";
  byId("known-text").textContent = count
    ? `Your last ${count} ${count === 1 ? "item" : "items"}, in ${raw.length} bytes of a cookie in this browser${id}. Nothing else is kept about you at the edge.`
    : "Nothing. Open an item, and its id goes into a cookie in this browser, and nowhere else at the edge.";
  byId("known-cookie").textContent = raw;
  byId("known-cookie").hidden = count === 0;
  byId("forget").disabled = raw === "";
}

byId("region").addEventListener("change", ({ target }) => {
  const address = new URL(location);
  if (target.value) address.searchParams.set("region", target.value);
  else address.searchParams.delete("region");
  history.replaceState(history.state, "", address);
  show();
});

byId("forget").addEventListener("click", async () => {
  await verge().flush();
  verge().forget();
  attribution.clear();
  show();
  toast("Forgotten. The cookies are gone.");
});

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// Scroll positions, so that "back" restores them although the rails are loaded again.
history.scrollRestoration = "manual";
addEventListener("click", () => history.replaceState({ scroll: scrollY }, ""), { capture: true });
addEventListener("hashchange", () => show({ moved: true }));

byId("down").addEventListener("click", ({ currentTarget }) => {
  setDown(!isDown());
  currentTarget.ariaPressed = isDown();
  toast(isDown() ? "The edge is down. This page goes on with its own copy of the tables." : "The edge is back.");
  if (!isDown()) void verge().flush();
  show();
});

drawRegions();
show();
// Loads what the page needs while the edge is down, when the browser is idle.
addEventListener("load", () => (globalThis.requestIdleCallback ?? setTimeout)(() => void verge().prepare()));
