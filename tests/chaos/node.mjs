// A Node process with the npm package before its API, for the chaos run. What it is told comes as JSON in
// `CHAOS_SETTING`: {package, port, policy, issuer, edge}. All keys and lists are fetched by way of `issuer`,
// whatever their URLs say.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const setting = JSON.parse(process.env.CHAOS_SETTING);
const load = (file) => import(pathToFileURL(join(setting.package, file)));
const { createVerifier } = await load("node.mjs");
const { protect } = await load("express.mjs");

const byTheIssuer = (place, init) => {
  const { pathname, search } = new URL(place instanceof Request ? place.url : place);
  return fetch(new URL(pathname + search, setting.issuer), init);
};

const verifier = await createVerifier(setting.policy, { fetch: byTheIssuer, edge: setting.edge });
const gate = protect(verifier);

/** The shape of an answer of the tests' upstream. */
const api = (request, response) => {
  const headers = Object.entries(request.headers);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ headers }));
};

const server = createServer((request, response) => {
  if (request.url === "/chaos/counters") {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(verifier.counters));
    return;
  }
  gate(request, response, (error) => {
    if (error === undefined) return api(request, response);
    response.writeHead(500);
    response.end(String(error));
  });
});
server.listen(setting.port, "127.0.0.1");
