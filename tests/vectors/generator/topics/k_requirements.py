"""What a request needs: requirements, alone and combined."""

from ..corpus import PASS, SHOP, Topic, allow, deny, got, jwks, local, policy, provider, remote, wait
from ..keys import ED, ES
from ..tokens import OTHER_ISSUER, PAST, claims, header, sign, token

T = Topic("requirements", "any, all, missing, failed; by name, by route, by filter state")
PARTNER = {"provider_name": "partner"}


def any_of(*requirements):
    return {"requires_any": {"requirements": list(requirements)}}


def all_of(*requirements):
    return {"requires_all": {"requirements": list(requirements)}}


MISSING, FAILED = {"allow_missing": {}}, {"allow_missing_or_failed": {}}
PARTNER_PROVIDER = {
    "issuer": OTHER_ISSUER,
    "local_jwks": local(ED.jwk(kid="ed", alg="EdDSA")),
    "claim_to_headers": [{"header_name": "x-partner", "claim_name": "sub"}],
}
IN_HEADER = {"from_headers": [{"name": "x-token"}]}


def requiring(name, requires, shop=None, partner=None, **more):
    providers = {"partner": {**PARTNER_PROVIDER, **(partner or {})}, "shop": provider(**(shop or {}))}
    return T.policy(name, policy(providers, [{"match": {"prefix": "/api/"}, "requires": requires}], **more))


GOOD, EXPIRED, FORGED = token(), token(exp=PAST), token()[:-8] + "AAAAAAAA"
P_GOOD = sign(header(alg="EdDSA", kid="ed"), claims(iss=OTHER_ISSUER, sub="partner-7"), key=ED)
P_EXPIRED = sign(header(alg="EdDSA", kid="ed"), claims(iss=OTHER_ISSUER, exp=1), key=ED)
STRANGER = token(iss="https://evil.example")
P_PASS = allow({"x-partner": "partner-7"}, ["authorization"])
STRIPPED = allow({}, ["authorization"])
B_ALICE, B_PARTNER = ("authorization", "Bearer " + GOOD), ("authorization", "Bearer " + P_GOOD)


def table(policy_name, why, rows):
    for name, (text, expect) in rows.items():
        T.case(f"{policy_name}-{name}", why, expect, policy=policy_name, bearer=text)


requiring("one", SHOP)
table(
    "one",
    "`provider_name`",
    {
        "good": (GOOD, PASS),
        "none": (None, deny("token_missing")),
        "expired": (EXPIRED, deny("token_expired")),
        "forged": (FORGED, deny("signature_invalid")),
        "of-another": (P_GOOD, deny("issuer_unknown")),
        "stranger": (STRANGER, deny("issuer_unknown")),
    },
)
requiring("any", any_of(SHOP, PARTNER))
table(
    "any",
    "`requires_any`: one of them",
    {
        "first": (GOOD, PASS),
        "second": (P_GOOD, P_PASS),
        "none": (None, deny("token_missing")),
        "first-expired": (EXPIRED, deny("token_expired")),
        "second-expired": (P_EXPIRED, deny("token_expired")),
        "stranger": (STRANGER, deny("issuer_unknown")),
        "malformed": ("x.y.z", deny("token_malformed")),
    },
)
requiring("all-of-two", all_of(SHOP, PARTNER), shop=IN_HEADER)
for name, headers, expect in [
    ("both", [("x-token", GOOD), B_PARTNER], allow({"x-user-id": "alice", "x-partner": "partner-7"}, ["authorization", "x-token"])),
    ("first", [("x-token", GOOD)], deny("token_missing")),
    ("second", [B_PARTNER], deny("token_missing")),
    ("neither", [], deny("token_missing")),
    ("first-expired", [("x-token", EXPIRED), B_PARTNER], deny("token_expired")),
    ("second-expired", [("x-token", GOOD), ("authorization", "Bearer " + P_EXPIRED)], deny("token_expired")),
    ("swapped", [("x-token", P_GOOD), B_ALICE], deny("issuer_unknown")),
    ("bad-beside-missing", [("x-token", FORGED)], deny("signature_invalid")),
]:
    T.case(f"all-of-two-{name}", "`requires_all`: each of them", expect, policy="all-of-two", headers=headers)
requiring("all-same-place", all_of(SHOP, PARTNER))
table("all-same-place", "one token is of one issuer", {"first": (GOOD, deny("issuer_unknown")), "second": (P_GOOD, deny("issuer_unknown"))})
requiring("missing", MISSING)
table(
    "missing",
    "`allow_missing` alone: no token, or a valid one of any provider",
    {
        "none": (None, allow()),
        "first": (GOOD, PASS),
        "second": (P_GOOD, P_PASS),
        "expired": (EXPIRED, deny("token_expired")),
        "forged": (FORGED, deny("signature_invalid")),
        "stranger": (STRANGER, deny("issuer_unknown")),
        "malformed": ("x", deny("token_malformed")),
    },
)
T.case("missing-basic", "`allow_missing`: Basic is no token, and stays", allow(), policy="missing", headers=[("authorization", "Basic YTpi")])
T.case("missing-two", "`allow_missing`: two tokens are not missing", deny("multiple_tokens"), policy="missing", headers=[B_ALICE, B_PARTNER])
requiring("failed", FAILED)
table(
    "failed",
    "`allow_missing_or_failed` alone: in any case; a token that failed does not go upstream",
    {
        "none": (None, allow()),
        "first": (GOOD, PASS),
        "second": (P_GOOD, P_PASS),
        "expired": (EXPIRED, STRIPPED),
        "forged": (FORGED, STRIPPED),
        "stranger": (STRANGER, STRIPPED),
        "malformed": ("x", STRIPPED),
    },
)
T.case("failed-two", "`allow_missing_or_failed`: two tokens, and neither goes upstream", STRIPPED, policy="failed", headers=[B_ALICE, B_PARTNER])
T.case(
    "failed-spoofed",
    "`allow_missing_or_failed`: the identity headers tell",
    allow({}, ["authorization", "x-user-id"]),
    policy="failed",
    bearer=FORGED,
    headers=[("x-user-id", "root")],
)
T.case("failed-ambiguous-path", "`allow_missing_or_failed` is about tokens only", deny("path_ambiguous"), policy="failed", target="/api//x", bearer=GOOD)
requiring("optional", any_of(SHOP, MISSING))
table(
    "optional",
    "`requires_any` with `allow_missing`",
    {"none": (None, allow()), "good": (GOOD, PASS), "expired": (EXPIRED, deny("token_expired")), "of-another": (P_GOOD, deny("issuer_unknown"))},
)
requiring("lenient", any_of(SHOP, FAILED))
table(
    "lenient",
    "`requires_any` with `allow_missing_or_failed`",
    {"none": (None, allow()), "good": (GOOD, PASS), "expired": (EXPIRED, STRIPPED), "of-another": (P_GOOD, STRIPPED)},
)
requiring("lenient-forward", any_of(SHOP, FAILED), shop={"forward": True})
table("lenient-forward", "`forward` keeps no token that was not verified", {"good": (GOOD, allow({"x-user-id": "alice"})), "expired": (EXPIRED, STRIPPED)})
requiring("fallback-first", any_of(MISSING, SHOP))
table(
    "fallback-first",
    "the order of `allow_missing` does not matter",
    {"good": (GOOD, PASS), "none": (None, allow()), "expired": (EXPIRED, deny("token_expired"))},
)
requiring("both-fallbacks", any_of(MISSING, FAILED, SHOP))
table("both-fallbacks", "the weaker one counts", {"expired": (EXPIRED, STRIPPED), "good": (GOOD, PASS)})
requiring("nested", any_of(all_of(SHOP, PARTNER), MISSING), shop=IN_HEADER)
for name, headers, expect in [
    ("none", [], allow()),
    ("both", [("x-token", GOOD), B_PARTNER], allow({"x-user-id": "alice", "x-partner": "partner-7"}, ["authorization", "x-token"])),
    ("bad-behind-missing", [("authorization", "Bearer x")], deny("token_malformed")),
    ("bad-before-missing", [("x-token", "x")], deny("token_malformed")),
]:
    T.case(f"nested-{name}", "a bad token beside a missing one is not a missing token", expect, policy="nested", headers=headers)
requiring("nested-lenient", any_of(all_of(SHOP, PARTNER), FAILED), shop=IN_HEADER)
T.case(
    "nested-lenient-half",
    "what a failed alternative has verified does not go upstream",
    allow({}, ["x-token"]),
    policy="nested-lenient",
    headers=[("x-token", GOOD)],
)
requiring("any-in-all", all_of(SHOP, any_of(PARTNER, MISSING)), shop=IN_HEADER)
for name, headers, expect in [
    ("both", [("x-token", GOOD), B_PARTNER], allow({"x-user-id": "alice", "x-partner": "partner-7"}, ["authorization", "x-token"])),
    ("first", [("x-token", GOOD)], allow({"x-user-id": "alice"}, ["x-token"])),
    ("second", [B_PARTNER], deny("token_missing")),
    ("second-bad", [("x-token", GOOD), ("authorization", "Bearer x")], deny("token_malformed")),
]:
    T.case(f"any-in-all-{name}", "`requires_any` within `requires_all`", expect, policy="any-in-all", headers=headers)
requiring("forward-one", any_of(SHOP, PARTNER), shop={**IN_HEADER, "forward": True})
T.case(
    "forward-one-other-place",
    "the token that was not needed does not go upstream, the verified one that says `forward` does",
    allow({"x-user-id": "alice"}, ["authorization"]),
    policy="forward-one",
    headers=[("x-token", GOOD), ("authorization", "Bearer forged")],
)
T.case(
    "forward-one-first-bad",
    "`forward` of a provider whose token failed keeps nothing",
    allow({"x-partner": "partner-7"}, ["authorization", "x-token"]),
    policy="forward-one",
    headers=[("x-token", "forged"), B_PARTNER],
)

# Waiting for keys
T.key_set("shop", jwks(ES.jwk(kid="es-1", alg="ES256")))
REMOTE = {"remote_jwks": remote()}
for name, requires in [
    ("any", any_of(SHOP, PARTNER)),
    ("all", all_of(SHOP, PARTNER)),
    ("optional", any_of(SHOP, MISSING)),
    ("lenient", any_of(SHOP, FAILED)),
    ("nested", any_of(all_of(SHOP, PARTNER), MISSING)),
]:
    requiring(f"remote-{name}", requires, shop=REMOTE | (IN_HEADER if name in ("all", "nested") else {}))
PENDING, DOWN, UP = {"shop": []}, {"shop": [{"failed": True}]}, {"shop": [got("shop")]}
for name, policy_name, keys, headers, expect in [
    ("any-pending", "remote-any", PENDING, [B_ALICE], wait("shop")),
    ("any-pending-other-good", "remote-any", PENDING, [B_PARTNER], P_PASS),
    ("any-down", "remote-any", DOWN, [B_ALICE], deny("keys_unavailable")),
    ("any-down-other-good", "remote-any", DOWN, [B_PARTNER], P_PASS),
    ("any-up", "remote-any", UP, [B_ALICE], PASS),
    ("all-pending-other-bad", "remote-all", PENDING, [("x-token", GOOD), ("authorization", "Bearer x")], deny("token_malformed")),
    ("all-pending-other-missing", "remote-all", PENDING, [("x-token", GOOD)], wait("shop")),
    ("all-up-other-missing", "remote-all", UP, [("x-token", GOOD)], deny("token_missing")),
    ("optional-pending-none", "remote-optional", PENDING, [], allow()),
    ("optional-pending", "remote-optional", PENDING, [B_ALICE], wait("shop")),
    ("optional-down", "remote-optional", DOWN, [B_ALICE], deny("keys_unavailable")),
    ("lenient-pending", "remote-lenient", PENDING, [B_ALICE], wait("shop")),
    ("lenient-down", "remote-lenient", DOWN, [B_ALICE], STRIPPED),
    ("lenient-pending-malformed", "remote-lenient", PENDING, [("authorization", "Bearer x")], STRIPPED),
    ("nested-pending", "remote-nested", PENDING, [("x-token", GOOD)], wait("shop")),
    ("nested-pending-none", "remote-nested", PENDING, [], allow()),
]:
    T.case(
        f"remote-{name}",
        "waiting outweighs a failure under any, and a failure outweighs waiting under all",
        expect,
        policy=policy_name,
        keys=keys,
        headers=headers,
    )

# provider_and_audiences
requiring("audiences", {"provider_and_audiences": {"provider_name": "shop", "audiences": ["till", "kiosk"]}})
for audience, expect in [("till", PASS), ("kiosk", PASS), ("shop", deny("audience_mismatch")), ("x", deny("audience_mismatch"))]:
    T.case(f"audiences-{audience}", "`provider_and_audiences` replaces the provider's", expect, policy="audiences", bearer=token(aud=audience))
T.case("audiences-none", "`provider_and_audiences`", deny("token_missing"), policy="audiences")
requiring("audiences-any", any_of({"provider_and_audiences": {"provider_name": "shop", "audiences": ["till"]}}, SHOP))
for audience, expect in [("till", PASS), ("shop", PASS), ("x", deny("audience_mismatch"))]:
    T.case(f"audiences-any-{audience}", "each alternative has its own", expect, policy="audiences-any", bearer=token(aud=audience))
requiring("audiences-of-any", {"provider_and_audiences": {"provider_name": "shop", "audiences": ["till"]}}, shop={"audiences": None})
for audience, expect in [("till", PASS), ("x", deny("audience_mismatch"))]:
    T.case(f"audiences-of-any-{audience}", "also where the provider takes any", expect, policy="audiences-of-any", bearer=token(aud=audience))

# By name
MAP = {"staff": SHOP, "partners": any_of(SHOP, PARTNER), "nobody-needed": MISSING}
providers = {"partner": PARTNER_PROVIDER, "shop": provider()}
T.policy(
    "by-name",
    policy(
        providers,
        [{"match": {"prefix": "/api/"}, "requirement_name": "staff"}, {"match": {"prefix": "/partners/"}, "requirement_name": "partners"}],
        requirement_map=MAP,
    ),
)
for name, target, text, expect in [
    ("staff", "/api/x", GOOD, PASS),
    ("staff-none", "/api/x", None, deny("token_missing")),
    ("staff-partner", "/api/x", P_GOOD, deny("issuer_unknown")),
    ("partners", "/partners/x", P_GOOD, P_PASS),
    ("partners-none", "/partners/x", None, deny("token_missing")),
]:
    T.case(f"by-name-{name}", "`requirement_name` of `requirement_map`", expect, policy="by-name", target=target, bearer=text)
R = {"policy": "by-name", "target": "/elsewhere"}
T.case("route-named", "a route's requirement, where no rule matches", P_PASS, route={"requirement_name": "partners"}, bearer=P_GOOD, **R)
T.case("route-named-none", "a route's requirement", deny("token_missing"), route={"requirement_name": "partners"}, **R)
T.case(
    "route-named-before-rules",
    "a route's requirement stands in place of the rules",
    P_PASS,
    route={"requirement_name": "partners"},
    bearer=P_GOOD,
    policy="by-name",
    target="/api/x",
)
T.case(
    "route-named-stricter",
    "a route's requirement stands in place of the rules",
    deny("issuer_unknown"),
    route={"requirement_name": "staff"},
    bearer=P_GOOD,
    policy="by-name",
    target="/partners/x",
)
T.case("route-named-optional", "a route's requirement may let a missing token pass", allow(), route={"requirement_name": "nobody-needed"}, **R)
for name in ("unknown", "", "Staff", "__proto__"):
    T.case(
        f"route-unknown-{name or 'empty'}",
        "a name that does not exist opens nothing",
        deny("requirement_unknown"),
        route={"requirement_name": name},
        bearer=GOOD,
        policy="by-name",
    )
T.case("route-disabled", "a route that is switched off is open", allow(), route={"disabled": True}, **R)
T.case("route-disabled-guarded", "a route that is switched off is open, whatever the rules say", allow(), route={"disabled": True}, policy="by-name")
T.case(
    "route-disabled-spoofed",
    "identity headers are removed from open routes too",
    allow({}, ["x-user-id", "x_partner"]),
    route={"disabled": True},
    headers=[("x-user-id", "root"), ("x_partner", "root")],
    **R,
)
T.case("route-absent", "no route: the rules", deny("no_matching_rule"), bearer=GOOD, **R)

# By filter state
T.policy(
    "by-state",
    policy(
        providers,
        [{"match": {"prefix": "/api/"}, "requires": SHOP}, {"match": {"path": "/healthz"}}],
        filter_state_rules={"name": "tier", "requires": {"staff": SHOP, "partner": PARTNER, "anyone": MISSING, "": SHOP}},
    ),
)
for name, state, target, text, expect in [
    ("staff", "staff", "/x", GOOD, PASS),
    ("staff-none", "staff", "/x", None, deny("token_missing")),
    ("partner", "partner", "/x", P_GOOD, P_PASS),
    ("partner-crossed", "partner", "/x", GOOD, deny("issuer_unknown")),
    ("anyone", "anyone", "/x", None, allow()),
    ("unknown", "root", "/x", GOOD, deny("no_matching_rule")),
    ("case", "Staff", "/x", GOOD, deny("no_matching_rule")),
    ("absent", None, "/x", GOOD, deny("no_matching_rule")),
    ("empty", "", "/x", GOOD, PASS),
    ("rule-first", "partner", "/api/x", GOOD, PASS),
    ("open-rule-first", "staff", "/healthz", None, allow()),
]:
    T.case(f"by-state-{name}", "`filter_state_rules`: asked when no rule matches", expect, policy="by-state", target=target, bearer=text, filter_state=state)
