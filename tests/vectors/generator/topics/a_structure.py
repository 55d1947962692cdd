"""The compact serialisation (RFC 7515 §7.1) and its base64url (§2)."""

from ..corpus import PASS, Topic, allow, deny, policy
from ..keys import b64, unb64
from ..tokens import claims, compact, header, part, sign, sign_text, token

T = Topic("structure", "three parts of canonical base64url within the size budget", "shop")
T.policy("shop", policy())
GOOD = token()
HEAD, BODY, SIGNATURE = GOOD.split(".")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def bearer(name, why, text, expect):
    T.case(name, why, expect, bearer=text)


def bad(name, why, text, code="token_malformed"):
    bearer(name, why, text, deny(code))


def respelled(text):
    """The same bytes with a bit set behind the last whole byte."""
    assert len(text) % 4 in (2, 3), len(text)
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]


def of_length(text, rest):
    """Claims whose base64url leaves `rest` characters over, padded by a member."""
    for count in range(8):
        padded = {**text, "pad": "x" * count}
        if len(part(padded)) % 4 == rest:
            return padded
    raise AssertionError


def sized(length):
    """A good token of this many bytes."""
    for kid_padding in range(4):
        head = part(header(pad="x" * kid_padding))
        room = length - len(head) - 2 - len(SIGNATURE)
        count = room * 3 // 4 - len(compact(claims(pad="")))
        for extra in range(-2, 3):
            text = f"{head}.{part(claims(pad='x' * (count + extra)))}"
            if len(text) + 1 + len(SIGNATURE) == length:
                return sign_text(text)
    raise AssertionError


bearer("good", "RFC 7515 §7.1", GOOD, PASS)
bad("one-part", "three parts", HEAD)
bad("two-parts", "three parts; an unsecured JWS without its last dot", f"{HEAD}.{BODY}")
bad("four-parts", "three parts", f"{GOOD}.{SIGNATURE}")
bad("five-parts", "a JWE has five (RFC 7516 §7.1)", f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}")
bad("trailing-dot", "three parts", f"{GOOD}.")
bad("leading-dot", "three parts", f".{GOOD}")
bad("empty-header", "the empty header is no JSON object", f".{BODY}.{SIGNATURE}", "header_malformed")
bad("empty-claims", "the empty payload is no JSON object", sign_text(f"{HEAD}."), "claims_malformed")
bad("detached-payload", "RFC 7515 appendix F: a payload sent elsewhere", f"{HEAD}..{SIGNATURE}", "claims_malformed")
bad("empty-signature", "a signature has to be there", f"{HEAD}.{BODY}.", "signature_invalid")
bad("two-dots", "three empty parts", "..", "header_malformed")
bad("one-dot", "two empty parts", ".")
bad("opaque", "an opaque token is no JWS", "2YotnFZFEjr1zCsicMWpAA")
bad("json-serialization", "RFC 7515 §7.2 is not the compact form", '{"payload":"' + BODY + '"}')
bad("quoted", "the token stands without quotes", f'"{GOOD}"')
bad("percent-encoded-dots", "nothing is percent-decoded", GOOD.replace(".", "%2E"))
bad("padded-header", "RFC 7515 §2: no padding", sign_text(part(of_length(header(), 2)) + "==." + BODY))
bad("padded-claims", "RFC 7515 §2: no padding", sign_text(f"{HEAD}." + part(of_length(claims(), 3)) + "="))
bad("padded-signature", "RFC 7515 §2: no padding", GOOD + "==")
bad("respelled-header", "trailing bits must be zero, or a token has two spellings", sign_text(respelled(part(of_length(header(), 3))) + "." + BODY))
bad("respelled-claims", "trailing bits must be zero", sign_text(f"{HEAD}." + respelled(part(of_length(claims(), 2)))))
bad("respelled-signature", "trailing bits must be zero: a respelled token dodges a list of revoked ones", f"{HEAD}.{BODY}.{respelled(SIGNATURE)}")
for rest in (0, 2, 3):
    bearer(f"claims-length-{rest}-mod-4", "the accept beside padding and trailing bits", sign(None, of_length(claims(), rest)), PASS)
bad("claims-length-1-mod-4", "no bytes have this length", sign_text(f"{HEAD}.{part(of_length(claims(), 0))}A"))
# A header and claims whose base64url has both special characters.
SPECIAL = claims(sub="alice", note="~~~???>>>\u00ff\u00fe")
bearer("url-alphabet", "`-` and `_` stand for 62 and 63", sign(None, SPECIAL), PASS)
bad("standard-alphabet", "`+` and `/` are not base64url", sign_text(f"{HEAD}." + part(SPECIAL).replace("-", "+").replace("_", "/")))
assert {"-", "_"} <= set(part(SPECIAL)), part(SPECIAL)
bad("space-in-claims", "RFC 7515 §2: no white space", f"{HEAD}.{BODY[:20]} {BODY[20:]}.{SIGNATURE}")
bad("tab-in-signature", "RFC 7515 §2: no white space", f"{GOOD[:-5]}\t{GOOD[-5:]}")
bad("space-behind", "what a host leaves behind the token is not skipped", GOOD + " ")
bad("not-ascii", "a token is ASCII", f"{HEAD}.{BODY}.\u00e9{SIGNATURE[1:]}")
T.case("not-utf-8", "a token is ASCII", deny("token_malformed"), headers=[("authorization", b"Bearer " + GOOD[:-1].encode() + b"\xff")])
bad("text-header", "the header is base64url, not JSON text", f'{{"alg":"ES256"}}.{BODY}.{SIGNATURE}')
bad("claims-changed", "the signature covers the claims", f"{HEAD}.{part(claims(sub='root'))}.{SIGNATURE}", "signature_invalid")
bad("header-changed", "the signature covers the header", f"{part(header(typ='at+jwt'))}.{BODY}.{SIGNATURE}", "signature_invalid")
bad("header-and-claims-swapped", "the first part is the header", f"{BODY}.{HEAD}.{SIGNATURE}", "header_malformed")
bad("signature-of-another-token", "a signature fits one text", f"{HEAD}.{BODY}." + token(sub="bob").split(".")[2], "signature_invalid")
flipped = bytearray(unb64(SIGNATURE))
flipped[10] ^= 1
bad("signature-bit-flipped", "each bit counts", f"{HEAD}.{BODY}.{b64(bytes(flipped))}", "signature_invalid")
bearer("longest", "16 KiB is within the budget", sized(16 * 1024), PASS)
bad("too-long", "16 KiB and a byte is not", sized(16 * 1024 + 1), "token_too_large")
T.case("open-path-bad-token", "where nothing is required nothing is judged, and nothing is taken", allow(), target="/healthz", bearer=HEAD)
