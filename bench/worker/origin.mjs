// An origin in the same process, for a measurement without a network: what
// `src/traffic/origin.rs` answers.

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === env.KEYS_PATH) {
      return new Response(env.KEYS, { headers: { "content-type": "application/json" } });
    }
    const leaked = (request.headers.get("authorization") ?? "").split(" ")[0];
    const identity = request.headers.get("x-user-id") ?? "";
    return new Response(null, { headers: { "x-identity": identity, "x-leaked": leaked } });
  },
};
