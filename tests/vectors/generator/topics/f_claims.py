"""Claims (RFC 7519 §4) but for the times."""

from ..corpus import PASS, Topic, allow, deny, policy, provider
from ..tokens import ABSENT, FAR, ISSUER, NOW, OTHER_ISSUER, claims, compact, header, sign, token

T = Topic("claims", "who says it, of whom, to whom", "shop")
T.policy("shop", policy())
T.policy("any-audience", policy({"shop": provider(audiences=None)}))
T.policy("two-audiences", policy({"shop": provider(audiences=["shop", "till"])}))
T.policy("any-issuer", policy({"shop": provider(issuer=None, dangerous_allow_any_issuer=True)}))
T.policy("bound-allowed", policy({"shop": provider(dangerous_ignore_key_binding=True)}))
NO_SUBJECT = allow({}, ["authorization"])


def good(name, why, policy="shop", expect=PASS, **changes):
    T.case(name, why, expect, bearer=token(**changes), policy=policy)


def bad(name, why, code, policy="shop", **changes):
    T.case(name, why, deny(code), bearer=token(**changes), policy=policy)


def raw(name, why, body, code=None, head=None):
    T.case(name, why, deny(code) if code else PASS, bearer=sign(head, body))


# iss
good("iss", "RFC 7519 §4.1.1")
for name, value in [
    ("slash-behind", ISSUER + "/"),
    ("upper-case", ISSUER.upper()),
    ("host-upper-case", "https://AUTH.example.com/shop"),
    ("http", ISSUER.replace("https", "http")),
    ("longer", ISSUER + "x"),
    ("shorter", ISSUER[:-1]),
    ("empty", ""),
    ("other", "https://evil.example"),
    ("space", ISSUER + " "),
    ("list", [ISSUER]),
    ("null", None),
    ("number", 1),
    ("object", {"iss": ISSUER}),
    ("absent", ABSENT),
    ("port", "https://auth.example.com:443/shop"),
    ("user-information", "https://auth.example.com@evil.example/shop"),
    ("nul", ISSUER + "\u0000"),
    ("percent-encoded", "https://auth.example.com/%73hop"),
    ("dot-segment", "https://auth.example.com/x/../shop"),
]:
    bad(f"iss-{name}", "RFC 7519 §4.1.1: compared byte by byte", "issuer_unknown", iss=value)
raw("iss-escaped", "a JSON escape spells the same issuer", compact(claims()).replace("/shop", r"\/\u0073hop"))
for name, value in [("any", "https://anyone.example"), ("shop", ISSUER), ("absent", ABSENT)]:
    good(f"any-issuer-{name}", "`dangerous_allow_any_issuer`", "any-issuer", iss=value)
bad("any-issuer-other-audience", "`dangerous_allow_any_issuer` opens nothing else", "audience_mismatch", "any-issuer", iss="https://anyone.example", aud="x")

# aud
for name, value in [("list", ["shop"]), ("among-others", ["till", "shop", "x"])]:
    good(f"aud-{name}", "RFC 7519 §4.1.3", aud=value)
for name, value in [
    ("absent", ABSENT),
    ("other", "till"),
    ("empty", ""),
    ("empty-list", []),
    ("others", ["a", "b"]),
    ("upper-case", "SHOP"),
    ("longer", "shop2"),
    ("shorter", "sho"),
    ("words", "shop till"),
    ("slash", "shop/"),
    ("wildcard", "*"),
    ("comma", "shop,till"),
]:
    bad(f"aud-{name}", "RFC 7519 §4.1.3: one of them is the audience", "audience_mismatch", aud=value)
for name, value in [
    ("number", 7),
    ("object", {"shop": True}),
    ("null", None),
    ("mixed", ["shop", 7]),
    ("nested", [["shop"]]),
    ("true", True),
    ("list-with-null", ["shop", None]),
]:
    bad(f"aud-is-{name}", "RFC 7519 §4.1.3: a string or a list of strings", "claims_malformed", aud=value)
for value in ("shop", "till"):
    good(f"two-audiences-{value}", "one of the provider's", "two-audiences", aud=value)
bad("two-audiences-neither", "none of the provider's", "audience_mismatch", "two-audiences", aud="x")
for name, value in [("absent", ABSENT), ("other", "x"), ("empty-list", [])]:
    good(f"any-audience-{name}", "no `audiences`: any, and none", "any-audience", aud=value)
bad("any-audience-number", "still a string or a list of strings", "claims_malformed", "any-audience", aud=7)

# sub
good("sub-absent", "RFC 7519 §4.1.2: optional", expect=NO_SUBJECT, sub=ABSENT)
good("sub-empty", "an empty text is a text", expect=allow({"x-user-id": ""}, ["authorization"]), sub="")
for name, value in [("number", 7), ("null", None), ("list", ["alice"]), ("object", {}), ("true", True)]:
    bad(f"sub-{name}", "RFC 7519 §4.1.2: a string", "claims_malformed", sub=value)
for kind, matcher, yes, no in [
    ("exact", {"exact": "alice"}, ["alice"], ["Alice", "alice2", "bob", ""]),
    ("prefix", {"prefix": "svc-"}, ["svc-", "svc-mail"], ["svc", "SVC-mail", "xsvc-"]),
    ("suffix", {"suffix": "@shop.example"}, ["alice@shop.example"], ["alice@shop.example.evil.example", "alice"]),
    ("contains", {"contains": "+test"}, ["alice+test@x"], ["alice"]),
    ("regex", {"safe_regex": {"regex": "u[0-9]+"}}, ["u17"], ["u17x", "xu17", "u", "u17\n"]),
    ("regex-choice", {"safe_regex": {"regex": "alice|bob"}}, ["bob"], ["alicex", "xbob"]),
    ("ignore-case", {"exact": "alice", "ignore_case": True}, ["ALICE", "alice"], ["alicf"]),
    ("prefix-ignore-case", {"prefix": "svc-", "ignore_case": True}, ["SVC-mail"], ["mail-svc-"]),
]:
    T.policy(f"subjects-{kind}", policy({"shop": provider(subjects=matcher)}))
    for value in yes:
        good(f"subjects-{kind}-{value}", "`subjects` matches", f"subjects-{kind}", allow({"x-user-id": value}, ["authorization"]), sub=value)
    for value in no:
        bad(
            f"subjects-{kind}-not-{value.strip() or 'empty'}{'-newline' if value.endswith(chr(10)) else ''}",
            "`subjects` does not match",
            "subject_mismatch",
            f"subjects-{kind}",
            sub=value,
        )
bad("subjects-absent", "`subjects`: a missing `sub` fails", "subject_mismatch", "subjects-exact", sub=ABSENT)

# cnf
for name, value in [
    ("jkt", {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
    ("x5t", {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
    ("empty", {}),
    ("null", None),
    ("string", "x"),
]:
    bad(f"cnf-{name}", "RFC 7800 §3.1, RFC 9449 §6: a bearer proves nothing", "key_binding_required", cnf=value)
good("cnf-ignored", "`dangerous_ignore_key_binding`", "bound-allowed", cnf={"jkt": "x"})
good("cnf-ignored-absent", "`dangerous_ignore_key_binding` asks for none", "bound-allowed")
good("cnf-nested", "a member of another claim binds nothing", act={"cnf": {}})

# typ
for kind, types, yes, no in [
    ("access", ["at+jwt"], ["at+jwt", "AT+JWT", "application/at+jwt"], ["JWT", ABSENT, "logout+jwt"]),
    ("jwt", ["JWT"], ["JWT", "jwt", ABSENT], ["at+jwt", "application/at+jwt"]),
    ("logout", ["application/logout+jwt"], ["logout+jwt", "Application/Logout+jwt"], ["JWT", ABSENT, "at+jwt"]),
    ("two", ["JWT", "secevent+jwt"], ["secevent+jwt", ABSENT], ["at+jwt", "*"]),
]:
    T.policy(f"token-types-{kind}", policy({"shop": provider(token_types=types)}))
    for allowed, values in [(True, yes), (False, no)]:
        for value in values:
            name = "absent" if value is ABSENT else value
            T.case(
                f"token-types-{kind}-{'' if allowed else 'not-'}{name}",
                "`token_types`: an absent `typ` counts as `JWT`",
                PASS if allowed else deny("type_not_allowed"),
                bearer=sign(header(typ=value)),
                policy=f"token-types-{kind}",
            )

# JSON
raw("duplicate-sub", "RFC 7519 §4: a claim stands once", compact(claims())[:-1] + ',"sub":"root"}', "duplicate_member")
raw("duplicate-exp", "RFC 7519 §4", f'{{"exp":1,{compact(claims())[1:]}', "duplicate_member")
raw("duplicate-escaped", "RFC 7519 §4, however it is spelled", compact(claims())[:-1] + r',"\u0073ub":"root"}', "duplicate_member")
raw("duplicate-nested", "RFC 7519 §4, at any depth", compact(claims(act={"x": 0})).replace('"x":0', '"x":0,"x":1'), "duplicate_member")
raw("duplicate-in-list", "RFC 7519 §4, at any depth", compact(claims(roles=[{"x": 0}])).replace('"x":0', '"x":0,"x":1'), "duplicate_member")
raw("same-name-at-two-depths", "the accept beside", claims(act={"sub": "bob", "act": {"sub": "carol"}}))
raw("names-differ-in-case", "names are case-sensitive, so these are two", claims(Sub="root", ISS="x"))
raw("prototype", "a name that means something to JavaScript means nothing here", claims(**{"__proto__": {"sub": "root"}, "constructor": "x"}))
for name, text in [
    ("list", [1]),
    ("string", '"x"'),
    ("number", "1"),
    ("null", "null"),
    ("true", "true"),
    ("empty", ""),
    ("unclosed", '{"iss":'),
    ("text-behind", compact(claims()) + "x"),
    ("nul-behind", compact(claims()) + "\u0000"),
    ("byte-order-mark", "\ufeff" + compact(claims())),
    ("lone-surrogate", compact(claims()).replace("alice", r"\ud800")),
    ("trailing-comma", compact(claims())[:-1] + ",}"),
    ("comment", compact(claims()) + "//"),
    ("nested-token", token()),
    ("nested-1000-deep", '{"x":' + "[" * 1000 + "]" * 1000 + "}"),
    ("number-out-of-range", compact(claims())[:-1] + ',"x":1e999}'),
    ("nan", compact(claims())[:-1] + ',"x":NaN}'),
    ("infinity", compact(claims())[:-1] + ',"x":-Infinity}'),
    ("control-character", compact(claims(x="\t")).replace("\\t", "\t")),
    ("form", "iss=https://auth.example.com/shop&sub=alice"),
]:
    raw(f"json-{name}", "RFC 7519 §7.2: one JSON object (RFC 8259)", text, "claims_malformed")
raw("json-not-utf-8", "RFC 7519 §7.2: UTF-8", compact(claims()).encode().replace(b"alice", b"al\xefce"), "claims_malformed")
raw("json-utf-16", "RFC 7519 §7.2: UTF-8", compact(claims()).encode("utf-16-le"), "claims_malformed")
raw("json-white-space", "the accept beside: RFC 8259 §2", " " + compact(claims()).replace(",", " ,\r\n\t") + "\n")
raw("json-nested-64-deep", "the accept beside", compact(claims())[:-1] + ',"x":' + "[" * 64 + "]" * 64 + "}")
raw("json-big-numbers", "the accept beside: numbers within the range of a double", compact(claims())[:-1] + ',"x":123456789012345678901234567890,"y":1e308}')
raw("empty-object", "no claims at all: no issuer", "{}", "issuer_unknown")

# Which fault is told
bad("expired-and-other-audience", "expiry is told last", "audience_mismatch", exp=1, aud="x")
bad("other-issuer-expired", "the issuer is told first", "issuer_unknown", iss=OTHER_ISSUER, exp=1)
good("unknown-claims", "RFC 7519 §4: what is not understood is ignored", jti="1", nonce="x", admin=True)
good("iat-at-epoch", "any time in the past", iat=0, exp=FAR + NOW)
