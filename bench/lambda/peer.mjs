// An authorizer as it is written for Lambda's Node.js: aws-jwt-verify, and the loop of a runtime. Lambda's own
// runtime does more before its first event.

import { createRequire } from "node:module";
import http from "node:http";

const [peers, issuer] = process.argv.slice(2);
const { JwtVerifier } = createRequire(`${peers}/`)("aws-jwt-verify");

JwtVerifier.create({ issuer, audience: "shop", jwksUri: `${issuer}/.well-known/jwks.json` });
const next = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/next`;
http.get(next, (response) => response.resume()).on("error", () => {});
