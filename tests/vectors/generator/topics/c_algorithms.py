"""Signatures: each algorithm right and wrong (RFC 7518 §3, RFC 8037 §3.1, RFC 9864 §2.2)."""

from cryptography.hazmat.primitives import hashes

from .. import keys as k
from ..corpus import PASS, Topic, deny, policy, provider
from ..keys import b64, hmac_of, number, pkcs1, pss
from ..tokens import ABSENT, claims, header, with_signature

T = Topic("algorithms", "every algorithm, with the right key and with wrong ones", "asymmetric")
RSA_NAMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
PAIRS = {name: (k.RSA, k.RSA_OTHER) for name in RSA_NAMES} | {
    "ES256": (k.ES, k.ES_OTHER),
    "ES384": (k.ES384, k.ES384_OTHER),
    "ES512": (k.ES512, k.ES512_OTHER),
    "EdDSA": (k.ED, k.ED_OTHER),
}
SECRETS = {"HS256": (k.HS256, k.HS256_OTHER), "HS384": (k.HS384, k.HS384_OTHER), "HS512": (k.HS512, k.HS512_OTHER)}
PUBLIC = [key.jwk(kid=name, alg=name) for name, (key, _) in PAIRS.items()]
T.policy("asymmetric", policy({"shop": provider(*PUBLIC)}))
T.policy("secrets", policy({"shop": provider(*(key.jwk(kid=name) for name, (key, _) in SECRETS.items()), algorithms=list(SECRETS))}))
T.policy(
    "mixed",
    policy(
        {
            "shop": provider(
                k.HS256.jwk(kid="HS256"), k.RSA.jwk(kid="RS256", alg="RS256"), k.ES.jwk(kid="ES256", alg="ES256"), algorithms=["HS256", "RS256", "ES256"]
            )
        }
    ),
)
T.policy("rsa-e3", policy({"shop": provider(k.RSA_3.jwk(kid="RS256", alg="RS256"))}))
T.policy("ed25519-name", policy({"shop": provider(k.ED.jwk(kid="Ed25519", alg="Ed25519"))}))
T.policy("ed25519-allowed", policy({"shop": provider(k.ED.jwk(kid="EdDSA", alg="EdDSA"), algorithms=["Ed25519"])}))
T.policy(
    "no-alg-in-keys",
    policy({"shop": provider(k.RSA.jwk(kid="rsa"), k.ES.jwk(kid="es"), k.ES384.jwk(kid="es384"), k.ES512.jwk(kid="es512"), k.ED.jwk(kid="ed"))}),
)


def of(name, kid=None):
    return header(alg=name, kid=kid or name)


def made(name, why, expect, head, signature, policy="asymmetric"):
    T.case(name, why, expect, bearer=with_signature(head, claims(), signature), policy=policy)


INVALID = deny("signature_invalid")
for name, (key, other) in (PAIRS | SECRETS).items():
    where = "secrets" if name in SECRETS else "asymmetric"
    right = lambda text, key=key, name=name: key.sign(name, text)
    made(f"{name}", "the accept", PASS, of(name), right, where)
    made(f"{name}-other-key", "another key of the same kind", INVALID, of(name), lambda text, key=other, name=name: key.sign(name, text), where)
    made(f"{name}-other-text", "a signature fits one text", INVALID, of(name), lambda text, right=right: right(text + b"x"), where)
    made(f"{name}-empty", "no signature at all", INVALID, of(name), b"", where)
    if name in ("RS384", "RS512", "PS384", "PS512"):
        continue  # the length is a matter of the key
    made(f"{name}-cut", "a signature has its length", INVALID, of(name), lambda text, right=right: right(text)[:-1], where)
    made(f"{name}-longer", "a signature has its length", INVALID, of(name), lambda text, right=right: right(text) + b"\0", where)
    made(f"{name}-leading-zero", "a signature has its length", INVALID, of(name), lambda text, right=right: b"\0" + right(text), where)
    made(f"{name}-zeros", "all zero bits", INVALID, of(name), lambda text, right=right: bytes(len(right(text))), where)

# The token's `alg` must be its key's.
for name, kid in [
    ("RS256", "RS384"),
    ("RS384", "RS512"),
    ("RS512", "RS256"),
    ("RS256", "PS256"),
    ("PS256", "RS256"),
    ("PS384", "RS384"),
    ("PS512", "PS256"),
    ("RS256", "ES256"),
    ("ES256", "ES384"),
    ("ES384", "ES512"),
    ("ES512", "ES256"),
    ("ES256", "EdDSA"),
    ("EdDSA", "ES256"),
    ("Ed25519", "ES256"),
    ("EdDSA", "RS256"),
]:
    key = PAIRS[name if name in PAIRS else "EdDSA"][0]
    made(
        f"{name}-with-key-of-{kid}",
        "RFC 8725 §3.1: a key is for one algorithm",
        deny("algorithm_mismatch"),
        of(name, kid),
        lambda text, key=key, name=name: key.sign(name, text),
    )
for name in ("HS384", "HS512"):
    made(
        f"{name}-with-secret-of-HS256",
        "RFC 8725 §3.1: a secret is for one algorithm",
        deny("algorithm_mismatch"),
        of(name, "HS256"),
        lambda text, name=name: hmac_of(k.HS256.k, name, text),
        "secrets",
    )
for name in SECRETS:
    made(
        f"{name}-not-named",
        "an HMAC has to be named in `algorithms`",
        deny("algorithm_not_allowed"),
        of(name),
        lambda text, name=name: hmac_of(k.HS256.k, name, text),
    )
made("RS256-where-only-secrets-are-named", "RFC 8725 §3.1", deny("algorithm_not_allowed"), of("RS256"), lambda text: k.RSA.sign("RS256", text), "secrets")

# Without `alg` in the key its kind names the algorithm.
for kid, name in [("rsa", "RS256"), ("es", "ES256"), ("es384", "ES384"), ("es512", "ES512"), ("ed", "EdDSA")]:
    made(
        f"key-without-alg-{kid}",
        "RFC 7517 §4.4: `alg` is optional; the kind decides",
        PASS,
        of(name, kid),
        lambda text, name=name: PAIRS[name][0].sign(name, text),
        "no-alg-in-keys",
    )
for name in ("RS384", "RS512", "PS256"):
    made(
        f"key-without-alg-rsa-{name}",
        "an RSA key without `alg` is for RS256 only",
        deny("algorithm_mismatch"),
        of(name, "rsa"),
        lambda text, name=name: k.RSA.sign(name, text),
        "no-alg-in-keys",
    )

# RFC 9864: two names of one algorithm.
ed = lambda text: k.ED.sign("EdDSA", text)
made("Ed25519-with-key-of-EdDSA", "RFC 9864 §2.2: two names of one algorithm", PASS, of("Ed25519", "EdDSA"), ed)
made("Ed25519-with-key-of-Ed25519", "RFC 9864 §2.2", PASS, of("Ed25519"), ed, "ed25519-name")
made("EdDSA-with-key-of-Ed25519", "RFC 9864 §2.2", PASS, of("EdDSA", "Ed25519"), ed, "ed25519-name")
made("EdDSA-where-Ed25519-is-allowed", "RFC 9864 §2.2: also in `algorithms`", PASS, of("EdDSA"), ed, "ed25519-allowed")
made("Ed25519-other-key", "the reject beside", INVALID, of("Ed25519"), lambda text: k.ED_OTHER.sign("EdDSA", text), "ed25519-name")
made("ED25519-in-upper-case", "names are case-sensitive", deny("algorithm_unsupported"), of("ED25519", "Ed25519"), ed, "ed25519-name")

# RFC 8725 §2.1: the public key as the secret of an HMAC.
point = b"\4" + k.ES.x + k.ES.y
pem = ("-----BEGIN PUBLIC KEY-----\n" + "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + "\n-----END PUBLIC KEY-----\n").encode()
for name, secret in [
    ("point", point),
    ("x", k.ES.x),
    ("x-text", b64(k.ES.x).encode()),
    ("modulus", number(k.RSA.n)),
    ("modulus-text", b64(number(k.RSA.n)).encode()),
    ("pem", pem),
    ("empty", b""),
]:
    ways = [("ES256", "asymmetric", "algorithm_not_allowed"), ("HS256", "mixed", "signature_invalid")]
    for kid, where, code in ways + ([("ES256", "mixed", "algorithm_mismatch")] if name == "point" else []):
        made(
            f"HS256-by-public-{name}-{where}-kid-{kid}",
            "RFC 8725 §2.1: a public key is no secret",
            deny(code),
            of("HS256", kid),
            lambda text, secret=secret: hmac_of(secret, "HS256", text),
            where,
        )
made(
    "HS256-by-public-point-without-kid",
    "RFC 8725 §2.1: no key of this algorithm fits",
    INVALID,
    header(alg="HS256", kid=ABSENT),
    lambda text: hmac_of(point, "HS256", text),
    "mixed",
)
made("HS256-in-mixed", "the accept beside", PASS, of("HS256"), lambda text: k.HS256.sign("HS256", text), "mixed")
made("RS256-in-mixed", "the accept beside", PASS, of("RS256"), lambda text: k.RSA.sign("RS256", text), "mixed")

# RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2)
rsa = lambda encode: lambda text: k.RSA.raw(encode(text))
size = k.RSA.length
for name, why, encode in [
    ("sha1", "the hash is the algorithm's", lambda text: pkcs1(size, "sha1", text)),
    ("sha512", "the hash is the algorithm's", lambda text: pkcs1(size, "sha512", text)),
    ("no-digest-info", "the hash is named in the padding", lambda text: pkcs1(size, "sha256", text, "")),
    (
        "no-null",
        "the one encoding of the hash's name (RFC 8017 appendix A.2.4)",
        lambda text: pkcs1(size, "sha256", text, "302f300b0609608648016503040201" + "0420"),
    ),
    ("block-type-2", "block type 1", lambda text: b"\0\2" + pkcs1(size, "sha256", text)[2:]),
    ("short-padding", "the padding fills the block", lambda text: pkcs1(size - 8, "sha256", text) + bytes(8)),
    ("pss-padding", "PKCS #1 v1.5 is not PSS", lambda text: pss(k.RSA, "sha256", text)),
]:
    made(f"RS256-{name}", why, INVALID, of("RS256"), rsa(encode))
made(
    "RS256-plus-modulus",
    "RFC 8017 §5.2.2: a signature is less than the modulus",
    INVALID,
    of("RS256"),
    lambda text: number(int.from_bytes(k.RSA.sign("RS256", text), "big") + k.RSA.n),
)
made("RS256-e3", "an exponent of 3 is allowed", PASS, of("RS256"), lambda text: k.RSA_3.sign("RS256", text), "rsa-e3")


def cube_root_forgery(text):
    """Bleichenbacher 2006: with e = 3, garbage behind a short padding makes a cube."""
    start = pkcs1(83, "sha256", text)
    target = int.from_bytes(start + bytes(k.RSA_3.length - len(start)), "big")
    low, high = 0, 1 << (8 * k.RSA_3.length // 3 + 8)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < target else (low, middle)
    assert number(low**3, k.RSA_3.length).startswith(start)
    return number(low, k.RSA_3.length)


made("RS256-e3-forged", "Bleichenbacher 2006: garbage behind the hash", INVALID, of("RS256"), cube_root_forgery, "rsa-e3")

# RSASSA-PSS (RFC 7518 §3.5: the salt is as long as the hash, and MGF1 has the same hash)
for name, why, encode in [
    ("salt-0", "the salt is as long as the hash", lambda text: pss(k.RSA, "sha256", text, 0)),
    ("salt-20", "the salt is as long as the hash", lambda text: pss(k.RSA, "sha256", text, 20)),
    ("salt-longest", "the salt is as long as the hash", lambda text: pss(k.RSA, "sha256", text, size - 34)),
    ("mgf1-sha1", "MGF1 has the hash of the algorithm", lambda text: pss(k.RSA, "sha256", text, 32, "sha1")),
    ("sha384", "the hash is the algorithm's", lambda text: pss(k.RSA, "sha384", text)),
    ("trailer", "the last byte is 0xbc", lambda text: pss(k.RSA, "sha256", text)[:-1] + b"\xcc"),
    ("pkcs1-padding", "PSS is not PKCS #1 v1.5", lambda text: pkcs1(size, "sha256", text)),
]:
    made(f"PS256-{name}", why, INVALID, of("PS256"), rsa(encode))

# ECDSA (RFC 7518 §3.4: R and S as octets of full length)
for name, key in [("ES256", k.ES), ("ES384", k.ES384), ("ES512", k.ES512)]:
    order = key.order
    for label, why, change in [
        ("r-zero", "r and s are between 1 and n - 1 (CVE-2022-21449)", lambda r, s: (0, s)),
        ("s-zero", "r and s are between 1 and n - 1 (CVE-2022-21449)", lambda r, s: (r, 0)),
        ("r-is-order", "r and s are between 1 and n - 1", lambda r, s, order=order: (order, s)),
        ("s-is-order", "r and s are between 1 and n - 1", lambda r, s, order=order: (r, order)),
        ("swapped", "first r, then s", lambda r, s: (s, r)),
        ("one-and-one", "no signature of this key", lambda r, s: (1, 1)),
    ]:
        made(f"{name}-{label}", why, INVALID, of(name), lambda text, key=key, change=change: key.join(*change(*key.r_s(text))))
    made(
        f"{name}-der",
        "RFC 7518 §3.4: not the DER form",
        INVALID,
        of(name),
        lambda text, key=key: key.private.sign(text, k.ec.ECDSA(key.hash, deterministic_signing=True)),
    )
made(
    "ES256-high-s",
    "RFC 7518 §3.4 does not ask for the lower s",
    PASS,
    of("ES256"),
    lambda text: k.ES.join(*(lambda r, s: (r, max(s, k.ES.order - s)))(*k.ES.r_s(text))),
)
made("ES256-sha512", "the hash is the algorithm's", INVALID, of("ES256"), lambda text: k.ES.join(*k.ES.r_s(text, hashes.SHA512())))
made(
    "ES256-short-numbers",
    "each number has the length of the curve",
    INVALID,
    of("ES256"),
    lambda text: number(k.ES.r_s(text)[0], 32)[:31] + number(k.ES.r_s(text)[1], 32)[:31],
)
made(
    "ES512-numbers-of-64-bytes",
    "a number of P-521 has 66 bytes",
    INVALID,
    of("ES512"),
    lambda text: k.ES512.sign("ES512", text)[2:66] + k.ES512.sign("ES512", text)[68:],
)

# Ed25519 (RFC 8032 §5.1.7)
made(
    "EdDSA-s-plus-order",
    "RFC 8032 §5.1.7: s is less than the order",
    INVALID,
    of("EdDSA"),
    lambda text: ed(text)[:32] + (int.from_bytes(ed(text)[32:], "little") + k.ED25519_ORDER).to_bytes(32, "little"),
)
made("EdDSA-halves-swapped", "first R, then s", INVALID, of("EdDSA"), lambda text: ed(text)[32:] + ed(text)[:32])
made("EdDSA-identity-and-zero", "R of small order, s zero", INVALID, of("EdDSA"), b"\1" + bytes(63))

# Without `kid` the algorithm chooses.
for name in ("RS256", "PS512", "ES384", "EdDSA"):
    made(
        f"{name}-without-kid",
        "RFC 7515 §4.1.4: `kid` is a hint; the keys of the algorithm are tried",
        PASS,
        header(alg=name, kid=ABSENT),
        lambda text, name=name: PAIRS[name][0].sign(name, text),
    )
made("none-without-signature", "RFC 8725 §3.2", deny("algorithm_unsupported"), header(alg="none", kid=ABSENT), b"")
