// Next.js in development: the Worker of `cargo xtask demo` answers below /v1 of the shop's own site, with
// VERGE_URL=http://127.0.0.1:8787. In production, the Worker's route does so, and no rewrite is needed.
const edge = process.env.VERGE_URL;

export default {
  rewrites: async () => (edge ? [{ source: "/v1/:path*", destination: `${edge}/v1/:path*` }] : []),
};
