import type { Event, Recent } from "./types.js";

// `1|85123A:v:ht7ui|22423:c3:ht7tk`: the version, then the entries, newest first: the escaped id, the strongest kind with
// the count if above 1, and the minute in base 36. The edge uses the same format.
const KINDS = { v: "view", c: "click", a: "cart", p: "purchase" } as const;
const LETTERS = "vcap";
const MAX_ENTRIES = 50;
const MAX_BYTES = 3072;
/** Allowed difference between the clocks of edge and device, in minutes. */
const MAX_CLOCK_DIFFERENCE = 5;

/** The name of the cookie. */
export const COOKIE = "verge_recents";

/** How often a value may be percent-encoded as a whole. */
const MAX_ENCODINGS = 3;

/** Parses the valid entries, newest first. Quotes, blanks and percent-encoding that a library added are removed. */
export function parse(value: string, encodings = MAX_ENCODINGS): Recent[] {
  const bare = value.trim().replace(/^"(.*)"$/s, "$1");
  const [version = "", ...entries] = bare.split("|");
  if (version.trim() !== "1") {
    try {
      const decoded = decodeURIComponent(bare);
      return decoded === bare || !encodings ? [] : parse(decoded, encodings - 1);
    } catch {
      return [];
    }
  }
  const recents: Recent[] = [];
  for (const entry of entries) {
    const [id = "", kind = "v", minutes = ""] = entry.split(":").map((field) => field.trim());
    try {
      const item = decodeURIComponent(id);
      if (!item || recents.length === MAX_ENTRIES || recents.some((known) => known.item === item)) continue;
      recents.push({
        item,
        kind: KINDS[kind[0] as "v"] ?? "view",
        count: Number(kind[1]) || 1,
        minutes: parseInt(minutes, 36) || 0,
      });
    } catch {
      // Invalid escape.
    }
  }
  return recents;
}

/**
 * Parses the cookies of a page or header. Of several with this name, the one with the newest entry counts, then the one with
 * the most entries, then the first.
 */
export function fromCookies(cookies: string): Recent[] {
  const newest = (recents: Recent[]) => Math.max(0, ...recents.map(({ minutes }) => minutes));
  return cookies
    .split(";")
    .flatMap((pair) => /^\s*verge_recents\s*=(.*)/s.exec(pair)?.slice(1).map((value) => parse(value)) ?? [])
    .reduce((best, next) => ((newest(next) - newest(best) || next.length - best.length) > 0 ? next : best), []);
}

/** Moves the event's item to the front. An impression changes nothing. */
export function touch(recents: Recent[], { kind, item }: Event, now: number): Recent[] {
  const letter = LETTERS.indexOf(kind[kind === "cart" ? 1 : 0] ?? "");
  if (kind === "impression" || letter < 0) return recents;
  const known = recents.find((recent) => recent.item === item);
  const minutes = Math.floor(now / 60_000);
  const first: Recent = {
    item,
    kind: known && LETTERS.indexOf(code(known.kind)) > letter ? known.kind : kind,
    count: Math.min((known?.count ?? 0) + 1, 9),
    minutes: Math.max(minutes, known?.minutes ?? 0),
  };
  return [first, ...recents.filter((recent) => recent !== known)].slice(0, MAX_ENTRIES);
}

/** Whether the recents include this event; always false for an impression. */
export function includesEvent(recents: Recent[], { kind, item }: Event, time: number): boolean {
  const isLike = (known: Recent) =>
    known.item === item && LETTERS.indexOf(code(known.kind)) >= LETTERS.indexOf(code(kind)) &&
    Math.abs(known.minutes - time / 60_000) < MAX_CLOCK_DIFFERENCE;
  return kind !== "impression" && recents.some(isLike);
}

const code = (kind: string) => (kind === "cart" ? "a" : (kind[0] ?? "v"));

/** Encodes the cookie's value. Drops the oldest entries that do not fit. */
export function encode(recents: Recent[]): string {
  let value = "1";
  for (const { item, kind, count, minutes } of recents) {
    const entry = `|${encodeURIComponent(item)}:${code(kind)}${count > 1 ? count : ""}:${minutes.toString(36)}`;
    if (value.length + entry.length > MAX_BYTES) break;
    value += entry;
  }
  return value;
}
