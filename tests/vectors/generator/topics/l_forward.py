"""What goes upstream and into the host's metadata: identity in, tokens and forged identity out."""

from ..corpus import PASS, SHOP, Topic, allow, deny, local, policy, provider
from ..keys import ED
from ..tokens import ABSENT, OTHER_ISSUER, PAST, claims, header, part, sign, token

T = Topic("forward", "identity headers say what was verified, and nothing that the client says", "claims")
HEADERS = {"x-user-id": "sub", "x-roles": "roles", "x-country": "address.country", "x-deep": "a.b.c"}
T.policy("claims", policy({"shop": provider(claim_to_headers=[{"header_name": name, "claim_name": claim} for name, claim in HEADERS.items()])}))
T.policy("shop", policy())
T.policy("mixed-case", policy({"shop": provider(claim_to_headers=[{"header_name": "X-User-Id", "claim_name": "sub"}])}))
T.policy("nothing", policy({"shop": provider(claim_to_headers=None)}))
T.policy("forwarding", policy({"shop": provider(forward=True)}))
T.policy(
    "forwarding-everywhere",
    policy({"shop": provider(forward=True, from_headers=[{"name": "x-token"}], from_cookies=["session"], from_params=["access_token"])}),
)
T.policy("payload", policy({"shop": provider(forward_payload_header="X-Payload")}))
T.policy("payload-padded", policy({"shop": provider(forward_payload_header="x-payload", pad_forward_payload_header=True)}))
ALICE = {"x-user-id": "alice"}


def value(name, why, roles, text):
    T.case(f"value-{name}", why, allow(ALICE | ({} if text is None else {"x-roles": text}), ["authorization"]), bearer=token(roles=roles))


# Claims as header values
SCALAR, LIST, NONE = "a scalar is spelled as text", "an array of scalars is a comma list", "what cannot stand in a header unambiguously sets none"
for name, roles, text in [
    ("text", "staff", "staff"),
    ("text-with-spaces", "head of staff", "head of staff"),
    ("unicode", "Jos\u00e9 \U0001f600", "Jos\u00e9 \U0001f600"),
    ("integer", 42, "42"),
    ("negative", -7, "-7"),
    ("fraction", 1.5, "1.5"),
    ("big-integer", 9007199254740993, "9007199254740993"),
    ("true", True, "true"),
    ("false", False, "false"),
    ("zero", 0, "0"),
    ("empty-text", "", ""),
    ("comma-in-text", "a,b", "a,b"),
    ("looks-like-json", '{"a":1}', '{"a":1}'),
    ("quotes", '"', '"'),
    ("percent", "%0d%0a", "%0d%0a"),
]:
    value(name, SCALAR, roles, text)
for name, roles, text in [
    ("list", ["staff", "cook"], "staff,cook"),
    ("list-of-one", ["staff"], "staff"),
    ("list-mixed", ["a", 1, False], "a,1,false"),
    ("list-empty", [], ""),
    ("list-of-numbers", [1, 2], "1,2"),
]:
    value(name, LIST, roles, text)
for name, roles in [
    ("newline", "a\nb"),
    ("header-injection", "a\r\nx-admin: 1"),
    ("nul", "a\u0000"),
    ("delete", "a\u007f"),
    ("next-line", "a\u0085"),
    ("space-before", " a"),
    ("space-behind", "a "),
    ("tab-before", "\ta"),
    ("no-break-space-behind", "a\u00a0"),
    ("list-with-comma", ["a,b"]),
    ("list-with-empty", ["a", ""]),
    ("list-in-list", ["a", ["b"]]),
    ("list-with-object", ["a", {}]),
    ("list-with-null", ["a", None]),
    ("list-with-newline", ["a", "b\n"]),
    ("object", {"a": 1}),
    ("null", None),
    ("tab-within", "a\tb"),
]:
    value(name, NONE, roles, None)
T.case(
    "nested",
    "`claim_name` reaches into objects",
    allow(ALICE | {"x-country": "DE", "x-deep": "7"}, ["authorization"]),
    bearer=token(address={"country": "DE"}, a={"b": {"c": 7}}),
)
for name, more in [
    ("member-missing", {"address": {}}),
    ("through-text", {"address": "country"}),
    ("through-list", {"address": [{"country": "DE"}]}),
    ("dotted-name", {"address.country": "DE"}),
    ("null", {"address": None}),
    ("object", {"address": {"country": {}}}),
]:
    T.case(f"nested-{name}", "`claim_name` reaches into objects only", allow(ALICE, ["authorization"]), bearer=token(**more))
T.case("claim-missing", "no claim, no header", allow({}, ["authorization"]), bearer=token(sub=ABSENT))
T.case(
    "prototype-path",
    "a name that means something to JavaScript means nothing here",
    allow(ALICE, ["authorization"]),
    bearer=token(**{"__proto__": {"roles": "root"}, "constructor": {"prototype": {"roles": "root"}}}),
)
T.case("no-headers", "a provider that sets none", allow({}, ["authorization"]), policy="nothing", bearer=token())
T.case("header-name-in-lower-case", "names are set in lower case", PASS, policy="mixed-case", bearer=token())

# What the client sends under these names
GOOD = token()
for name, field in [
    ("same", "x-user-id"),
    ("upper-case", "X-USER-ID"),
    ("underscores", "x_user_id"),
    ("one-underscore", "x_user-id"),
    ("dots", "x.user.id"),
    ("mixed", "X_User.Id"),
    ("tilde", "x~user~id"),
    ("exclamation", "x!user-id"),
]:
    T.case(
        f"spoofed-{name}",
        "what some service reads as the identity header is removed",
        allow(ALICE, ["authorization", field.lower()]),
        bearer=GOOD,
        headers=[(field, "root")],
    )
    T.case(f"spoofed-open-{name}", "also where no token is required", allow({}, [field.lower()]), target="/healthz", headers=[(field, "root")])
for name, field in [("longer", "x-user-id-2"), ("shorter", "x-user"), ("joined", "xuserid"), ("other-prefix", "y-user-id"), ("digit", "x-user-1d")]:
    T.case(f"other-header-{name}", "the accept beside: another header stays", PASS, bearer=GOOD, headers=[(field, "x")])
T.case(
    "spoofed-all",
    "every copy of every identity header",
    allow(ALICE, ["authorization", "x-user-id", "x_user_id", "x-roles", "x.roles", "x-country", "x-deep"]),
    bearer=GOOD,
    headers=[("x-user-id", "root"), ("X_USER_ID", "root"), ("x-roles", "admin"), ("x.roles", "admin"), ("x-country", "XX"), ("x-deep", "1")],
)
T.case(
    "spoofed-twice", "all fields of a name", allow(ALICE, ["authorization", "x-user-id"]), bearer=GOOD, headers=[("x-user-id", "root"), ("x-user-id", "admin")]
)
T.case("spoofed-empty", "an empty one too", allow(ALICE, ["authorization", "x-user-id"]), bearer=GOOD, headers=[("x-user-id", "")])
T.case(
    "spoofed-and-claim-missing",
    "no claim, no header: not the client's either",
    allow(ALICE, ["authorization", "x-roles"]),
    bearer=GOOD,
    headers=[("x-roles", "admin")],
)
T.case(
    "spoofed-and-claim-unfit",
    "no fit value, no header: not the client's either",
    allow(ALICE, ["authorization", "x-roles"]),
    bearer=token(roles={"admin": True}),
    headers=[("x-roles", "admin")],
)
T.case("spoofed-without-token", "it is no proof", deny("token_missing"), headers=[("x-user-id", "root")])
OTHER = {
    "issuer": OTHER_ISSUER,
    "local_jwks": local(ED.jwk(kid="ed", alg="EdDSA")),
    "claim_to_headers": [{"header_name": "x-partner", "claim_name": "sub"}],
    "forward_payload_header": "x-partner-claims",
}
T.policy(
    "two",
    policy(
        {"shop": provider(), "partner": OTHER},
        [{"match": {"prefix": "/api/"}, "requires": SHOP}, {"match": {"prefix": "/partner/"}, "requires": {"provider_name": "partner"}}],
    ),
)
T.case(
    "spoofed-of-other-provider",
    "the identity headers of all providers are removed from every request",
    allow(ALICE, ["authorization", "x-partner", "x-partner-claims"]),
    policy="two",
    bearer=GOOD,
    headers=[("x-partner", "partner-1"), ("x-partner-claims", "e30")],
)
T.case(
    "other-provider",
    "each provider sets its own",
    allow({"x-partner": "p", "x-partner-claims": part(claims(iss=OTHER_ISSUER, sub="p"))}, ["authorization", "x-user-id"]),
    policy="two",
    target="/partner/x",
    bearer=sign(header(alg="EdDSA", kid="ed"), claims(iss=OTHER_ISSUER, sub="p"), key=ED),
    headers=[("x-user-id", "root")],
)

# The token itself
T.case("token-taken", "a verified token does not go upstream", PASS, policy="shop", bearer=GOOD)
T.case("token-kept", "`forward`", allow(ALICE), policy="forwarding", bearer=GOOD)
T.case("token-kept-bad", "`forward` lets no bad token pass", deny("signature_invalid"), policy="forwarding", bearer=GOOD[:-8] + "AAAAAAAA")
for name, more in [
    ("header", {"headers": [("x-token", GOOD)]}),
    ("cookie", {"headers": [("cookie", f"a=1; session={GOOD}")]}),
    ("param", {"target": f"/api/orders?a=1&access_token={GOOD}"}),
]:
    T.case(f"token-kept-in-{name}", "`forward`, in every place", allow(ALICE), policy="forwarding-everywhere", token=GOOD, **more)
T.case(
    "other-headers-stay",
    "nothing else is changed",
    PASS,
    policy="shop",
    bearer=GOOD,
    headers=[("accept", "text/html"), ("x-request-id", "7"), ("cookie", "a=1"), ("content-type", "application/json")],
)
T.case("query-stays", "nothing else is changed", PASS, policy="shop", bearer=GOOD, target="/api/orders?a=1&b=%2F&&c")

# The payload
for rest in range(3):
    padded = next(claims(pad="x" * count) for count in range(8) if len(part(claims(pad="x" * count))) % 4 == (0, 2, 3)[rest])
    text = part(padded)
    T.case(
        f"payload-{rest}",
        "`forward_payload_header`: the claims as the token spells them",
        allow(ALICE | {"x-payload": text}, ["authorization"]),
        policy="payload",
        bearer=sign(None, padded),
    )
    padding = ("", "==", "=")[rest]
    T.case(
        f"payload-padded-{rest}",
        "`pad_forward_payload_header`: padded to a multiple of four",
        allow(ALICE | {"x-payload": text + padding}, ["authorization"]),
        policy="payload-padded",
        bearer=sign(None, padded),
    )
T.case(
    "payload-as-spelled",
    "white space and order stay",
    allow(ALICE | {"x-payload": part(' {"exp":4102444800,\n"aud":"shop","sub":"alice","iss":"https://auth.example.com/shop"}')}, ["authorization"]),
    policy="payload",
    bearer=sign(None, ' {"exp":4102444800,\n"aud":"shop","sub":"alice","iss":"https://auth.example.com/shop"}'),
)
T.case(
    "payload-spoofed",
    "the payload header is an identity header",
    allow({}, ["x-payload", "x_payload"]),
    policy="payload",
    target="/healthz",
    headers=[("X-Payload", "e30"), ("x_payload", "e30")],
)

# Metadata
META = {"payload_in_metadata": "claims", "header_in_metadata": "header", "failed_status_in_metadata": "failure"}
OPTIONAL = [
    {"match": {"prefix": "/api/"}, "requires": SHOP},
    {"match": {"prefix": "/lenient/"}, "requires": {"requires_any": {"requirements": [SHOP, {"allow_missing_or_failed": {}}]}}},
]
T.policy("metadata", policy({"shop": provider(**META)}, OPTIONAL))
T.policy("metadata-payload", policy({"shop": provider(payload_in_metadata="claims")}))
T.policy(
    "metadata-normalized",
    policy({"shop": provider(payload_in_metadata="claims", normalize_payload_in_metadata={"space_delimited_claims": ["scope", "groups"]})}),
)
T.policy("route-cache", policy({"shop": provider(clear_route_cache=True)}))
T.policy("route-cache-nothing-set", policy({"shop": provider(clear_route_cache=True, claim_to_headers=None)}))
T.policy("route-cache-metadata", policy({"shop": provider(clear_route_cache=True, claim_to_headers=None, payload_in_metadata="claims")}))
BEARER = ["authorization"]
T.case(
    "metadata",
    "`payload_in_metadata`, `header_in_metadata`",
    allow(ALICE, BEARER, metadata={"claims": claims(roles=["a"], n=1.5), "header": header()}),
    policy="metadata",
    bearer=token(roles=["a"], n=1.5),
)
T.case("metadata-payload-only", "each on its own", allow(ALICE, BEARER, metadata={"claims": claims()}), policy="metadata-payload", bearer=GOOD)
T.case("metadata-none", "no token, no metadata: a missing token has not failed", allow(metadata={}), policy="metadata", target="/lenient/x")
T.case("metadata-missing", "no token, no metadata: a missing token has not failed", deny("token_missing", metadata={}), policy="metadata")
MESSAGES = {
    "token_expired": "the token has expired",
    "token_malformed": "the token is not a JWS in compact form",
    "signature_invalid": "the token's signature is invalid",
}
for code, text in [("token_expired", token(exp=PAST)), ("token_malformed", "x"), ("signature_invalid", GOOD[:-8] + "AAAAAAAA")]:
    failure = {"failure": {"code": code, "message": MESSAGES[code]}}
    T.case(f"metadata-denied-{code}", "`failed_status_in_metadata`", deny(code, metadata=failure), policy="metadata", bearer=text)
    T.case(
        f"metadata-let-through-{code}",
        "`failed_status_in_metadata`, also where the request is let through",
        allow({}, BEARER, metadata=failure),
        policy="metadata",
        bearer=text,
        target="/lenient/x",
    )
T.case(
    "metadata-normalized",
    "`normalize_payload_in_metadata`",
    allow(ALICE, BEARER, metadata={"claims": claims(scope=["read", "write"], other="a b")}),
    policy="metadata-normalized",
    bearer=token(scope="read write", other="a b"),
)
T.case(
    "metadata-normalized-one-word",
    "one word is a list of one",
    allow(ALICE, BEARER, metadata={"claims": claims(scope=["read"])}),
    policy="metadata-normalized",
    bearer=token(scope="read"),
)
T.case(
    "metadata-normalized-list",
    "what is no text stays",
    allow(ALICE, BEARER, metadata={"claims": claims(scope=["read write"], groups=7)}),
    policy="metadata-normalized",
    bearer=token(scope=["read write"], groups=7),
)
T.case("route-cache", "`clear_route_cache`: claim headers are set", allow(ALICE, BEARER, clear_route_cache=True), policy="route-cache", bearer=GOOD)
T.case("route-cache-open", "`clear_route_cache`: nothing is set", allow(), policy="route-cache", target="/healthz")
T.case("route-cache-nothing-set", "`clear_route_cache`: nothing is set", allow({}, BEARER), policy="route-cache-nothing-set", bearer=GOOD)
T.case(
    "route-cache-metadata",
    "`clear_route_cache`: metadata is set",
    allow({}, BEARER, metadata={"claims": claims()}, clear_route_cache=True),
    policy="route-cache-metadata",
    bearer=GOOD,
)

# The cache of verified tokens changes no verdict.
for name, cache in [("off", {"verified_token_cache": {"max_bytes": 0}}), ("small", {"verified_token_cache": {"max_bytes": 100}})]:
    T.policy(f"cache-{name}", policy(**cache))
    T.case(f"cache-{name}", "`verified_token_cache` changes no verdict", PASS, policy=f"cache-{name}", bearer=GOOD)
T.policy("cache-config", policy({"shop": provider(jwt_cache_config={"jwt_cache_size": 0, "jwt_max_token_size": 10})}))
T.case("cache-config", "`jwt_cache_config` bounds what is cached, not what is verified", PASS, policy="cache-config", bearer=GOOD)
