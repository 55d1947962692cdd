// What tests of the installed package share: the package itself, its test tools, issuers and tokens.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** The project that the package is installed in, as a user would. */
export const project = process.env.POSTERN_PROJECT;
export const requireFromProject = createRequire(join(project, "index.js"));
/** The packages that the package is tested with. */
export const tools = process.env.POSTERN_NPM_TOOLS;
const requireTool = createRequire(join(tools, "index.js"));

/** Imports a package that is a tool. */
export async function importTool(name) {
  return import(pathToFileURL(requireTool.resolve(name)));
}

/** Imports what the installed package exports under this name, as `import` resolves it. */
export async function importInstalled(name = "postern") {
  const [, ...rest] = name.split("/");
  const folder = join(project, "node_modules/postern");
  const manifest = requireFromProject("postern/package.json");
  const entry = manifest.exports[["." , ...rest].join("/")];
  const { import: imported } = entry.node ?? entry;
  return import(pathToFileURL(join(folder, imported.default)));
}

export const ISSUER = "https://auth.example.com/shop";
const jose = await importTool("jose");

/** A key, by its algorithm: signs claims, and has its public JWK. */
export async function newKey(alg, kid) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await jose.exportJWK(publicKey)), kid, alg, use: "sig" };
  const sign = (claims, header = {}) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey);
  return { jwk, kid, sign, privateKey };
}

/** The claims of a token that is good for an hour from `now`, in seconds. */
export function goodClaims(more = {}, now = Math.floor(Date.now() / 1000)) {
  return { iss: ISSUER, aud: "shop", sub: "ada", iat: now, exp: now + 3600, ...more };
}

/** An issuer of key sets on a port of its own, which counts who asks and can fail. */
export class KeyServer {
  static async start(keys) {
    const server = new KeyServer();
    server.keys = keys;
    server.requests = [];
    server.status = 200;
    server.headers = {};
    server.held = undefined;
    server.http = createServer(async (request, response) => {
      server.requests.push({ url: request.url, headers: request.headers });
      await server.held;
      response.writeHead(server.status, server.headers);
      response.end(server.status === 200 ? JSON.stringify({ keys: server.keys.map(({ jwk }) => jwk) }) : "");
    });
    await new Promise((resolve) => server.http.listen(0, "127.0.0.1", resolve));
    server.url = `http://127.0.0.1:${server.http.address().port}/jwks.json`;
    return server;
  }

  /** Keeps everyone waiting until the returned function is called. */
  hold() {
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    return release;
  }

  async stop() {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }
}
