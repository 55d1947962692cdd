// An issuer that makes bundles, status lists and pushes with `jose`, as the issuer of Postern does with
// Rust, and the edge that it has enrolled.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { deflateSync } from "node:zlib";

const require = createRequire(join(process.env.POSTERN_NPM_TOOLS, "index.js"));
const jose = await import(pathToFileURL(require.resolve("jose")));

const DAY = 86_400;
/** How far an assertion's `iat` may be from now, in seconds. */
const MAX_AGE = 120;
export const PUSH_PATH = "/.well-known/postern/push";
const seconds = (milliseconds) => Math.floor(milliseconds / 1000);
const encoder = new TextEncoder();

/** A key pair as two JWKs; its `kid` is the thumbprint (RFC 7638). */
async function pair(more) {
  const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
  const secret = await jose.exportJWK(privateKey);
  const { d: _, ...open } = secret;
  const named = { ...more, kid: await jose.calculateJwkThumbprint(open) };
  return { secret: { ...secret, ...named }, open: { ...open, ...named }, privateKey };
}

/** An issuer with one domain, `shop`, and one edge. Its clock is `ahead` seconds before this machine's. */
export class EdgeIssuer {
  static async start(alg = "HS256") {
    const issuer = new EdgeIssuer();
    const signing = { use: "sig", alg: "ES256" };
    Object.assign(issuer, {
      alg, ahead: 0, seq: 1, status: 200, maxAge: 5, bits: 1, listStatus: 200,
      /** Replaces the bundle that is served, or the list, where a test has made one by hand. */
      forge: undefined, forgeList: undefined,
      /** Whether whoever asks for bundles or for lists waits. */
      held: undefined,
      /** What has been asked for: `{ method, url, headers, claims }`, the last of an assertion that was right. */
      requests: [], lists: new Map(), domainKeys: [],
      own: await pair(signing), next: await pair(signing),
      edge: randomBytes(16).toString("base64url"),
      sig: await pair(signing), enc: await pair({ use: "enc", alg: "ECDH-ES+A256KW" }),
    });
    issuer.http = createServer((request, response) => void issuer.serve(request, response));
    await new Promise((resolve) => issuer.http.listen(0, "127.0.0.1", resolve));
    issuer.origin = `http://127.0.0.1:${issuer.http.address().port}`;
    issuer.url = `${issuer.origin}/shop`;
    await issuer.rotate("one");
    return issuer;
  }

  async stop() {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  now() {
    return seconds(Date.now()) + this.ahead;
  }

  /** What `postern edge enrol` prints. */
  get credential() {
    return {
      edge: this.edge, name: "test", keys: [this.sig.secret, this.enc.secret],
      issuer_keys: { keys: [this.own.open, this.next.open] },
      issuers: [{ issuer: this.url, keys_uri: `${this.url}/edge/keys` }],
    };
  }

  /** A policy with this issuer's keys and lists. */
  policy({ edgeKeys = {}, statusList = {}, ...more } = {}) {
    const shop = {
      issuer: this.url, algorithms: [this.alg], edge_keys: edgeKeys, ...more,
      ...(statusList && { status_list: { allow_missing: true, ...statusList } }),
    };
    return { providers: { shop }, rules: [{ match: { prefix: "/" }, requires: { provider_name: "shop" } }] };
  }

  /** A fresh key signs; the ones before stay in the set. */
  async rotate(kid) {
    const named = { kid, alg: this.alg, use: "sig" };
    if (this.alg === "HS256") {
      const k = randomBytes(32);
      this.domainKeys.unshift({ kid, key: k, jwk: { kty: "oct", k: k.toString("base64url"), ...named } });
      return;
    }
    const { open, privateKey } = await pair({});
    this.domainKeys.unshift({ kid, key: privateKey, jwk: { ...open, ...named } });
  }

  /** A token; `place` is where its session is in the lists: `[n, idx]`. */
  token(more = {}, { kid = this.domainKeys[0].kid, place } = {}) {
    const now = this.now();
    const status = place && { status: { status_list: { idx: place[1], uri: this.listUrl(place[0]) } } };
    const claims = { iss: this.url, sub: "ada", iat: now, exp: now + 30 * DAY, ...status, ...more };
    return this.signAs(kid, claims);
  }

  signAs(kid, claims, header = {}) {
    const { key } = this.domainKeys.find((known) => known.kid === kid);
    return new jose.SignJWT(claims).setProtectedHeader({ alg: this.alg, kid, ...header }).sign(key);
  }

  listUrl(number) {
    return `${this.url}/status-lists/${number}`;
  }

  /** Revokes the session of a place. */
  revoke(number, index) {
    const list = this.lists.get(number) ?? { revoked: new Map() };
    list.revoked.set(index, 1);
    this.lists.set(number, list);
  }

  async list(number, { iat = this.now(), more = {}, header = {}, places = 1024 } = {}) {
    const bytes = Buffer.alloc((places * this.bits) / 8);
    for (const [index, status] of this.lists.get(number)?.revoked ?? []) {
      bytes[Math.floor((index * this.bits) / 8)] |= status << ((index * this.bits) % 8);
    }
    const status_list = { bits: this.bits, lst: deflateSync(bytes).toString("base64url") };
    const not_before = this.notBefore && { postern_not_before: this.notBefore };
    const claims = { sub: this.listUrl(number), iat, exp: iat + 300, ttl: 5, status_list, ...not_before, ...more };
    return this.signAs(this.domainKeys[0].kid, claims, { typ: "statuslist+jwt", ...header });
  }

  async bundle({ seq = this.seq, iat = this.now(), exp = iat + DAY, iss = this.url, aud = this.edge, to = this.enc, by = this.own, keys } = {}) {
    const set = JSON.stringify({ keys: keys ?? this.domainKeys.map(({ jwk }) => jwk) });
    const header = { alg: "ECDH-ES+A256KW", enc: "A256GCM", cty: "jwk-set+json", kid: to.open.kid };
    const recipient = await jose.importJWK(to.open, header.alg);
    const jwks = await new jose.CompactEncrypt(encoder.encode(set)).setProtectedHeader(header).encrypt(recipient);
    return this.sign(by, "postern-bundle+jwt", { iss, aud, iat, exp, seq, jwks });
  }

  /** What tells the edge that something has changed. */
  push({ iat = this.now(), aud = this.edge, issuers = [this.url], by = this.own, typ = "postern-push+jwt" } = {}) {
    return this.sign(by, typ, { aud, iat, exp: iat + 60, issuers });
  }

  sign(by, typ, claims) {
    const header = { alg: "ES256", kid: by.open.kid, typ };
    return new jose.SignJWT(claims).setProtectedHeader(header).sign(by.privateKey);
  }

  get etag() {
    const kids = this.domainKeys.map(({ kid }) => kid).join();
    return `"${this.seq}.${createHash("sha256").update(kids).digest("base64url").slice(0, 16)}"`;
  }

  asked(what) {
    return this.requests.filter(({ url }) => url.includes(what)).length;
  }

  /** Lets everyone wait until the returned function is called. */
  hold() {
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    return () => ((this.held = undefined), release());
  }

  async serve({ method, url, headers }, response) {
    const request = { method, url, headers };
    this.requests.push(request);
    await this.held;
    try {
      const [status, fields, body] = await (url.includes("/status-lists/") ? this.serveList(url, headers) : this.serveBundle(request));
      response.writeHead(status, fields);
      response.end(body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }

  async serveList(url, headers) {
    if (this.listStatus !== 200) return [this.listStatus, {}, ""];
    const number = Number(url.split("/").at(-1));
    const list = this.lists.get(number);
    if (list === undefined && this.forgeList === undefined) return [404, {}, ""];
    const named = JSON.stringify([...(list?.revoked ?? []), this.notBefore, this.domainKeys[0].kid, this.listEpoch]);
    const etag = `"${createHash("sha256").update(named).digest("base64url").slice(0, 16)}"`;
    const fields = { "content-type": "application/statuslist+jwt", etag, "cache-control": "public, max-age=5", "access-control-allow-origin": "*" };
    if (headers["if-none-match"] === etag) return [304, fields, ""];
    return [200, fields, (await this.forgeList?.(number)) ?? (await this.list(number))];
  }

  async serveBundle(request) {
    const { headers } = request;
    if (this.status !== 200) return [this.status, {}, ""];
    const claims = await this.recognize(headers.authorization).catch(() => undefined);
    if (claims === undefined) return [401, { "cache-control": "no-store" }, ""];
    request.claims = claims;
    const fields = { "content-type": "application/jose", etag: this.etag, "cache-control": `private, max-age=${this.maxAge}` };
    if (headers["if-none-match"] === this.etag) return [304, fields, ""];
    return [200, fields, (await this.forge?.()) ?? (await this.bundle())];
  }

  /** The claims of an edge's assertion, if it is right. */
  async recognize(authorization) {
    const token = authorization.replace(/^Bearer /, "");
    const rules = { issuer: this.edge, subject: this.edge, audience: this.url, typ: "postern-edge+jwt", currentDate: new Date(this.now() * 1000), clockTolerance: MAX_AGE };
    const key = await jose.importJWK(this.sig.open, "ES256");
    const { payload, protectedHeader } = await jose.jwtVerify(token, key, rules);
    const isRight = protectedHeader.kid === this.sig.open.kid && /^[0-9a-f]{16}$/.test(payload.instance) && payload.exp === payload.iat + 60;
    if (!isRight || Math.abs(payload.iat - this.now()) > MAX_AGE) throw new Error("not an edge's");
    return payload;
  }
}
