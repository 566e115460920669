// The headers of a request to Verge beside the one that is being answered, by the same visitor.

const OF_ONE = /^(upgrade|connection|sec-websocket-.*|if-none-match|origin|accept-encoding|content-.*)$/;

export function headersBeside(request) {
  return new Headers([...request.headers].filter(([name]) => !OF_ONE.test(name)));
}
