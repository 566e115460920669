// The headers for a further request on behalf of the same visitor.

const NOT_FORWARDED = /^(upgrade|connection|sec-websocket-.*|if-none-match|origin|accept-encoding|content-.*)$/;

export function visitorHeaders(request) {
  return new Headers([...request.headers].filter(([name]) => !NOT_FORWARDED.test(name)));
}
