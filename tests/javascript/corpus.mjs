// The verdict corpus (`tests/vectors/README.md`) in a host of JavaScript: the npm package decides on the
// request of every case that such a host can be given, and each verdict has to be the case's.

/**
 * What no case may need here: words of Envoy, and ends of fetches at times of their own, which the core's
 * native runner scripts.
 */
const OUT_OF_REACH = ["fetches", "filter-state", "route"];

/**
 * Runs the cases of `files`, the parsed files of the corpus.
 *
 * @param {object} host `createVerifier` of the package; `coding`, how the host's strings hold the bytes of
 * header values: `bytes`, a character for each, or `utf8`.
 * @returns {Promise<{count: number, leftOut: Record<string, number>, wrong: string[]}>}
 */
export async function runCorpus(files, host) {
  const result = { count: 0, leftOut: {}, wrong: [] };
  for (const file of files) {
    for (const case_ of file.cases) {
      const need = obstacle(case_, host);
      if (need !== undefined) {
        result.leftOut[need] = (result.leftOut[need] ?? 0) + 1;
        continue;
      }
      result.count += 1;
      const differences = await run(file, case_, host);
      if (differences.length > 0) {
        result.wrong.push(`${file.topic}/${case_.name} (${case_.why}): ${differences.join("; ")}`);
      }
    }
  }
  return result;
}

/** Why a case cannot be run in this host. */
function obstacle(case_, host) {
  const need = (case_.needs ?? []).find((need) => OUT_OF_REACH.includes(need));
  if (need !== undefined) return need;
  const values = (case_.request?.headers ?? []).map(([, value]) => value);
  return host.coding === "utf8" && values.some((value) => !isUtf8(value)) ? "field-bytes" : undefined;
}

async function run(file, case_, host) {
  const expected = case_.expect;
  if (expected.verdict === "policy_error") return policyError(case_, host);
  const policy = file.policies[case_.policy];
  const issuer = new Issuer(policy, file, case_);
  let now = Math.max(...Object.values(case_.keys ?? {}).flat().map(({ at }) => at));
  if (now === -Infinity) now = case_.now;
  const options = { clock: () => now * 1000, fetch: (url, { signal }) => issuer.answer(url, signal) };
  const verifier = await host.createVerifier(JSON.stringify(policy), options);
  try {
    await Promise.race([verifier.ready().catch(() => {}), issuer.waiting]);
    now = case_.now;
    const actual = await decide(verifier, issuer, case_, host);
    return [...compare(expected, actual), ...(await alone(verifier, actual, case_))];
  } finally {
    verifier.close();
  }
}

async function policyError({ policy, expect: { member } }, host) {
  const text = typeof policy === "string" ? policy : JSON.stringify(policy);
  try {
    (await host.createVerifier(text)).close();
    return [`the policy was taken, not refused at \`${member}\``];
  } catch (error) {
    if (error.name !== "PolicyError") return [`not a PolicyError: ${error}`];
    return error.message.startsWith(member) ? [] : [`refused by \`${error.message}\`, not at \`${member}\``];
  }
}

/** The issuers of a case: they answer each fetch of a key set with the next of its ends. */
class Issuer {
  constructor(policy, file, case_) {
    this.ends = Object.entries(case_.keys ?? {}).flatMap(([provider, ends]) =>
      ends.map((end) => ({ provider, end, urls: urlsOf(policy.providers[provider], end, file) })));
    this.policy = policy;
    this.file = file;
    this.unanswered = new Set();
    this.waiting = new Promise((resolve) => (this.tellWaiting = resolve));
  }

  answer(url, signal) {
    const index = this.ends.findIndex(({ urls }) => urls.includes(url));
    if (index < 0) {
      this.unanswered.add(url);
      // The others, which are answered, come first.
      setTimeout(this.tellWaiting, 20);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    const [{ end }] = this.ends.splice(index, 1);
    if (end.failed) return Promise.reject(new TypeError("fetch failed"));
    const name = end.jwks ?? end.discovery;
    const document = name === undefined ? "" : this.file.key_sets[name];
    const body = typeof document === "string" ? document : JSON.stringify(document);
    return Promise.resolve(new Response(body, { status: end.status ?? 200 }));
  }

  /** Whose keys were asked for and not answered. */
  awaited() {
    return Object.keys(this.policy.providers).filter((name) =>
      [...this.unanswered].some((url) => isOf(url, this.policy.providers[name])));
  }
}

/** From where an end may be fetched. */
function urlsOf(provider, end, file) {
  const fill = (text) => text.replaceAll("{domain}", end.domain ?? "");
  const configuration = `${fill(provider.issuer ?? "").replace(/\/$/, "")}/.well-known/openid-configuration`;
  if (provider.remote_jwks !== undefined) return [fill(provider.remote_jwks.http_uri.uri)];
  if (end.jwks === undefined) return [configuration, fill(provider.openid_discovery?.http_uri?.uri ?? configuration)];
  const documents = Object.values(file.key_sets).map(parsed);
  return documents.flatMap((document) => (document?.jwks_uri === undefined ? [] : [document.jwks_uri]));
}

function isOf(url, provider) {
  const uri = provider.remote_jwks?.http_uri.uri ?? provider.issuer ?? "";
  const [before, after = ""] = uri.split("{domain}");
  return url.startsWith(before) && url.includes(after);
}

async function decide(verifier, issuer, case_, host) {
  const { method, target, scheme = "https", authority = "api.example.com", headers } = case_.request;
  const fields = headers.map(([name, value]) => [name, encode(value, host)]);
  const [sentMethod, sentTarget, sentAuthority] = [method, target, authority].map((text) => encode(text, host));
  const request = { method: sentMethod, target: sentTarget, authority: sentAuthority, scheme, headers: fields };
  const ended = new AbortController();
  issuer.waiting.then(() => ended.abort());
  try {
    return verdict(await verifier.decide(request, { signal: ended.signal }), case_, host);
  } catch (error) {
    if (!ended.signal.aborted) throw error;
    return { verdict: "await", provider: issuer.awaited() };
  }
}

/** The verdict in the corpus's words. */
function verdict(decision, case_, host) {
  if (decision.verdict === "deny") {
    const { code, status, headers, body, metadata } = decision;
    return { verdict: "deny", code, status, headers: Object.fromEntries(headers), body: parsed(body) ?? body, metadata };
  }
  const set = Object.fromEntries(decision.setHeaders.map(([name, value]) => [name, decode(value, host)]));
  const sent = case_.request.headers.map(([name]) => name.toLowerCase());
  const replaced = sent.filter((name) => name in set);
  const removed = decision.removeHeaders.map((name) => name.toLowerCase());
  return {
    verdict: "allow",
    set_headers: set,
    remove_headers: [...new Set([...removed, ...replaced])].sort(),
    target: decision.target === null ? undefined : decode(decision.target, host),
    metadata: decision.metadata,
    tokens: decision.tokens,
  };
}

/** What differs, member by member. */
function compare(expected, actual) {
  const differences = [];
  for (const [name, value] of Object.entries(expected)) {
    // A host without a route cache has none to clear.
    if (name === "clear_route_cache" || name === "domain") continue;
    const differs =
      name === "headers"
        ? Object.entries(value).some(([field, text]) => (actual.headers?.[field] ?? null) !== text)
        : name === "provider"
          ? !actual.provider?.includes(value)
          : !same(value, actual[name]);
    if (differs) differences.push(`\`${name}\` is ${JSON.stringify(actual[name])}, not ${JSON.stringify(value)}`);
  }
  if (actual.target !== undefined && expected.target === undefined) {
    differences.push(`\`target\` is ${actual.target}`);
  }
  return differences;
}

/** A token that let a request through says the same by itself, unless the rule has audiences of its own. */
async function alone(verifier, { tokens }, case_) {
  if (tokens?.length !== 1 || case_.token === undefined) return [];
  const [{ claims, header, domain }] = tokens;
  try {
    const options = domain === null ? {} : { domain };
    const verified = await verifier.verify(case_.token, options);
    const again = verifier.verifySync(case_.token, options);
    if (!same(again, verified)) return ["the token is read differently when it is known"];
    const equal = same(claims, verified.claims) && same(header, verified.header);
    return equal ? [] : [`by itself the token says ${JSON.stringify(verified.claims)}`];
  } catch (error) {
    return error.code === "audience_mismatch" ? [] : [`by itself the token is refused: ${error}`];
  }
}

function bytesOf(value) {
  if (typeof value === "string") return new TextEncoder().encode(value);
  return Uint8Array.from(atob(value.base64), (character) => character.charCodeAt(0));
}

function isUtf8(value) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(value));
    return true;
  } catch {
    return false;
  }
}

function encode(value, { coding }) {
  if (coding === "utf8") return new TextDecoder().decode(bytesOf(value));
  return Array.from(bytesOf(value), (byte) => String.fromCharCode(byte)).join("");
}

function decode(text, { coding }) {
  if (coding === "utf8") return text;
  return new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

function parsed(text) {
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether two values of JSON are one, whatever the order of members. */
function same(one, other) {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) {
    return Object.is(one, other);
  }
  const names = Object.keys(one);
  return (
    Array.isArray(one) === Array.isArray(other) &&
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]))
  );
}
