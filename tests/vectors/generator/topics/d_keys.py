"""JWK Sets (RFC 7517): which keys are used, and what becomes of a request while there are none."""

from .. import keys as k
from ..corpus import PASS, Topic, deny, got, jwks, policy, provider, remote, wait
from ..keys import b64, number, pkcs1
from ..tokens import ABSENT, NOW, claims, header, sign, with_signature

T = Topic("keys", "what a fetched key set is good for, and when there is none", "remote")
T.policy("remote", policy({"shop": provider(remote_jwks=remote())}))
T.policy("secret-document", policy({"shop": provider(remote_jwks=remote(dangerous_symmetric_keys=True), algorithms=["HS256", "HS512", "ES256"])}))
T.policy("hmac-named", policy({"shop": provider(remote_jwks=remote(), algorithms=["HS256", "ES256"])}))
T.policy("short-stale", policy({"shop": provider(remote_jwks=remote(cache_duration="60s", max_stale="600s"))}))
T.policy("slow-retry", policy({"shop": provider(remote_jwks=remote(retry_policy={"retry_back_off": {"base_interval": "2s", "max_interval": "3s"}}))}))
T.policy("failed-refetch", policy({"shop": provider(remote_jwks=remote(async_fetch={"failed_refetch_duration": "3s"}))}))
T.policy(
    "bytes",
    policy(
        {
            "shop": provider(
                local_jwks={"inline_bytes": __import__("base64").b64encode(__import__("json").dumps(jwks(k.ES.jwk(kid="es-1", alg="ES256"))).encode()).decode()}
            )
        }
    ),
)
GOOD = k.ES.jwk(kid="es-1", alg="ES256")
EC = {"key": k.ES, "head": header()}


def case(name, why, keys, expect, *, key=k.ES, head=None, body=None, **more):
    """One key set, fetched now. `keys` are JWKs, or a document as it stands."""
    T.key_set(name, jwks(*keys) if isinstance(keys, list) else keys)
    T.case(name, why, expect, bearer=sign(head, body, key=key), keys={"shop": [got(name)]}, **more)


def skip(name, why, *keys, code="key_unknown", **more):
    case(name, why, list(keys), deny(code), **more)


def use(name, why, *keys, **more):
    case(name, why, list(keys), PASS, **more)


use("one-key", "the accept", GOOD)
use("unknown-members", "RFC 7517 §4: what is not understood is ignored", {**GOOD, "x5c": ["MIIB"], "exp": 1, "x": GOOD["x"]})
T.case("inline-bytes", "`local_jwks.inline_bytes`: the document in base64", PASS, policy="bytes", bearer=sign())
case("unknown-set-members", "RFC 7517 §5: what is not understood is ignored", {"keys": [GOOD], "generation": 7}, PASS)
skip("empty-set", "an empty set withdraws all keys")
skip("another-key", "no key has the token's `kid`", k.ES_OTHER.jwk(kid="es-2", alg="ES256"))

# use, key_ops
use("use-sig", "RFC 7517 §4.2", {**GOOD, "use": "sig"})
for value in ("enc", "SIG", "", "sig enc"):
    skip(f"use-{value or 'empty'}".replace(" ", "-"), "RFC 7517 §4.2: not for signatures", {**GOOD, "use": value})
skip("use-null", "RFC 7517 §4.2: a string", {**GOOD, "use": None})
use("key-ops-verify", "RFC 7517 §4.3", {**GOOD, "key_ops": ["verify"]})
use("key-ops-sign-verify", "RFC 7517 §4.3: verifying is among them", {**GOOD, "key_ops": ["sign", "verify"]})
for name, value in [
    ("sign", ["sign"]),
    ("encrypt", ["encrypt"]),
    ("empty", []),
    ("string", "verify"),
    ("null", None),
    ("upper-case", ["VERIFY"]),
    ("derive", ["deriveKey", "deriveBits"]),
]:
    skip(f"key-ops-{name}", "RFC 7517 §4.3: verifying is not among them", {**GOOD, "key_ops": value})
skip("use-sig-key-ops-encrypt", "both have to allow it", {**GOOD, "use": "sig", "key_ops": ["encrypt"]})

# kty, alg, crv
for name, value in [("lower-case", "ec"), ("rsa", "RSA"), ("okp", "OKP"), ("unknown", "AKP"), ("null", None), ("number", 1)]:
    skip(f"kty-{name}", "RFC 7517 §4.1", {**GOOD, "kty": value})
skip("kty-absent", "RFC 7517 §4.1: `kty` must be present", {key: value for key, value in GOOD.items() if key != "kty"})
for value in ("RS256", "ES384", "EdDSA", "HS256", "none", "ECDH-ES", "es256", ""):
    skip(f"alg-{value or 'empty'}", "RFC 7517 §4.4: not an algorithm of this key", {**GOOD, "alg": value})
skip("alg-null", "RFC 7517 §4.4: a string", {**GOOD, "alg": None})
use("alg-absent", "RFC 7517 §4.4: optional", k.ES.jwk(kid="es-1"))
for value in ("P-384", "P-521", "P-224", "p-256", "secp256r1", "Ed25519"):
    skip(f"crv-{value}", "RFC 7518 §6.2.1.1: the curve of the algorithm", {**GOOD, "crv": value})
skip("crv-absent", "RFC 7518 §6.2.1.1: `crv` must be present", {key: value for key, value in GOOD.items() if key != "crv"})
ED = k.ED.jwk(kid="ed", alg="EdDSA")
ED_TOKEN = {"key": k.ED, "head": header(alg="EdDSA", kid="ed")}
use("ed25519", "RFC 8037 §2", ED, **ED_TOKEN)
for value in ("Ed448", "X25519", "ed25519"):
    skip(f"okp-crv-{value}", "RFC 8037 §2: not the curve of the algorithm", {**ED, "crv": value}, **ED_TOKEN)
skip("okp-x-short", "RFC 8037 §2: 32 bytes", {**ED, "x": b64(k.ED.x[:31])}, **ED_TOKEN)
skip("okp-x-long", "RFC 8037 §2: 32 bytes", {**ED, "x": b64(k.ED.x + b"\0")}, **ED_TOKEN)
# A key of small order fits R = identity, s = 0 for one message in a few, whatever it says.
T.key_set("okp-small-order", jwks({"kty": "OKP", "crv": "Ed25519", "x": b64(b"\1" + bytes(31)), "kid": "ed", "alg": "EdDSA"}))
T.case(
    "okp-small-order",
    "RFC 8032 §8.9: a key of small order fits any message",
    deny("key_unknown"),
    bearer=with_signature(header(alg="EdDSA", kid="ed"), claims(), b"\1" + bytes(63)),
    keys={"shop": [got("okp-small-order")]},
)

# Points
P = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
skip("point-off-curve", "SEC 1 §3.2.2: the invalid-curve attack", {**GOOD, "y": b64(number(int.from_bytes(k.ES.y, "big") ^ 1, 32))})
skip("point-zero", "SEC 1 §3.2.2: not on the curve", {**GOOD, "x": b64(bytes(32)), "y": b64(bytes(32))})
skip("point-coordinate-not-reduced", "a coordinate is less than the prime", {**GOOD, "x": b64(number(P, 32))})
skip("point-short", "RFC 7518 §6.2.1.2: the full length", {**GOOD, "x": b64(k.ES.x[:31])})
skip("point-padded", "RFC 7518 §6.2.1.2: the full length", {**GOOD, "x": b64(b"\0" + k.ES.x)})
skip("point-without-y", "RFC 7518 §6.2.1.3: `y` must be present", {key: value for key, value in GOOD.items() if key != "y"})
skip("point-base64-padded", "RFC 7515 §2: no padding", {**GOOD, "x": GOOD["x"] + "="})
skip("point-number", "RFC 7518 §6.2.1.2: a string", {**GOOD, "x": 7})
skip("point-respelled", "trailing bits must be zero", {**GOOD, "x": GOOD["x"][:-1] + chr(ord(GOOD["x"][-1]) + 1)})
skip("point-negated", "the other point of this x is another key", {**GOOD, "y": b64(number(P - int.from_bytes(k.ES.y, "big"), 32))}, code="signature_invalid")

# RSA
RSA = k.RSA.jwk(kid="rsa", alg="RS256")
RSA_TOKEN = {"key": k.RSA, "head": header(alg="RS256", kid="rsa")}
use("rsa-2048", "RFC 7518 §3.3: 2048 bits or more", RSA, **RSA_TOKEN)
skip("rsa-1024", "RFC 7518 §3.3: 2048 bits or more", k.RSA_1024.jwk(kid="rsa", alg="RS256"), key=k.RSA_1024, head=RSA_TOKEN["head"])
skip("rsa-5120", "more than 4096 bits cost too much", k.RSA_5120.jwk(kid="rsa", alg="RS256"), key=k.RSA_5120, head=RSA_TOKEN["head"])
skip(
    "rsa-1024-padded",
    "leading zeros make no key longer",
    {**k.RSA_1024.jwk(kid="rsa", alg="RS256"), "n": b64(bytes(128) + number(k.RSA_1024.n))},
    key=k.RSA_1024,
    head=RSA_TOKEN["head"],
)
for exponent in (1, 2, 65536):
    name = f"rsa-exponent-{exponent}"
    T.key_set(name, jwks({**RSA, "e": b64(number(exponent))}))
    T.case(
        name,
        "the exponent is odd and at least 3; with 1 the padding is its own signature",
        deny("key_unknown"),
        bearer=with_signature(RSA_TOKEN["head"], claims(), lambda text: pkcs1(256, "sha256", text)),
        keys={"shop": [got(name)]},
    )
skip("rsa-exponent-empty", "the exponent is a number", {**RSA, "e": ""}, **RSA_TOKEN)
skip("rsa-without-e", "RFC 7518 §6.3.1.2: `e` must be present", {key: value for key, value in RSA.items() if key != "e"}, **RSA_TOKEN)
skip("rsa-for-encryption", "RFC 7518 §4.1: a key for encryption", {**RSA, "alg": "RSA-OAEP"}, **RSA_TOKEN)

# Private and symmetric keys
skip("private-ec", "a private key that was published is everyone's", {**GOOD, "d": b64(number(k.ES.scalar, 32))})
skip("private-empty", "the member is enough", {**GOOD, "d": ""})
skip("private-okp", "a private key that was published is everyone's", {**ED, "d": b64(bytes(32))}, **ED_TOKEN)
for member in ("d", "p", "q", "dp", "dq", "qi"):
    skip(f"private-rsa-{member}", "RFC 7518 §6.3.2", {**RSA, member: b64(number(k.RSA.d))}, **RSA_TOKEN)
skip("private-rsa-oth", "RFC 7518 §6.3.2.7", {**RSA, "oth": []}, **RSA_TOKEN)
HS = k.HS256.jwk(kid="hs")
HS_TOKEN = {"key": k.HS256, "head": header(alg="HS256", kid="hs")}
skip("secret-in-public-set", "a secret that was published is everyone's", HS, policy="hmac-named", **HS_TOKEN)
skip("secret-beside-public", "a secret that was published is everyone's", HS, GOOD, policy="hmac-named", **HS_TOKEN)
use("public-beside-secret", "the others are used", k.HS256.jwk(kid="hs"), GOOD, policy="hmac-named")
use("secret-in-secret-document", "`dangerous_symmetric_keys`", HS, policy="secret-document", **HS_TOKEN)
use("public-in-secret-document", "`dangerous_symmetric_keys` takes public keys too", HS, GOOD, policy="secret-document")
skip(
    "secret-short",
    "RFC 7518 §3.2: as long as the hash",
    {**HS, "k": b64(k.HS256.k[:31])},
    policy="secret-document",
    key=type("Short", (), {"alg": "HS256", "sign": lambda self, alg, text: k.hmac_of(k.HS256.k[:31], alg, text)})(),
    head=HS_TOKEN["head"],
)
skip(
    "secret-short-for-512",
    "RFC 7518 §3.2: as long as the hash",
    {**HS, "alg": "HS512"},
    policy="secret-document",
    key=type("Short", (), {"alg": "HS512", "sign": lambda self, alg, text: k.hmac_of(k.HS256.k, alg, text)})(),
    head=header(alg="HS512", kid="hs"),
)

# kid
use("kid-of-two", "the key of the token's `kid`", k.ES_OTHER.jwk(kid="es-0", alg="ES256"), GOOD)
skip(
    "kid-of-another",
    "the `kid` decides, not the signature",
    k.ES.jwk(kid="es-0", alg="ES256"),
    k.ES_OTHER.jwk(kid="es-1", alg="ES256"),
    code="signature_invalid",
)
skip("kid-number", "RFC 7517 §4.5: a string", {**GOOD, "kid": 1})
skip("kid-number-token-without", "RFC 7517 §4.5: such a key is not used at all", {**GOOD, "kid": 1}, head=header(kid=ABSENT))
skip("kid-absent-in-set", "a key without `kid` has not the token's", k.ES.jwk(alg="ES256"))
use("kid-absent-in-both", "RFC 7515 §4.1.4: `kid` is optional", k.ES.jwk(alg="ES256"), head=header(kid=ABSENT))
use(
    "kid-absent-in-token",
    "RFC 7515 §4.1.4: the keys of the algorithm are tried",
    ED,
    RSA,
    k.ES_OTHER.jwk(kid="es-0", alg="ES256"),
    GOOD,
    head=header(kid=ABSENT),
)
skip("kid-absent-no-key-of-the-algorithm", "RFC 8725 §3.1", ED, RSA, head=header(kid=ABSENT), code="algorithm_mismatch")
others = [k.EcKey(f"other {count}", "P-256").jwk(kid=f"o-{count}", alg="ES256") for count in range(4)]
use("kid-absent-fourth-key", "four keys are tried", *others[:3], GOOD, head=header(kid=ABSENT))
skip("kid-absent-fifth-key", "and no more: the work is bounded", *others, GOOD, head=header(kid=ABSENT), code="signature_invalid")
use("kid-present-beyond-fifth", "a `kid` finds its key wherever it stands", *others, GOOD)
use("one-bad-key-beside", "RFC 7517 §5: keys that cannot be used are skipped", {"kty": "AKP", "kid": "es-1"}, {"kty": "EC"}, GOOD)

# Documents. Without any good one the answer is 503, not 401: the client is not to blame.
NONE = deny("keys_unavailable")
MANY = [{"kty": "x"}]
for name, why, document in [
    ("not-json", "no JWK Set", "<html>sign in</html>"),
    ("empty", "no JWK Set", ""),
    ("list", "RFC 7517 §5: an object", [GOOD]),
    ("keys-absent", "RFC 7517 §5: `keys` must be present", {}),
    ("keys-object", "RFC 7517 §5.1: a list", {"keys": {"es-1": GOOD}}),
    ("keys-null", "RFC 7517 §5.1: a list", {"keys": None}),
    ("key-string", "RFC 7517 §5.1: a list of objects", {"keys": [GOOD, "x"]}),
    ("bare-key", "a JWK is no JWK Set", GOOD),
    ("text-behind", "one JSON value", __import__("json").dumps(jwks(GOOD)) + "x"),
    ("keys-twice", "RFC 7517 §5: a member stands once", '{"keys":[],"keys":[' + __import__("json").dumps(GOOD) + "]}"),
    ("member-twice", "RFC 7517 §4: a member stands once", '{"keys":[' + __import__("json").dumps(GOOD)[:-1] + ',"kid":"es-1"}]}'),
    ("too-many", "256 keys at most", jwks(*MANY * 256, GOOD)),
]:
    T.key_set(f"document-{name}", document)
    T.case(f"document-{name}", why, NONE, bearer=sign(), keys={"shop": [got(f"document-{name}")]})
T.key_set("document-most", jwks(*MANY * 255, GOOD))
T.case("document-most", "the accept beside: 256 keys", PASS, bearer=sign(), keys={"shop": [got("document-most")]})

# Fetching
ONE = {"shop": [got("one-key")]}
for name, event in [
    ("failed", {"failed": True}),
    ("status-500", {"status": 500}),
    ("status-404", {"status": 404}),
    ("status-302", {"status": 302}),
    ("status-304-without-a-set", {"status": 304}),
    ("status-204", {"status": 204}),
]:
    T.case(f"fetch-{name}", "no keys: 503 with `Retry-After`", NONE, bearer=sign(), keys={"shop": [event]})
T.case("fetch-failed-without-token", "a missing token is missing, keys or not", deny("token_missing"), keys={"shop": [{"failed": True}]})
T.case("fetch-failed-malformed-token", "structure is judged before keys", deny("token_malformed"), bearer="x", keys={"shop": [{"failed": True}]})
T.case(
    "fetch-failed-other-issuer",
    "the issuer is judged before keys",
    deny("issuer_unknown"),
    bearer=sign(None, claims(iss="https://evil.example")),
    keys={"shop": [{"failed": True}]},
)
T.case(
    "fetch-failed-open-path",
    "an open path needs no keys",
    {"verdict": "allow", "set_headers": {}, "remove_headers": []},
    target="/healthz",
    keys={"shop": [{"failed": True}]},
)
T.case("fetch-pending", "never fetched: wait", wait("shop"), bearer=sign(), keys={"shop": []})
T.case("fetch-pending-without-token", "a missing token waits for nothing", deny("token_missing"), keys={"shop": []})
T.case(
    "fetch-pending-expired", "what is signed is not believed before the signature is checked", wait("shop"), bearer=sign(None, claims(exp=1)), keys={"shop": []}
)
T.case(
    "fetch-failed-base-interval",
    "`retry_policy.retry_back_off.base_interval` is the first wait",
    deny("keys_unavailable", retry_after=2),
    policy="slow-retry",
    bearer=sign(),
    keys={"shop": [{"failed": True}]},
)
T.case(
    "fetch-failed-refetch-duration",
    "`async_fetch.failed_refetch_duration` is the first wait",
    deny("keys_unavailable", retry_after=3),
    policy="failed-refetch",
    bearer=sign(),
    keys={"shop": [{"failed": True}]},
)
T.case(
    "fetch-failed-twice",
    "the second wait is twice as long",
    deny("keys_unavailable", retry_after=2),
    bearer=sign(),
    keys={"shop": [{"failed": True, "at": NOW - 1}, {"failed": True}]},
)
T.case(
    "fetch-failed-max-interval",
    "`max_interval` bounds the waits",
    deny("keys_unavailable", retry_after=3),
    policy="slow-retry",
    bearer=sign(),
    keys={"shop": [{"failed": True, "at": NOW - 6}, {"failed": True, "at": NOW - 3}, {"failed": True}]},
)
T.case("fetch-failed-then-good", "a good fetch ends it", PASS, bearer=sign(), keys={"shop": [{"failed": True, "at": NOW - 2}, got("one-key")]})
for name, event in [("failed", {"failed": True}), ("status-500", {"status": 500}), ("not-json", got("document-not-json"))]:
    T.case(
        f"outage-{name}",
        "the last good set is used through an outage",
        PASS,
        bearer=sign(),
        keys={"shop": [got("one-key", at=NOW - 400), {**event, "at": NOW - 1}]},
    )
T.case("outage-not-modified", "304 confirms the set", PASS, bearer=sign(), keys={"shop": [got("one-key", at=NOW - 400), {"status": 304}]})
T.case(
    "stale-within-max", "`max_stale`: up to its end", PASS, policy="short-stale", bearer=sign(), keys={"shop": [got("one-key", at=NOW - 600), {"failed": True}]}
)
T.case(
    "stale-beyond-max", "`max_stale`: and no longer", NONE, policy="short-stale", bearer=sign(), keys={"shop": [got("one-key", at=NOW - 601), {"failed": True}]}
)
T.case(
    "stale-confirmed",
    "304 counts as good",
    PASS,
    policy="short-stale",
    bearer=sign(),
    keys={"shop": [got("one-key", at=NOW - 900), {"status": 304, "at": NOW - 500}, {"failed": True}]},
)
T.case("stale-default", "`max_stale` is a day unless it is said", PASS, bearer=sign(), keys={"shop": [got("one-key", at=NOW - 86_400), {"failed": True}]})
T.case(
    "stale-default-beyond", "`max_stale` is a day unless it is said", NONE, bearer=sign(), keys={"shop": [got("one-key", at=NOW - 86_401), {"failed": True}]}
)
