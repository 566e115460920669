// What rules and experiments ask of a visitor beside the recents: the edge reads the same from the request.

/** The browser's id, where the edge gave it one and the visitor does not object to being known again. */
export function visitor(): string | undefined {
  const objects = (globalThis.navigator as Navigator & { globalPrivacyControl?: boolean } | undefined)?.globalPrivacyControl;
  const pairs = objects || typeof document === "undefined" ? [] : document.cookie.split(/;\s*/);
  return pairs.find((pair) => pair.startsWith("verge_visitor="))?.slice("verge_visitor=".length);
}

/** `desktop`, `mobile` or `tablet`; nothing where there is no browser. */
export function device(): string | undefined {
  const { userAgent = "", userAgentData } = (globalThis.navigator ?? {}) as Navigator & { userAgentData?: { mobile: boolean } };
  if (/iPad|Tablet|Android(?!.*Mobile)/i.test(userAgent)) return "tablet";
  if (userAgentData?.mobile || /Mobi/i.test(userAgent)) return "mobile";
  return userAgent ? "desktop" : undefined;
}

/** The minute of the week, Monday 00:00 the first, in a time zone or here; -1 where there is no such zone. */
export function minuteOfWeek(zone?: string): number {
  try {
    const format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    const part = Object.fromEntries(format.formatToParts(Date.now()).map(({ type, value }) => [type, value]));
    const day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(part.weekday ?? "");
    return (day * 24 + Number(part.hour)) * 60 + Number(part.minute);
  } catch {
    return -1;
  }
}
