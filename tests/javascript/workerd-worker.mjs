// A Worker that uses the package as any Worker would: one verifier for all requests, made by the first.
import { createVerifier } from "./workerd.mjs";
import { runCorpus } from "./corpus.mjs";

let verifier;

export default {
  async fetch(request, _env, context) {
    const { pathname } = new URL(request.url);
    const waitUntil = (work) => context.waitUntil(work);
    if (pathname === "/corpus") {
      return Response.json(await runCorpus([await request.json()], { createVerifier, coding: "utf8" }));
    }
    verifier ??= await createVerifier({
      providers: {
        shop: {
          issuer: "https://auth.example.com/shop",
          remote_jwks: { http_uri: { uri: "http://keys.invalid/jwks.json" }, cache_duration: "10s" },
          claim_to_headers: [{ header_name: "x-user-id", claim_name: "sub" }],
        },
      },
      rules: [{ match: { prefix: "/" }, requires: { provider_name: "shop" } }],
    });
    const passage = await verifier.handle(request, { waitUntil });
    if (!passage.allowed) return passage.response;
    const { headers } = passage.request;
    return Response.json({ user: headers.get("x-user-id"), authorization: headers.get("authorization") });
  },
};
