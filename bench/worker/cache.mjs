// The Cache API's far side, empty: bare workerd has none of its own.

export default {
  fetch({ method }) {
    if (method === "PUT") return new Response(null, { status: 204 });
    return new Response(null, { status: 504, headers: { "cf-cache-status": "MISS" } });
  },
};
