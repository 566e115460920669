// Answers every GET with what it was PUT: what any Worker must at least do.
let body = "{}";

export default {
  async fetch(request) {
    if (request.method === "PUT") body = await request.text();
    return new Response(body, { headers: { "content-type": "application/json" } });
  },
};
