// Images of items: the catalogue's, or else a generated drawing that depends only on the item. The category determines the
// hue and the id the shapes.

const SVG = "http://www.w3.org/2000/svg";

/** An item's image: an `<img>`, or an `<svg>` with the item's initials. Decorative. */
export function picture(item, initials) {
  const source = webAddress(item.image);
  if (!source) return drawing(item, initials);
  const image = document.createElement("img");
  Object.assign(image, { alt: "", width: 400, height: 400, loading: "lazy", decoding: "async", className: "art" });
  image.referrerPolicy = "no-referrer";
  image.addEventListener("error", () => image.replaceWith(drawing(item, initials)), { once: true });
  image.src = source;
  return image;
}

/** `address` if it is an absolute http or https URL, else undefined. The data is untrusted. */
export function webAddress(address) {
  if (typeof address !== "string" || !URL.canParse(address)) return undefined;
  return /^https?:$/.test(new URL(address).protocol) ? address : undefined;
}

// The colours of shop.css, which a data URL cannot read.
const STYLE = [["94% .025", "29% .025"], ["86% .06", "37% .045"], ["76% .085", "49% .07"], ["56% .1", "72% .1"]]
  .map(([light, dark], tone) => `.t${tone}{fill:oklch(${light} var(--hue))}@media(prefers-color-scheme:dark){.t${tone}{fill:oklch(${dark} var(--hue))}}`)
  .join("") + ".initials{fill:oklch(56% .1 var(--hue));font:700 9px sans-serif}";

/** The drawing as a data URL. */
export function drawingAddress(item, initials) {
  const root = drawing(item, initials);
  const style = svg("style", {});
  style.textContent = STYLE;
  root.prepend(style);
  return `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(root))}`;
}

function drawing(item, initials) {
  const random = generator(hash(item.id));
  const root = svg("svg", { viewBox: "0 0 100 100", class: "art", "aria-hidden": "true", focusable: "false" });
  const hue = (hash(item.category ?? item.brand ?? item.id) % 15) * 24 + random() * 10;
  root.style.setProperty("--hue", hue.toFixed(0));
  root.append(svg("rect", { width: 100, height: 100, class: "t0" }));
  root.append(...MOTIFS[Math.floor(random() * MOTIFS.length)](random));
  const text = svg("text", { x: 7, y: 93, class: "initials" });
  text.textContent = initials;
  root.append(text);
  return root;
}

const MOTIFS = [
  function discs(random) {
    const x = 34 + random() * 32;
    const y = 30 + random() * 14;
    const r = 24 + random() * 8;
    const turn = random() * 360;
    return [
      svg("circle", { cx: x, cy: y, r, class: "t2" }),
      svg("circle", { cx: 50, cy: y + r * 0.8, r: r * 0.8, class: "t1", transform: `rotate(${turn} ${x} ${y})` }),
      svg("circle", { cx: x + (random() - 0.5) * r, cy: y + (random() - 0.5) * r, r: r * 0.3, class: "t3" }),
    ];
  },
  function arches(random) {
    const x = 44 + random() * 12;
    const step = 8 + random() * 2.5;
    return [4, 3, 2, 1].map((ring, at) => {
      const r = ring * step;
      return svg("path", { d: `M${x - r} 78V${78 - r - 14}a${r} ${r} 0 0 1 ${2 * r} 0V78z`, class: `t${[1, 2, 0, 3][at]}` });
    });
  },
  function hills(random) {
    const sun = svg("circle", { cx: 25 + random() * 50, cy: 26 + random() * 8, r: 9 + random() * 5, class: "t3" });
    const layers = [1, 2].map((tone) => {
      const y = 34 + tone * 15;
      const lift = 14 + random() * 16;
      const at = 20 + random() * 40;
      return svg("path", { d: `M0 ${y + 6}Q${at} ${y - lift} ${at + 25} ${y}T100 ${y - 6}V100H0z`, class: `t${tone}` });
    });
    return [sun, ...layers];
  },
  function petals(random) {
    const count = 5 + Math.floor(random() * 4);
    const length = 17 + random() * 4;
    const turn = random() * 90;
    const leaves = Array.from({ length: count }, (_, at) =>
      svg("ellipse", {
        cx: 50, cy: 46 - length, rx: 6.5 + random(), ry: length, class: at % 2 ? "t1" : "t2",
        transform: `rotate(${turn + (at * 360) / count} 50 46)`,
      }),
    );
    return [...leaves, svg("circle", { cx: 50, cy: 46, r: 6, class: "t3" })];
  },
  function tiles(random) {
    const quarter = ["M0 0H20A20 20 0 0 1 0 20z", "M20 0V20A20 20 0 0 1 0 0z", "M20 20H0A20 20 0 0 1 20 0z", "M0 20V0A20 20 0 0 1 20 20z"];
    const accent = Math.floor(random() * 9);
    return Array.from({ length: 9 }, (_, at) =>
      svg("path", {
        d: quarter[Math.floor(random() * 4)],
        transform: `translate(${20 + (at % 3) * 20} ${14 + Math.floor(at / 3) * 20})`,
        class: at === accent ? "t3" : random() < 0.5 ? "t1" : "t2",
      }),
    );
  },
  function bands(random) {
    const turn = -50 + random() * 100;
    const width = 7 + random() * 5;
    const lines = [-2, -1, 0, 1, 2].map((at) =>
      svg("rect", {
        x: 50 + at * width * 1.5 - width / 2, y: 46 - 30 + Math.abs(at) * 7, width, height: 60 - Math.abs(at) * 14, rx: width / 2,
        class: at === 0 ? "t3" : at % 2 ? "t2" : "t1", transform: `rotate(${turn} 50 46)`,
      }),
    );
    return lines;
  },
];

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, typeof value === "number" ? value.toFixed(1) : value);
  }
  return element;
}

/** FNV-1a, 32 bits, with a final mix, since ids differ in few characters. */
function hash(text) {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

/** A random number generator in [0, 1) with a seed (mulberry32). */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let value = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}
