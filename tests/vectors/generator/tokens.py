"""Making tokens: right ones by default, and any other exactly as asked."""

import json

from .keys import ES, b64

NOW = 1_800_000_000
# Far ahead, so that most cases give the same verdict whatever the host's clock says.
FAR = 4_102_444_800
PAST = 1_600_000_000
ISSUER = "https://auth.example.com/shop"
OTHER_ISSUER = "https://auth.example.com/partner"
ABSENT = object()


def compact(value):
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    )


def claims(**changes):
    """The default claims with changes; `ABSENT` takes one away."""
    members = {"iss": ISSUER, "sub": "alice", "aud": "shop", "iat": 1_700_000_000, "exp": FAR}
    members.update(changes)
    return {name: value for name, value in members.items() if value is not ABSENT}


def header(**changes):
    members = {"alg": "ES256", "typ": "JWT", "kid": "es-1"}
    members.update(changes)
    return {name: value for name, value in members.items() if value is not ABSENT}


def part(value):
    """A part of a token: base64url of JSON, of text, or of bytes."""
    return b64(value if isinstance(value, bytes) else compact(value))


def sign_text(text, key=ES, alg=None):
    """Signs the first two parts as they are spelled."""
    return f"{text}.{b64(key.sign(alg or key.alg, text.encode()))}"


def sign(head=None, body=None, key=ES, alg=None):
    """A token of this header and these claims, whatever they are."""
    head = header() if head is None else head
    body = claims() if body is None else body
    if alg is None and isinstance(head, dict) and str(head.get("alg"))[2:] in ("256", "384", "512"):
        alg = head["alg"] if head["alg"][:2] == key.alg[:2] or key.alg == "RS256" else key.alg
    return sign_text(f"{part(head)}.{part(body)}", key, alg)


def with_signature(head, body, signature):
    text = f"{part(head)}.{part(body)}"
    return f"{text}.{b64(signature(text.encode()) if callable(signature) else signature)}"


def token(**changes):
    """A good token with changed claims."""
    return sign(None, claims(**changes))
