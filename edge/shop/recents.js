// The recents cookie, read. The edge writes it with each event; its form is
// `1|85123A:v:hmx1s|22423:c3:hmx0k`: the version, then entries newest first, each an escaped item id, the
// strongest kind seen with an optional count, and the minute it was seen in base 36.

const NAME = "verge_recents";
const KINDS = { v: "view", c: "click", a: "cart", p: "purchase" };

/** The cookie's raw value, or "" where there is none. */
export function rawRecents(cookies = document.cookie) {
  const pair = cookies.split(/;\s*/).find((part) => part.startsWith(`${NAME}=`));
  return pair ? pair.slice(NAME.length + 1) : "";
}

/** The visitor's latest distinct items, newest first: `[{ id, kind }]`. Entries that make no sense are left out. */
export function recents(raw = rawRecents()) {
  const [version, ...entries] = raw.split("|");
  if (version !== "1") return [];
  return entries.flatMap((entry) => {
    const [escaped, kind = "v"] = entry.split(":");
    try {
      const id = decodeURIComponent(escaped);
      return id ? [{ id, kind: KINDS[kind[0]] ?? "view" }] : [];
    } catch {
      return [];
    }
  });
}

/** Removes everything Verge keeps in this browser. */
export function forget() {
  for (const name of [NAME, "verge_visitor"]) {
    document.cookie = `${name}=; Max-Age=0; Path=/; Secure; SameSite=Lax`;
  }
}
