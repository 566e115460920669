// What rules and experiments ask of the visitor beside the recents: the edge reads the same from the request.
import { device as deviceBy } from "../../../visitor.js";

/** The browser's id, where the edge gave it one and the visitor does not object to being known again. */
export function visitor(): string | undefined {
  const objects = (globalThis.navigator as Navigator & { globalPrivacyControl?: boolean } | undefined)?.globalPrivacyControl;
  const pairs = objects || typeof document === "undefined" ? [] : document.cookie.split(/;\s*/);
  return pairs.find((pair) => pair.startsWith("verge_visitor="))?.slice("verge_visitor=".length);
}

/** `desktop`, `mobile` or `tablet`; empty where there is no browser. */
export function device(): string {
  const { userAgent = "", userAgentData } = (globalThis.navigator ?? {}) as Navigator & { userAgentData?: { mobile: boolean } };
  return deviceBy(userAgent, userAgentData?.mobile);
}
