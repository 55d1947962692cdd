// What the package's types promise; compiled strictly, as a module and as a script, and never run.
import {
  createVerifier, CredentialError, DenialError, PolicyError,
  type Claims, type Decision, type DenialCode, type EdgeCredential, type IssuerOptions, type Passage, type PosternPolicy, type Verified,
} from "postern";
import { protect as protectExpress } from "postern/express";
import { protect as protectHono, type AuthVariables } from "postern/hono";
import express from "express";
import { Hono } from "hono";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function assertType<_ extends true>(): void {}

interface OrderClaims extends Claims {
  readonly roles: readonly string[];
}

export async function promises(token: string): Promise<void> {
  const options: IssuerOptions = { issuer: "https://auth.example.com/shop", audience: ["shop"], algorithms: ["ES256"] };
  const verifier = await createVerifier(options, { clock: () => 0, fetch, onKeyUpdate: ({ error }) => void error });
  const verified = await verifier.verify<OrderClaims>(token, { signal: AbortSignal.timeout(1), domain: "shop" });
  assertType<Same<typeof verified, Verified<OrderClaims>>>();
  assertType<Same<typeof verified.claims.roles, readonly string[]>>();
  assertType<Same<typeof verified.claims.exp, number | undefined>>();
  const { claims, header } = verifier.verifySync(token);
  assertType<Same<typeof claims.sub, string | undefined>>();
  assertType<Same<typeof header.alg, string>>();
  // @ts-expect-error: what was verified is frozen
  claims.sub = "eve";
  // @ts-expect-error: an option that there is not
  await createVerifier({ issuer: "i", audiance: "shop" });
  // @ts-expect-error: an algorithm that there is not
  await createVerifier({ issuer: "i", algorithms: ["none"] });
  // @ts-expect-error: a token is text
  await verifier.verify(42);

  const policy: PosternPolicy = {
    providers: { shop: { issuer: "https://auth.example.com/shop", audiences: ["shop"] } },
    rules: [{ match: { prefix: "/api/" }, requires: { provider_name: "shop" } }],
  };
  await createVerifier(policy);
  // @ts-expect-error: a member that policies do not have
  await createVerifier({ providers: {}, rulez: [] });

  const edge: EdgeCredential = { edge: "e", name: "n", keys: [{}, {}], issuer_keys: { keys: [] }, issuers: [{ issuer: "i", keys_uri: "k" }] };
  const enrolled = await createVerifier(
    { providers: { shop: { issuer: "https://auth.example.com/shop", edge_keys: {}, status_list: { max_age: "5s" } } }, rules: [] },
    { edge: [edge], onKeyUpdate: ({ statusList }) => assertType<Same<typeof statusList, string | null>>() },
  );
  const pushed = await enrolled.push(token, { waitUntil: () => {} });
  assertType<Same<typeof pushed, boolean>>();
  assertType<Same<typeof enrolled.counters.bundlesRefused, number>>();
  await createVerifier(policy, { edge: "{}" });
  // @ts-expect-error: a credential has all of its members
  await createVerifier(policy, { edge: { edge: "e" } });

  const decision: Decision = await verifier.decide({ url: "https://api.example.com/", headers: new Headers() });
  if (decision.verdict === "deny") assertType<Same<typeof decision.code, DenialCode>>();
  else assertType<Same<typeof decision.target, string | null>>();
  const passage: Passage = await verifier.handle(new Request("https://api.example.com/"));
  if (passage.allowed) assertType<Same<typeof passage.request, Request>>();
  else assertType<Same<typeof passage.response, Response>>();

  try {
    await verifier.ready();
  } catch (error) {
    if (error instanceof DenialError) assertType<Same<typeof error.retryAfter, number | undefined>>();
    if (error instanceof CredentialError) assertType<Same<typeof error.message, string>>();
    if (error instanceof PolicyError) assertType<Same<typeof error.message, string>>();
  }

  const app = express();
  app.use(protectExpress(verifier));
  app.get("/", (request, response) => void response.send(request.auth?.claims.sub));
  const hono = new Hono<{ Variables: AuthVariables }>();
  hono.use(protectHono(verifier));
  hono.get("/", (context) => context.text(context.get("auth")?.claims.sub ?? ""));
  verifier.close();
}
