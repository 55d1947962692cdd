"""Fixed test keys. Everything here is public knowledge and protects nothing.

EC and Ed25519 keys come from hashes of their names; RSA keys stand in `keys/rsa.json`, made once.
RSA signatures are made with plain integers, so that wrong ones can be made as exactly as right
ones, and so that PSS, with a salt that depends on the message only, is deterministic.
"""

import base64
import hashlib
import hmac
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}
CURVES = {
    "P-256": (
        ec.SECP256R1(),
        32,
        "ES256",
        hashes.SHA256(),
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    "P-384": (
        ec.SECP384R1(),
        48,
        "ES384",
        hashes.SHA384(),
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
    "P-521": (
        ec.SECP521R1(),
        66,
        "ES512",
        hashes.SHA512(),
        (1 << 521)
        - (1 << 260)
        + 0xA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
    ),
}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
# ASN.1 DigestInfo without the hash (RFC 8017 §9.2, note 1).
DIGEST_INFO = {
    "sha1": "3021300906052b0e03021a05000414",
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}


def b64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(integer, length=None):
    return integer.to_bytes(length or (integer.bit_length() + 7) // 8, "big")


def digest(name, data):
    return hashlib.new(name, data).digest()


class EcKey:
    def __init__(self, name, curve):
        self.crv = curve
        self.curve, self.length, self.alg, self.hash, self.order = CURVES[curve]
        seed = hashlib.sha512(f"postern corpus {curve} {name}".encode()).digest() * 2
        self.scalar = int.from_bytes(seed, "big") % (self.order - 1) + 1
        self.private = ec.derive_private_key(self.scalar, self.curve)
        point = self.private.public_key().public_numbers()
        self.x, self.y = number(point.x, self.length), number(point.y, self.length)

    def jwk(self, **more):
        return {"kty": "EC", "crv": self.crv, "x": b64(self.x), "y": b64(self.y), **more}

    def r_s(self, message, hash=None):
        algorithm = ec.ECDSA(hash or self.hash, deterministic_signing=True)
        return utils.decode_dss_signature(self.private.sign(message, algorithm))

    def join(self, r, s):
        return number(r, self.length) + number(s, self.length)

    def sign(self, alg, message):
        by_name = {"384": hashes.SHA384(), "512": hashes.SHA512()}
        return self.join(*self.r_s(message, by_name.get(alg[2:], hashes.SHA256())))


class EdKey:
    def __init__(self, name):
        seed = hashlib.sha256(f"postern corpus Ed25519 {name}".encode()).digest()
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.alg = "EdDSA"
        self.x = self.private.public_key().public_bytes_raw()

    def jwk(self, **more):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(self.x), **more}

    def sign(self, _alg, message):
        return self.private.sign(message)


class Secret:
    def __init__(self, name, length, alg):
        self.alg = alg
        self.k = hashlib.shake_256(f"postern corpus secret {name}".encode()).digest(length)

    def jwk(self, **more):
        return {"kty": "oct", "k": b64(self.k), "alg": self.alg, **more}

    def sign(self, alg, message):
        return hmac_of(self.k, alg, message)


def hmac_of(secret, alg, message):
    return hmac.new(secret, message, HASHES[alg[2:]]).digest()


class RsaKey:
    def __init__(self, name):
        stored = json.loads(_RSA.read_text())[name]
        self.n, self.e, self.d = (int.from_bytes(unb64(stored[m]), "big") for m in ("n", "e", "d"))
        self.length = (self.n.bit_length() + 7) // 8
        self.alg = "RS256"

    def jwk(self, **more):
        return {"kty": "RSA", "n": b64(number(self.n)), "e": b64(number(self.e)), **more}

    def raw(self, encoded):
        return number(pow(int.from_bytes(encoded, "big"), self.d, self.n), self.length)

    def sign(self, alg, message):
        name = HASHES[alg[2:]]
        encoded = (
            pss(self, name, message) if alg.startswith("PS") else pkcs1(self.length, name, message)
        )
        return self.raw(encoded)


def pkcs1(length, name, message, prefix=None):
    """EMSA-PKCS1-v1_5 (RFC 8017 §9.2)."""
    info = bytes.fromhex(DIGEST_INFO[name] if prefix is None else prefix) + digest(name, message)
    return b"\0\1" + b"\xff" * (length - len(info) - 3) + b"\0" + info


def pss(key, name, message, salt_length=None, mask_hash=None):
    """EMSA-PSS (RFC 8017 §9.1.1); the salt is a hash of the message."""
    hashed = digest(name, message)
    salt_length = len(hashed) if salt_length is None else salt_length
    salt = hashlib.shake_256(b"salt" + message).digest(salt_length)
    check = digest(name, bytes(8) + hashed + salt)
    bits = key.n.bit_length() - 1
    length = (bits + 7) // 8
    data = bytes(length - salt_length - len(hashed) - 2) + b"\1" + salt
    masked = bytearray(a ^ b for a, b in zip(data, mgf1(mask_hash or name, check, len(data))))
    masked[0] &= 0xFF >> (8 * length - bits)
    return (bytes(masked) + check + b"\xbc").rjust(key.length, b"\0")


def mgf1(name, seed, length):
    size = hashlib.new(name).digest_size
    blocks = (digest(name, seed + number(count, 4)) for count in range(-(-length // size)))
    return b"".join(blocks)[:length]


_RSA = pathlib.Path(__file__).parent.parent / "keys" / "rsa.json"

ES, ES_OTHER, ES_THIRD = (EcKey(name, "P-256") for name in ("a", "b", "c"))
ES384, ES384_OTHER = EcKey("a", "P-384"), EcKey("b", "P-384")
ES512, ES512_OTHER = EcKey("a", "P-521"), EcKey("b", "P-521")
ED, ED_OTHER = EdKey("a"), EdKey("b")
HS256, HS256_OTHER = Secret("a", 32, "HS256"), Secret("b", 32, "HS256")
HS384, HS384_OTHER = Secret("a", 48, "HS384"), Secret("b", 48, "HS384")
HS512, HS512_OTHER = Secret("a", 64, "HS512"), Secret("b", 64, "HS512")
RSA, RSA_OTHER = RsaKey("rsa-2048-a"), RsaKey("rsa-2048-b")
RSA_3, RSA_1024, RSA_5120 = RsaKey("rsa-2048-e3"), RsaKey("rsa-1024"), RsaKey("rsa-5120")
