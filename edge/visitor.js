// The visitor's device and local time for rules, shared by the edge and by pages that score themselves.

/** `desktop`, `mobile` or `tablet`, by the user agent and the client hint for mobile; empty if both are unknown. */
export function device(agent, isMobile) {
  if (/iPad|Tablet|Android(?!.*Mobile)/i.test(agent)) return "tablet";
  if (isMobile || /Mobi/i.test(agent)) return "mobile";
  return agent || isMobile !== undefined ? "desktop" : "";
}

const clocks = new Map();

/** The minute of the week, 0 at Monday 00:00, in a time zone or the local one; -1 if the zone is unknown. */
export function minuteOfWeek(zone) {
  const minute = Math.floor(Date.now() / 60_000);
  const known = clocks.get(zone);
  if (known?.minute === minute) return known.ofWeek;
  let ofWeek = -1;
  try {
    const options = { timeZone: zone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const format = known?.format ?? new Intl.DateTimeFormat("en-GB", options);
    const parts = Object.fromEntries(format.formatToParts(minute * 60_000).map(({ type, value }) => [type, value]));
    const day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(parts.weekday);
    ofWeek = (day * 24 + Number(parts.hour)) * 60 + Number(parts.minute);
    // There are some four hundred zones. The limit protects the cache from invented ones.
    if (known || clocks.size < 500) clocks.set(zone, { minute, ofWeek, format });
  } catch {
    console.error(`unknown time zone '${zone}'; conditions on its hours do not hold`);
  }
  return ofWeek;
}
