// The headers for a further request on behalf of the same visitor. Its page was checked when the first one came.

const NOT_FORWARDED = /^(upgrade|connection|sec-websocket-.*|if-none-match|origin|sec-fetch-.*|accept-encoding|content-.*)$/;

export function visitorHeaders(request) {
  return new Headers([...request.headers].filter(([name]) => !NOT_FORWARDED.test(name)));
}
