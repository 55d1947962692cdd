"""Where a token may stand (RFC 6750 §2), and that there is one."""

from ..corpus import PASS, SHOP, Topic, allow, deny, local, policy, provider
from ..keys import ED
from ..tokens import OTHER_ISSUER, claims, header, sign, token

T = Topic("places", "one token, in a place where its provider looks; it does not go upstream", "shop")
T.policy("shop", policy())
PLACES = {
    "from_headers": [{"name": "X-Token"}, {"name": "X-Auth", "value_prefix": "Token "}, {"name": "X-Versioned", "value_prefix": "v1."}],
    "from_cookies": ["session"],
    "from_params": ["access_token"],
}
T.policy("places", policy({"shop": provider(**PLACES)}))
T.policy("respelled-places", policy({"shop": provider(from_headers=[{"name": "X-Token"}, {"name": "x_token"}])}))
T.policy("bearer-and-cookie", policy({"shop": provider(from_headers=[{"name": "Authorization", "value_prefix": "Bearer "}], from_cookies=["session"])}))
T.policy(
    "two-providers",
    policy(
        {
            "shop": provider(from_cookies=["session"]),
            "partner": {
                "issuer": OTHER_ISSUER,
                "local_jwks": local(ED.jwk(kid="ed", alg="EdDSA")),
                "claim_to_headers": [{"header_name": "x-partner", "claim_name": "sub"}],
            },
        },
        [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [SHOP, {"provider_name": "partner"}]}}}],
    ),
)
GOOD, OTHER = token(), token(sub="bob")
PARTNER = sign(header(alg="EdDSA", kid="ed"), claims(iss=OTHER_ISSUER, sub="partner-7"), key=ED)
ALICE = {"x-user-id": "alice"}
MISSING, SEVERAL, MALFORMED = deny("token_missing"), deny("multiple_tokens"), deny("token_malformed")


def auth(name, why, expect, *values, field="authorization", **more):
    T.case(name, why, expect, headers=[(field, value) for value in values], token=more.pop("token", None), **more)


# Authorization
for name, value in [("upper-case", "BEARER "), ("lower-case", "bearer "), ("mixed-case", "bEaReR "), ("three-spaces", "Bearer   ")]:
    auth(f"scheme-{name}", "RFC 9110 §11.1, §11.4: a scheme ignores case, and one or more spaces follow it", PASS, value + GOOD, token=GOOD)
auth("field-in-upper-case", "RFC 9110 §5.1: a field name ignores case", PASS, "Bearer " + GOOD, field="AUTHORIZATION", token=GOOD)
auth("space-before-scheme", "RFC 9110 §5.5: white space around a value is no part of it", PASS, " Bearer " + GOOD, token=GOOD)
for name, value in [
    ("tab", "Bearer\t"),
    ("space-and-tab", "Bearer \t"),
    ("vertical-tab", "Bearer\x0b"),
    ("no-break-space", "Bearer\u00a0"),
    ("em-space", "Bearer\u2003"),
    ("delete", "Bearer\x7f"),
]:
    auth(f"scheme-then-{name}", "what some reader takes for a space begins a token, a bad one", MALFORMED, value + GOOD)
auth("no-break-space-before-scheme", "what some reader skips is not skipped", MALFORMED, "\u00a0Bearer " + GOOD)
auth("vertical-tab-before-scheme", "what some reader skips is not skipped", MALFORMED, "\x0bBearer " + GOOD)
for name, value in [
    ("none", None),
    ("empty", ""),
    ("scheme-alone", "Bearer"),
    ("scheme-and-space", "Bearer "),
    ("token-alone", GOOD),
    ("basic", "Basic YWxpY2U6c2VjcmV0"),
    ("negotiate", "Negotiate YII="),
    ("dpop", "DPoP " + GOOD),
    ("token-scheme", "Token " + GOOD),
    ("no-space", "Bearer" + GOOD),
    ("colon", "Bearer:" + GOOD),
    ("equals", "Bearer=" + GOOD),
    ("longer-scheme", "BearerX " + GOOD),
    ("underscore", "Bearer_" + GOOD),
]:
    auth(f"missing-{name}", "RFC 6750 §2.1: no bearer token", MISSING, *([] if value is None else [value]))
auth("missing-digest-with-commas", "RFC 7616: other schemes have commas", MISSING, 'Digest realm="x", nonce="y"')
auth("missing-proxy-authorization", "another field", MISSING, "Bearer " + GOOD, field="proxy-authorization")
auth("missing-cookie-where-none-is-read", "a cookie is no default place", MISSING, "Bearer=" + GOOD, field="cookie")
auth("missing-x-forwarded", "another field", MISSING, "Bearer " + GOOD, field="x-forwarded-authorization")
T.case("missing-param-where-none-is-read", "OAuth 2.1 has dropped the query parameter", MISSING, target="/api/orders?access_token=" + GOOD)
TWO = "RFC 6750 §3.1, RFC 9110 §11.6.2: which one counts is what two readers disagree on"
for name, values in [
    ("two-different", ["Bearer " + GOOD, "Bearer " + OTHER]),
    ("two-equal", ["Bearer " + GOOD] * 2),
    ("bad-first", ["Bearer x", "Bearer " + GOOD]),
    ("bad-last", ["Bearer " + GOOD, "Bearer x"]),
    ("basic-first", ["Basic YTpi", "Bearer " + GOOD]),
    ("basic-last", ["Bearer " + GOOD, "Basic YTpi"]),
    ("empty-last", ["Bearer " + GOOD, ""]),
    ("empty-first", ["", "Bearer " + GOOD]),
    ("joined", [f"Bearer {GOOD}, Bearer {OTHER}"]),
    ("joined-without-space", [f"Bearer {GOOD},Bearer {OTHER}"]),
    ("joined-basic-first", ["Basic YTpi, Bearer " + GOOD]),
    ("joined-basic-last", [f"Bearer {GOOD}, Basic YTpi"]),
    ("joined-without-second-scheme", [f"Bearer {GOOD},{OTHER}"]),
    ("comma-behind", [f"Bearer {GOOD},"]),
    ("comma-before", [f",Bearer {GOOD}"]),
    ("auth-param-behind", [f'Bearer {GOOD}, realm="x"']),
]:
    auth(f"several-{name}", TWO, SEVERAL, *values)
T.case("several-field-names-differ-in-case", TWO, SEVERAL, headers=[("authorization", "Bearer " + GOOD), ("Authorization", "Bearer " + OTHER)])
auth("several-basic", "no bearer token among them", MISSING, "Basic YTpi", "Basic YTpj")

# Other headers
P = {"policy": "places"}
for name, field, value in [
    ("bare", "x-token", GOOD),
    ("bare-upper-case-field", "X-TOKEN", GOOD),
    ("prefixed", "x-auth", "Token " + GOOD),
    ("prefixed-without-case", "x-auth", "token " + GOOD),
    ("prefix-without-space", "x-versioned", "v1." + GOOD),
]:
    auth(f"header-{name}", "`from_headers`", allow(ALICE, [field.lower()]), value, field=field, token=GOOD, **P)
auth("header-respelled", "upstreams in the CGI tradition read `x_token` as `x-token`", allow(ALICE, ["x_token"]), GOOD, field="x_token", **P)
for name, field, value in [
    ("prefix-missing", "x-auth", GOOD),
    ("other-prefix", "x-auth", "Bearer " + GOOD),
    ("version-2", "x-versioned", "v2." + GOOD),
    ("empty", "x-token", ""),
    ("default-place", "authorization", "Bearer " + GOOD),
    ("longer-name", "x-token-2", GOOD),
]:
    auth(f"header-missing-{name}", "`from_headers`: no token there", MISSING, value, field=field, **P)
auth("header-bare-with-scheme", "no prefix: all of the value is the token", MALFORMED, "Bearer " + GOOD, field="x-token", **P)
auth("header-twice", TWO, SEVERAL, GOOD, GOOD, field="x-token", **P)
T.case("header-and-respelled", TWO, SEVERAL, headers=[("x-token", GOOD), ("x_token", OTHER)], **P)
T.case("header-and-respelled-dot", TWO, SEVERAL, headers=[("x-token", GOOD), ("x.token", "x")], **P)
T.case("header-two-places", TWO, SEVERAL, headers=[("x-token", GOOD), ("x-auth", "Token " + GOOD)], **P)
T.case(
    "header-other-place-without-prefix",
    "what has not the prefix is no token",
    allow(ALICE, ["x-token"]),
    headers=[("x-token", GOOD), ("x-auth", "Basic YTpi")],
    token=GOOD,
    **P,
)
T.case(
    "header-other-authorization-stays",
    "a header that is no place of a token goes upstream",
    allow(ALICE, ["x-token"]),
    headers=[("x-token", GOOD), ("authorization", "Basic YTpi")],
    token=GOOD,
    **P,
)
T.case(
    "header-two-names-of-one-place",
    "two names of one place hold one token",
    allow(ALICE, ["x-token"]),
    headers=[("x-token", GOOD)],
    token=GOOD,
    policy="respelled-places",
)

# Cookies


def cookie(name, why, expect, *values, **more):
    T.case(f"cookie-{name}", why, expect, headers=[("cookie", value) for value in values], **(P | more))


def left(rest=None):
    return allow(ALICE | ({} if rest is None else {"cookie": rest}), ["cookie"])


cookie("alone", "`from_cookies`: nothing is left of the field", left(), f"session={GOOD}", token=GOOD)
cookie("among-others", "the others stay", left("a=1; b=2"), f"a=1; session={GOOD}; b=2", token=GOOD)
cookie("first", "the others stay", left("a=1"), f"session={GOOD}; a=1")
cookie("last", "the others stay", left("a=1"), f"a=1; session={GOOD}")
cookie("without-spaces", "RFC 6265 §4.2.1, read leniently", left("a=1; b=2"), f"a=1;session={GOOD};b=2")
cookie("split-fields", "RFC 9113 §8.2.3: HTTP/2 may split the field", left("a=1; b=2"), "a=1", f"session={GOOD}", "b=2")
cookie("similar-names", "names of which it is a part", left("session2=x; xsession=y; Set=session"), f"session2=x; session={GOOD}; xsession=y; Set=session")
cookie("others-with-equals", "a value may hold `=`", left("a=b=c"), f"a=b=c; session={GOOD}")
cookie("absent", "no cookie of this name", MISSING, "a=1; session2=x")
cookie("empty", "an empty cookie is as good as none", MISSING, "session=")
cookie("without-value", "a name alone is no token", MISSING, "session")
cookie("prefix-in-value", "no prefix is stripped from a cookie", MALFORMED, f"session=Bearer {GOOD}")
cookie("quoted", "RFC 6265 §4.1.1: the quotes are part of the value", MALFORMED, f'session="{GOOD}"')
cookie("percent-encoded-value", "no value is decoded", MALFORMED, "session=" + GOOD.replace(".", "%2E"))
for name, value in [
    ("twice", f"session={GOOD}; session={OTHER}"),
    ("twice-equal", f"session={GOOD}; session={GOOD}"),
    ("bad-first", f"session=x; session={GOOD}"),
    ("upper-case-beside", f"session={GOOD}; SESSION=x"),
    ("encoded-beside", f"session={GOOD}; %73ession=x"),
    ("space-beside", f"session ={GOOD}; session=x"),
    ("index-beside", f"session={GOOD}; session[0]=x"),
    ("nul-beside", f"session={GOOD}; session%00x=x"),
]:
    cookie(f"several-{name}", TWO, SEVERAL, value)
cookie("several-fields", TWO, SEVERAL, f"session={GOOD}", f"session={OTHER}")
cookie("empty-beside", "an empty one is no second token, and does not go upstream", left("a=1"), f"session={GOOD}; session=; a=1")
for name, value in {
    "blank": f"a=1 session={GOOD}",
    "tab": f"a=1\tsession={GOOD}",
    "comma": f"a=1,session={GOOD}",
    "blank-beside": f"session={GOOD}; a=1 session={OTHER}",
    "blank-behind": f"session={GOOD} session={OTHER}",
}.items():
    cookie(f"within-another-by-{name}", "some parsers end a value at white space, or at a comma: to them it is a second token, or the one", SEVERAL, value)
cookie("blank-in-another", "a blank in another cookie's value hides nothing", left("a=1 2"), f"a=1 2; session={GOOD}")
cookie("respelled", "a respelled name is the name to some services", left("a=1"), f"a=1; SESSION={GOOD}")
T.case("cookie-and-bearer", TWO, SEVERAL, headers=[("cookie", f"session={GOOD}"), ("authorization", "Bearer " + GOOD)], policy="bearer-and-cookie")
T.case(
    "cookie-and-basic",
    "Basic is no token, and stays",
    allow(ALICE, ["cookie"]),
    headers=[("cookie", f"session={GOOD}"), ("authorization", "Basic YTpi")],
    token=GOOD,
    policy="bearer-and-cookie",
)
T.case(
    "bearer-and-other-cookies",
    "other cookies stay",
    allow(ALICE | {"cookie": "a=1"}, ["authorization", "cookie"]),
    headers=[("authorization", "Bearer " + GOOD), ("cookie", "a=1; session=")],
    token=GOOD,
    policy="bearer-and-cookie",
)

# Parameters


def param(name, why, expect, query, **more):
    T.case(f"param-{name}", why, expect, target=f"/api/orders?{query}", **(P | more))


def rest(query):
    return allow(ALICE, target="/api/orders" + (f"?{query}" if query else ""))


A = f"access_token={GOOD}"
param("alone", "`from_params`: nothing is left of the query", rest(""), A, token=GOOD)
param("first", "the others stay as they were sent", rest("a=1&b=2"), f"{A}&a=1&b=2", token=GOOD)
param("middle", "the others stay as they were sent", rest("a=1&b=2"), f"a=1&{A}&b=2")
param("last", "the others stay as they were sent", rest("a=1&b=%20x+y"), f"a=1&b=%20x+y&{A}")
param("others-without-value", "the others stay as they were sent", rest("a&b=&=c"), f"a&b=&{A}&=c")
param("second-question-mark", "a `?` within the query is text", rest("a=?"), f"a=?&{A}")
param("semicolons", "some services separate by `;`", rest("a=1;b"), f"a=1;{A};b")
param(
    "similar-names",
    "names of which it is a part",
    rest("access_token2=x&xaccess_token=y&a=access_token"),
    f"access_token2=x&{A}&xaccess_token=y&a=access_token",
)
param("encoded-name", "a name is percent-decoded", rest("a=1"), f"a=1&%61ccess%5Ftoken={GOOD}")
param("absent", "no parameter of this name", MISSING, "a=1")
param("empty", "an empty one is as good as none", MISSING, "access_token=")
param("without-value", "a name alone is no token", MISSING, "access_token")
param("encoded-value", "no value is decoded", MALFORMED, "access_token=" + GOOD.replace(".", "%2E"))
for name, query in [
    ("twice", f"{A}&access_token={OTHER}"),
    ("twice-equal", f"{A}&{A}"),
    ("bad-first", f"access_token=x&{A}"),
    ("encoded", f"{A}&%61ccess_token=x"),
    ("case-and-dot", f"{A}&Access.Token=x"),
    ("index", f"{A}&access_token[]=x"),
    ("brackets", f"{A}&[access_token]=x"),
    ("encoded-brackets", f"{A}&%5Baccess_token%5D=x"),
    ("legacy-unicode-escape", f"{A}&%u0061ccess_token=x"),
    ("encoded-index", f"{A}&access_token%5B0%5D=x"),
    ("space", f"{A}&%20access_token=x"),
    ("plus", f"{A}&+access_token=x"),
    ("nul", f"{A}&access_token%00x=x"),
    ("semicolon", f"{A};access_token=x"),
    ("open-bracket", f"{A}&access[token=x"),
]:
    param(f"several-{name}", TWO, SEVERAL, query)
param("empty-beside", "an empty one is no second token, and does not go upstream", rest("a=1"), f"{A}&access_token=&a=1")
param("and-header", TWO, SEVERAL, A, headers=[("x-token", GOOD)])
param("and-cookie", TWO, SEVERAL, A, headers=[("cookie", f"session={OTHER}")])
T.case("param-in-open-path", "where no provider looks nothing is taken", allow(), target=f"/healthz?{A}", **P)
T.case("param-and-raw-path", "the path stays as it was sent", allow(ALICE, target="/api/%6frders"), target=f"/api/%6frders?{A}", token=GOOD, **P)

# Two providers, each with its own place
Q = {"policy": "two-providers"}
T.case("providers-cookie", "the token in the place of its provider", allow(ALICE, ["cookie"]), headers=[("cookie", f"session={GOOD}")], token=GOOD, **Q)
T.case("providers-bearer", "the token in the place of its provider", allow({"x-partner": "partner-7"}, ["authorization"]), bearer=PARTNER, **Q)
T.case("providers-crossed", "a token in the place of another provider", deny("issuer_unknown"), bearer=GOOD, **Q)
T.case(
    "providers-both",
    "the first that is satisfied decides, and no token goes upstream",
    allow(ALICE, ["authorization", "cookie"]),
    headers=[("cookie", f"session={GOOD}"), ("authorization", "Bearer " + PARTNER)],
    **Q,
)
T.case(
    "providers-both-first-bad",
    "the second is satisfied, and no token goes upstream",
    allow({"x-partner": "partner-7"}, ["authorization", "cookie"]),
    headers=[("cookie", "session=x"), ("authorization", "Bearer " + PARTNER)],
    **Q,
)
T.case(
    "providers-both-second-bad",
    "what was not needed was not judged, and does not go upstream",
    allow(ALICE, ["authorization", "cookie"]),
    headers=[("cookie", f"session={GOOD}"), ("authorization", "Bearer x")],
    **Q,
)
