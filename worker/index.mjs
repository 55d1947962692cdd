// The Worker: shows each request to the gate, which is the Wasm module, and does what that says.

import policy from "./policy.json";
import { __wbg_reset_state, configure, decide, heed, initSync, push, refresh, work } from "./postern.js";
import module from "./postern_bg.wasm";

/** How long a request may wait for keys in all, and between two looks whether they are there. */
const MAX_WAIT = 15_000;
const LOOK_EVERY = 20;
/** Where an issuer says that it has something new, if this is an enrolled edge. */
const PUSHES = "/.well-known/postern/push";
/** How long a configuration that does not work is not looked at again, in milliseconds. */
const RETRY_AFTER = 5_000;

/**
 * `node:crypto`, which takes 10 ms to load: not before a signature is to be checked. Where there is
 * none, this throws, and the gate checks signatures itself.
 */
let loaded;
const native = () => (loaded ??= globalThis.process.getBuiltinModule("node:crypto"));
const crypto = {
  createPublicKey: (key) => native().createPublicKey(key),
  createVerify: (digest) => native().createVerify(digest),
  verify: (digest, message, key, signature) => native().verify(digest, message, key, signature),
};

/** Where requests go that are let through, as `configure` returns them; none before that. */
let origins;
/** Whether there has been an instance of the module. */
let begun = false;
/** Whether this instance of the module is not to be used any more. */
let broken = false;
/** Until when the last failure to configure stands. */
let brokenUntil = 0;

globalThis.posternFailed = () => {
  [broken, brokenUntil] = [true, 0];
};

/** A module to use; a new one where the last one has failed. */
function instantiate() {
  if (!begun) {
    initSync({ module });
  } else if (broken) {
    __wbg_reset_state();
  }
  [begun, broken] = [true, false];
}

async function prepare(env) {
  if (Date.now() < brokenUntil) throw new Error("not configured");
  instantiate();
  try {
    origins = JSON.parse(await configure(env, policy, crypto));
  } catch (error) {
    brokenUntil = Date.now() + RETRY_AFTER;
    throw error;
  }
}

/** Whether the gate can be asked. */
function isReady() {
  return origins !== undefined && !broken;
}

/** Does what the gate has to do beside requests; the promise, if there is one, ends with that. */
function doWork(env, context) {
  const working = work(env);
  if (working !== undefined) context.waitUntil(working);
  return working;
}

/** Lets a request pass or not. What the origin fails to answer is thrown, as if there were no gate. */
function show(request, env, context) {
  try {
    if (request.url.endsWith(PUSHES) && isForPushes(request, env)) return take(request, env, context);
    return pass(request, env, context);
  } catch (error) {
    return failed(error);
  }
}

/** Whether a request is for the place of pushes, which there is only with a credential. */
function isForPushes({ url }, env) {
  return env.POSTERN_EDGE !== undefined && url.indexOf("/", url.indexOf("://") + 3) === url.length - PUSHES.length;
}

/** Takes a push: the issuer is answered before anything follows. Of its body nothing is read. */
function take(request, env, context) {
  const answer = (status, headers) => new Response(null, { status, headers: { "cache-control": "no-store", ...headers } });
  if (request.method !== "POST") return answer(405, { allow: "POST" });
  if (!push(request.headers.get("authorization") ?? "")) return answer(401, { "www-authenticate": "Bearer" });
  context.waitUntil(heed(env));
  return answer(204);
}

/**
 * Shows the gate a request, in lines as `postern_javascript::RequestText` reads them, and does what it
 * says.
 */
function pass(request, env, context) {
  const { url } = request;
  const start = url.indexOf("://") + 3;
  let path = url.indexOf("/", start);
  if (path < 0) path = url.length;
  let text =
    request.method + "\n" + url.slice(path) + "\n" + url.slice(start, path) + "\n" + url.slice(0, start - 3);
  let fields = 0;
  for (const [name, value] of request.headers) {
    text += "\n" + name + "\n" + value;
    fields += 1;
  }
  const orders = decide(text, fields, Date.now(), true);
  if (orders.charCodeAt(0) === 63 /* ? */) {
    return wait(request, text, fields, env, context).catch((error) => () => failed(error)).then((then) => then());
  }
  if (orders.charCodeAt(1) === 33 /* ! */) doWork(env, context);
  return obey(orders, request, url, path, env);
}

/** Waits for keys: fetches them, or looks whether another request has. Returns what is to be done then. */
async function wait(request, text, fields, env, context) {
  const { url } = request;
  const path = url.indexOf("/", url.indexOf("://") + 3);
  const end = Date.now() + MAX_WAIT;
  for (;;) {
    const pause = new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    const working = doWork(env, context);
    await (working === undefined ? pause : Promise.race([working, pause]));
    if (!isReady()) return unavailable;
    const orders = decide(text, fields, Date.now(), Date.now() < end);
    if (orders.charCodeAt(0) !== 63) return () => obey(orders, request, url, path, env);
  }
}

function obey(orders, request, url, path, env) {
  const lines = orders.split("\n");
  return orders.charCodeAt(0) === 43 /* + */ ? forward(lines, request, url, path, env) : answer(lines);
}

/** Sends the request on, as `postern_javascript::forward_text` says it is to be changed. */
function forward(lines, request, url, path, env) {
  const origin = origins[lines[0].slice(2)];
  const target = lines[1] === "" ? url.slice(path) : lines[1];
  const base = origin.url === undefined ? url.slice(0, path) : origin.url;
  const upstream = new Request(base + target, request);
  const { headers } = upstream;
  let line = 3;
  for (const end = line + Number(lines[2]); line < end; line += 1) headers.delete(lines[line]);
  for (; line < lines.length; line += 2) headers.set(lines[line], lines[line + 1]);
  return origin.service === undefined ? fetch(upstream) : env[origin.service].fetch(upstream);
}

/** Answers as `postern_javascript::answer_text` says. */
function answer(lines) {
  const headers = new Headers();
  const end = 3 + 2 * Number(lines[2]);
  for (let line = 3; line < end; line += 2) headers.append(lines[line], lines[line + 1]);
  const body = lines.slice(end).join("\n");
  return new Response(body, { status: Number(lines[1]), headers });
}

/** The answer where there is no gate: nobody passes. */
function unavailable() {
  const problem = {
    type: "about:blank",
    title: "Service Unavailable",
    status: 503,
    detail: "the gate is not available",
    code: "gate_unavailable",
  };
  const headers = {
    "cache-control": "no-store",
    "content-type": "application/problem+json",
    "retry-after": "1",
  };
  return new Response(JSON.stringify(problem), { status: 503, headers });
}

/** Whatever fails, nobody passes for it; and a module that has failed is not asked again. */
function failed(error) {
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) broken = true;
  const reason = typeof error === "string" ? error : error.name;
  if (reason !== "Error") {
    console.error(JSON.stringify({ postern: "error", what: "gate", reason }));
  }
  return unavailable();
}

export default {
  fetch(request, env, context) {
    if (isReady()) return show(request, env, context);
    return prepare(env).then(() => show(request, env, context), failed);
  },

  async scheduled(_event, env, context) {
    try {
      if (!isReady()) await prepare(env);
      await refresh(env);
    } catch (error) {
      failed(error);
    }
  },
};
