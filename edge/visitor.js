// What rules ask of a visitor, read alike by the edge, of a request, and by a page that answers in its place.

/** `desktop`, `mobile` or `tablet` by the browser's name for itself and whether it says that it is mobile; empty where it says neither. */
export function device(agent, isMobile) {
  if (/iPad|Tablet|Android(?!.*Mobile)/i.test(agent)) return "tablet";
  if (isMobile || /Mobi/i.test(agent)) return "mobile";
  return agent || isMobile !== undefined ? "desktop" : "";
}

const clocks = new Map();

/** The minute of the week, Monday 00:00 the first, in a time zone, or here where none is given; -1 where there is no such zone. */
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
    // Visitors' zones are some four hundred; whoever makes up others gets no room.
    if (known || clocks.size < 500) clocks.set(zone, { minute, ofWeek, format });
  } catch {
    console.error(`'${zone}' is no time zone; rules by its hours do not count`);
  }
  return ofWeek;
}
