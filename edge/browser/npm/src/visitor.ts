// The visitor's id and device for rules and experiments. The edge reads them from the request.
import { device as deviceBy } from "../../../visitor.js";

/** The browser's id; undefined if the edge has not set one or the visitor opts out (Global Privacy Control). */
export function visitor(): string | undefined {
  const objects = (globalThis.navigator as Navigator & { globalPrivacyControl?: boolean } | undefined)?.globalPrivacyControl;
  const pairs = objects || typeof document === "undefined" ? [] : document.cookie.split(/;\s*/);
  return pairs.find((pair) => pair.startsWith("verge_visitor="))?.slice("verge_visitor=".length);
}

/** `desktop`, `mobile` or `tablet`; empty outside a browser. */
export function device(): string {
  const { userAgent = "", userAgentData } = (globalThis.navigator ?? {}) as Navigator & { userAgentData?: { mobile: boolean } };
  return deviceBy(userAgent, userAgentData?.mobile);
}
