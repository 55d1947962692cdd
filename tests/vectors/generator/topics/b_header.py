"""The JOSE header (RFC 7515 §4)."""

from ..corpus import PASS, Topic, deny, policy, provider
from ..keys import ED_OTHER, ES_OTHER, HS256
from ..tokens import ABSENT, claims, compact, header, part, sign, sign_text, with_signature

T = Topic("header", "the header is one strict JSON object, and it chooses nothing", "shop")
T.policy("shop", policy())


def good(name, why, head, **more):
    T.case(name, why, PASS, bearer=sign(head, **more))


def bad(name, why, head, code, **more):
    T.case(name, why, deny(code), bearer=sign(head, **more))


good("smallest", "RFC 7515 §4.1.1: only `alg` is needed", {"alg": "ES256"})
good("white-space", "RFC 8259 §2", ' { "alg" : "ES256" ,\n\t"kid" : "es-1" } ')
good("unknown-member", "RFC 7515 §4: what is not understood is ignored", header(**{"https://example.com/x": {"a": [1, None, True, 1.5]}}))
good("names-differ-in-case", "names are case-sensitive, so these are two", header(ALG="none", Kid="x"))

# `alg`
bad("alg-absent", "RFC 7515 §4.1.1: `alg` must be present", header(alg=ABSENT), "header_malformed")
bad("alg-in-upper-case-name", "`ALG` is not `alg`", '{"ALG":"ES256","kid":"es-1"}', "header_malformed")
for name, value in [("null", None), ("number", 256), ("list", ["ES256"]), ("object", {"name": "ES256"}), ("true", True)]:
    bad(f"alg-{name}", "`alg` is a string", header(alg=value), "header_malformed")
NONES = {"none": "none", "None": "capital", "NONE": "upper", "nOnE": "mixed", "none ": "space", "non\u0435": "cyrillic", "none\u0000": "nul", "": "empty"}
for value, name in NONES.items():
    unsigned = with_signature(header(alg=value), claims(), b"")
    T.case(f"alg-none-{name}", "RFC 8725 §3.2: `none` in no spelling", deny("algorithm_unsupported"), bearer=unsigned)
bad("alg-none-signed", "`none` above a signature that would fit", header(alg="none"), "algorithm_unsupported")
bad("alg-none-escaped", "a JSON escape spells the same name", r'{"alg":"\u006eone","kid":"es-1"}', "algorithm_unsupported")
for value in (
    "es256",
    "ES256 ",
    " ES256",
    "ES-256",
    "ES256\n",
    "ES521",
    "Ed448",
    "RSA-OAEP",
    "dir",
    "A128KW",
    "ECDH-ES",
    "RS1",
    "HS1",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
):
    bad(
        f"alg-spelling-{value.strip() if value == value.strip() else repr(value)}",
        "RFC 7515 §4.1.1: names are case-sensitive and registered",
        header(alg=value),
        "algorithm_unsupported",
    )
good("alg-escaped", "a JSON escape spells the same name", r'{"alg":"\u0045S256","kid":"es-1"}')
good("alg-name-escaped", "a JSON escape spells the same member", r'{"\u0061lg":"ES256","kid":"es-1"}')

# Duplicates
DUPLICATE = "RFC 7515 §4: a member stands once"
bad("duplicate-alg-same", DUPLICATE, '{"alg":"ES256","alg":"ES256","kid":"es-1"}', "duplicate_member")
bad("duplicate-alg-none-first", DUPLICATE, '{"alg":"none","alg":"ES256","kid":"es-1"}', "duplicate_member")
bad("duplicate-alg-none-last", DUPLICATE, '{"alg":"ES256","alg":"none","kid":"es-1"}', "duplicate_member")
bad("duplicate-alg-escaped", DUPLICATE + ", however it is spelled", r'{"alg":"ES256","\u0061lg":"none","kid":"es-1"}', "duplicate_member")
bad("duplicate-kid", DUPLICATE, '{"alg":"ES256","kid":"es-1","kid":"es-2"}', "duplicate_member")
bad("duplicate-unknown", DUPLICATE + ", also one that nobody reads", '{"alg":"ES256","kid":"es-1","x":1,"x":1}', "duplicate_member")
bad("duplicate-nested", DUPLICATE + ", at any depth", '{"alg":"ES256","kid":"es-1","x":{"y":{"a":1,"a":2}}}', "duplicate_member")
bad("duplicate-in-list", DUPLICATE + ", at any depth", '{"alg":"ES256","kid":"es-1","x":[{"a":1},{"a":1,"a":2}]}', "duplicate_member")
good("same-name-in-two-objects", "the accept beside: two objects may both have a name", '{"alg":"ES256","kid":"es-1","x":[{"a":1},{"a":1}],"a":1}')

# `crit`, `b64`
CRIT = "RFC 7515 §4.1.11: no extension is understood"
for name, value in [
    ("exp", ["exp"]),
    ("empty-list", []),
    ("b64", ["b64"]),
    ("string", "exp"),
    ("null", None),
    ("empty-name", [""]),
    ("registered-name", ["alg"]),
    ("object", {}),
]:
    bad(f"crit-{name}", CRIT, header(crit=value), "critical_header")
bad("crit-present-extension", CRIT, header(crit=["http://example.com/x"], **{"http://example.com/x": True}), "critical_header")
bad("b64-false", "RFC 7797 §3 is not understood", header(b64=False, crit=["b64"]), "critical_header")
bad("b64-true", "RFC 7797 §3 is not understood, though `true` is the default", header(b64=True), "critical_header")
bad("b64-false-without-crit", "RFC 7797 §6: `crit` would be needed", header(b64=False), "critical_header")
raw = f"{part(header(b64=False, crit=['b64']))}." + "eyJ9"
T.case("b64-false-raw-payload", "an unencoded payload is not read", deny("critical_header"), bearer=sign_text(raw))
good("crit-in-upper-case", "`CRIT` is a member that nobody knows", header(CRIT=["exp"]))

# `typ`
for value in ("JWT", "jwt", "application/jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"):
    good(f"typ-{value}", "RFC 7515 §4.1.9: without case, with or without `application/`", header(typ=value))
good("typ-absent", "RFC 7519 §5.1: `typ` is optional", header(typ=ABSENT))
for value in (
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "JOSE",
    "JWS",
    "",
    " JWT",
    "JWT ",
    "JWT;v=1",
    "application/application/jwt",
    "text/jwt",
    "at-jwt",
    "at jwt",
    "*",
):
    bad(f"typ-{value or 'empty'}".replace(" ", "_"), "RFC 8725 §3.11: a token of another kind", header(typ=value), "type_not_allowed")
for name, value in [("null", None), ("number", 1), ("list", ["JWT"])]:
    bad(f"typ-is-{name}", "RFC 7515 §4.1.9: a string", header(typ=value), "header_malformed")

# `cty`
for value in ("JWT", "jwt", "application/jwt", "Application/JWT"):
    bad(f"cty-{value}", "RFC 7519 §5.2: a token within a token", header(cty=value), "nested_token")
for value in ("json", "application/json", ""):
    good(f"cty-{value or 'empty'}", "the accept beside: no nested token", header(cty=value))
bad("cty-number", "RFC 7515 §4.1.10: a string", header(cty=7), "header_malformed")

# Keys that the token brings along
ATTACKER = ES_OTHER.jwk(kid="es-1", alg="ES256")
bad("jwk-embedded", "RFC 8725 §3.10: the key comes from the policy (CVE-2018-0114)", header(jwk=ATTACKER), "signature_invalid", key=ES_OTHER)
bad("jwk-embedded-without-kid", "RFC 8725 §3.10", header(jwk=ATTACKER, kid=ABSENT), "signature_invalid", key=ES_OTHER)
bad("jku", "RFC 8725 §3.10: no URL of a token is followed", header(jku="https://evil.example/jwks.json"), "signature_invalid", key=ES_OTHER)
bad("x5u", "RFC 8725 §3.10: no URL of a token is followed", header(x5u="https://evil.example/x.pem"), "signature_invalid", key=ES_OTHER)
bad("x5c", "no chain of a token is trusted", header(x5c=["MIIB"]), "signature_invalid", key=ES_OTHER)
for name, value in [
    ("jwk", ATTACKER),
    ("jku", "https://evil.example/jwks.json"),
    ("x5u", "https://evil.example/x.pem"),
    ("x5c", ["MIIB"]),
    ("x5t", "AAAA"),
    ("x5t#S256", "AAAA"),
]:
    good(f"{name}-ignored", "the accept beside: not used, and not minded", header(**{name: value}))
good("zip-ignored", "a JWS has no `zip`: the payload is read as it stands", header(zip="DEF"))
good("enc-ignored", "a JWS has no `enc`", header(enc="A128GCM"))
good("claims-in-header", "claims in a header (RFC 7519 §5.3) count for nothing", header(iss="https://evil.example", sub="root", exp=1))

# `kid`
for name, value in [("null", None), ("number", 1), ("list", ["es-1"]), ("object", {}), ("false", False)]:
    bad(f"kid-{name}", "RFC 7515 §4.1.4: a string", header(kid=value), "header_malformed")
for name, value in [
    ("empty", ""),
    ("upper-case", "ES-1"),
    ("space-behind", "es-1 "),
    ("space-before", " es-1"),
    ("longer", "es-10"),
    ("shorter", "es-"),
    ("path", "../../../dev/null"),
    ("absolute-path", "/dev/null"),
    ("sql", "x' UNION SELECT 'key' --"),
    ("command", "es-1|whoami"),
    ("nul", "es-1\u0000"),
    ("url", "https://evil.example/key"),
    ("prototype", "__proto__"),
    ("constructor", "constructor"),
    ("cyrillic", "\u0435s-1"),
    ("combining", "es-1\u0301"),
    ("index", "0"),
    ("wildcard", "*"),
]:
    bad(f"kid-{name}", "a `kid` is compared byte by byte, and nothing else is done with it", header(kid=value), "key_unknown")
good("kid-escaped", "a JSON escape spells the same id", r'{"alg":"ES256","kid":"\u0065s-1"}')
bad("kid-long", "a `kid` of 1 KiB is only unknown", header(kid="k" * 1024), "key_unknown")

# JSON
for name, text in [
    ("byte-order-mark", "\ufeff" + compact(header())),
    ("text-behind", compact(header()) + "x"),
    ("two-objects", compact(header()) + "{}"),
    ("single-quotes", "{'alg':'ES256'}"),
    ("trailing-comma", '{"alg":"ES256",}'),
    ("comment", '{"alg":"ES256"/**/}'),
    ("unquoted-name", '{alg:"ES256"}'),
    ("nan", '{"alg":"ES256","x":NaN}'),
    ("leading-zero", '{"alg":"ES256","x":01}'),
    ("number-out-of-range", '{"alg":"ES256","x":1e999}'),
    ("control-character", '{"alg":"ES256","x":"\n"}'),
    ("nul-behind", compact(header()) + "\u0000"),
    ("lone-surrogate", r'{"alg":"ES256","x":"\ud800"}'),
    ("bad-escape", r'{"alg":"ES256","x":"\x41"}'),
    ("list", '["ES256"]'),
    ("string", '"ES256"'),
    ("null", "null"),
    ("number", "256"),
    ("empty", ""),
    ("unclosed", '{"alg":"ES256"'),
    ("empty-object", "{}"),
    ("nested-1000-deep", '{"alg":"ES256","x":' + "[" * 1000 + "]" * 1000 + "}"),
]:
    bad(f"json-{name}", "RFC 7515 §4: one JSON object (RFC 8259)", text, "header_malformed")
bad("json-not-utf-8", "RFC 8259 §8.1: UTF-8", b'{"alg":"ES256","x":"\xff"}', "header_malformed")
bad("json-overlong-utf-8", "RFC 3629 §3: an overlong form is not UTF-8", b'{"\xc1\xa1lg":"ES256"}', "header_malformed")
good("json-nested-64-deep", "the accept beside", '{"alg":"ES256","x":' + "[" * 64 + "]" * 64 + "}")
good("json-surrogate-pair", "the accept beside", r'{"alg":"ES256","x":"\ud83d\ude00"}')
good("json-escaped-control", "the accept beside", r'{"alg":"ES256","x":"\n\u0000"}')

# `algorithms` of the provider
T.policy("only-es384", policy({"shop": provider(remote_jwks={"http_uri": {"uri": "https://auth.example.com/shop/jwks"}}, algorithms=["ES384"])}))
T.case("algorithms-judged-before-keys", "RFC 8725 §3.1: what is not allowed costs no fetch", deny("algorithm_not_allowed"), policy="only-es384", bearer=sign())
bad("alg-swapped-to-hs256", "RFC 8725 §2.1: an HMAC is not among the default algorithms", header(alg="HS256"), "algorithm_not_allowed", key=HS256)
bad("alg-swapped-to-eddsa", "RFC 8725 §3.1: the key names its algorithm", header(alg="EdDSA"), "algorithm_mismatch", key=ED_OTHER)
