// What npm's `jose` says of tokens. One JSON object a line on standard input:
//   {token, jwks, algorithms, issuer, audience, now, skew}, where `jwks` is the text of a JWK Set
// and one a line on standard output: {accept, error}.
//
// usage: node jose.mjs FOLDER, which has `node_modules`

import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const folder = createRequire(resolve(process.argv[2], 'package.json'))
const jose = await import(pathToFileURL(folder.resolve('jose')).href)

const keySets = new Map()

function keySet(text) {
  if (!keySets.has(text)) {
    const document = JSON.parse(text)
    keySets.set(text, { document, publicKeys: jose.createLocalJWKSet(document) })
  }
  return keySets.get(text)
}

// `createLocalJWKSet` takes public keys only; secrets are found as it finds those.
async function* secrets({ keys }, { alg, kid }) {
  for (const key of keys) {
    const fits =
      key.kty === 'oct' &&
      (kid === undefined || key.kid === kid) &&
      (key.alg === undefined || key.alg === alg) &&
      (key.use === undefined || key.use === 'sig') &&
      (key.key_ops === undefined || (Array.isArray(key.key_ops) && key.key_ops.includes('verify')))
    if (fits) yield jose.importJWK(key, alg)
  }
}

// The documented way to try each of several keys that fit.
async function tryEach(keys, token, options) {
  for await (const key of keys) {
    try {
      return await jose.jwtVerify(token, key, options)
    } catch (error) {
      if (error?.code !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') throw error
    }
  }
  throw new jose.errors.JWKSNoMatchingKey()
}

async function verify({ token, jwks, algorithms, issuer, audience, now, skew }) {
  const { document, publicKeys } = keySet(jwks)
  const options = {
    algorithms,
    issuer,
    audience,
    currentDate: new Date(now * 1000),
    clockTolerance: skew,
    requiredClaims: ['exp'],
  }
  const header = jose.decodeProtectedHeader(token)
  if (String(header.alg).startsWith('HS')) {
    return tryEach(secrets(document, header), token, options)
  }
  try {
    await jose.jwtVerify(token, publicKeys, options)
  } catch (error) {
    if (error?.code !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error
    await tryEach(error, token, options)
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let verdict
  try {
    await verify(JSON.parse(line))
    verdict = { accept: true, error: null }
  } catch (error) {
    verdict = { accept: false, error: error?.code ?? error?.name ?? 'unknown' }
  }
  process.stdout.write(JSON.stringify(verdict) + '\n')
}
