// The baseline Worker: answers every GET with the body of the last PUT.
let body = "{}";

export default {
  async fetch(request) {
    if (request.method === "PUT") body = await request.text();
    return new Response(body, { headers: { "content-type": "application/json" } });
  },
};
