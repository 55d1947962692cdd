"""Scopes and conditions on claims, of a rule."""

from ..corpus import PASS, SHOP, Topic, allow, deny, local, policy, provider
from ..keys import ED
from ..tokens import ABSENT, OTHER_ISSUER, PAST, claims, header, sign, token

T = Topic("scopes_and_claims", "what a verified token must grant", "scopes")
ALICE = {"x-user-id": "alice"}


def guarded(name, requires=SHOP, providers=None, **conditions):
    return T.policy(name, policy(providers, [{"match": {"prefix": "/api/"}, "requires": requires, **conditions}]))


guarded("scopes", scopes=["orders:read", "orders:write"])
guarded("one-scope", scopes=["orders:read"])
LACKS = deny("insufficient_scope", scope="orders:read orders:write")
SCOPES = "`scopes`: the token has all of them, in `scope` or `scp`"
for name, more in [
    ("scope-text", {"scope": "orders:read orders:write"}),
    ("scope-other-order", {"scope": "orders:write x orders:read"}),
    ("scope-list", {"scope": ["orders:read", "orders:write"]}),
    ("scp-text", {"scp": "orders:read orders:write"}),
    ("scp-list", {"scp": ["orders:write", "orders:read"]}),
    ("union", {"scope": "orders:read", "scp": ["orders:write"]}),
    ("two-spaces", {"scope": "orders:read  orders:write "}),
]:
    T.case(f"scopes-{name}", SCOPES, PASS, bearer=token(**more))
for name, more in [
    ("none", {}),
    ("one", {"scope": "orders:read"}),
    ("empty", {"scope": ""}),
    ("empty-list", {"scope": []}),
    ("case", {"scope": "Orders:Read orders:write"}),
    ("part", {"scope": "orders:rea orders:write"}),
    ("longer", {"scope": "orders:readx orders:write"}),
    ("commas", {"scope": "orders:read,orders:write"}),
    ("tab", {"scope": "orders:read\torders:write"}),
    ("no-break-space", {"scope": "orders:read\u00a0orders:write"}),
    ("list-with-words", {"scope": ["orders:read orders:write"]}),
    ("number", {"scope": 7}),
    ("object", {"scope": {"orders:read": True, "orders:write": True}}),
    ("null", {"scope": None}),
    ("true", {"scope": True}),
    ("wildcard", {"scope": "*"}),
    ("prefix", {"scope": "orders"}),
    ("other-claim", {"scopes": "orders:read orders:write"}),
    ("nested", {"realm": {"scope": "orders:read orders:write"}}),
]:
    T.case(f"scopes-lacking-{name}", SCOPES, LACKS, bearer=token(**more))
T.case("one-scope", SCOPES, PASS, policy="one-scope", bearer=token(scope="orders:read"))
T.case(
    "one-scope-lacking",
    "RFC 6750 §3.1: `scope` of the challenge",
    deny("insufficient_scope", scope="orders:read"),
    policy="one-scope",
    bearer=token(scope="orders:write"),
)
T.case("scopes-no-token", "a missing token is missing", deny("token_missing"))
T.case("scopes-expired", "a bad token is bad, whatever it grants", deny("token_expired"), bearer=token(exp=PAST, scope="orders:read orders:write"))
T.case("scopes-forged", "a forged token grants nothing", deny("signature_invalid"), bearer=token(scope="orders:read orders:write")[:-8] + "AAAAAAAA")

# Several tokens
OTHER = {"issuer": OTHER_ISSUER, "local_jwks": local(ED.jwk(kid="ed", alg="EdDSA"))}


def pair(kind):
    return {kind: {"requirements": [SHOP, {"provider_name": "partner"}]}}


BOTH = {"shop": provider(from_headers=[{"name": "x-token"}]), "partner": OTHER}
guarded("any", pair("requires_any"), BOTH, scopes=["read"])
guarded("all", pair("requires_all"), BOTH, scopes=["read"])


def partner(**more):
    return "Bearer " + sign(header(alg="EdDSA", kid="ed"), claims(iss=OTHER_ISSUER, **more), key=ED)


FIRST, SECOND = [("x-token", token(scope="read"))], [("authorization", partner(scope="read"))]
POOR_FIRST, POOR_SECOND = [("x-token", token())], [("authorization", partner())]
POOR = deny("insufficient_scope", scope="read")
for name, policy_name, headers, expect in [
    ("any-first", "any", FIRST, allow(ALICE, ["x-token"])),
    ("any-second", "any", SECOND, allow({}, ["authorization"])),
    ("any-first-poor", "any", POOR_FIRST, POOR),
    ("any-second-poor", "any", POOR_SECOND, POOR),
    ("any-first-poor-second-good", "any", POOR_FIRST + SECOND, allow({}, ["authorization", "x-token"])),
    ("any-both-poor", "any", POOR_FIRST + POOR_SECOND, POOR),
    ("all-good", "all", FIRST + SECOND, allow(ALICE, ["authorization", "x-token"])),
    ("all-first-poor", "all", POOR_FIRST + SECOND, POOR),
    ("all-second-poor", "all", FIRST + POOR_SECOND, POOR),
]:
    T.case(
        f"tokens-{name}",
        "each token that the requirement verifies; an alternative that lacks them fails, and the next is tried",
        expect,
        policy=policy_name,
        headers=headers,
    )

# Conditions
NOT = deny("insufficient_scope")


def condition(name, why, condition, yes, no):
    guarded(name, claims=[{"name": "c", **condition}])
    for expect, mark, values in ((PASS, "", yes), (NOT, "not-", no)):
        for label, value in values.items():
            T.case(f"{name}-{mark}{label}", why, expect, policy=name, bearer=token(c=value))


condition(
    "exact-text",
    "`exact`: of the same kind and the same",
    {"exact": "gold"},
    {"same": "gold", "in-list": ["x", "gold"]},
    {
        "case": "Gold",
        "longer": "gold2",
        "word": "gold x",
        "missing": ABSENT,
        "null": None,
        "object": {"gold": True},
        "empty-list": [],
        "nested-list": [["gold"]],
        "empty": "",
    },
)
condition(
    "exact-number",
    "`exact`: of the same kind and the same",
    {"exact": 7},
    {"same": 7, "in-list": [1, 7]},
    {"text": "7", "other": 8, "true": True, "missing": ABSENT},
)
condition("exact-zero", "`exact`: of the same kind and the same", {"exact": 0}, {"same": 0}, {"false": False, "empty": "", "null": None})
condition(
    "exact-true",
    "`exact`: of the same kind and the same",
    {"exact": True},
    {"same": True, "in-list": [False, True]},
    {"text": "true", "one": 1, "false": False, "missing": ABSENT},
)
condition("exact-false", "`exact: false` is not `missing`", {"exact": False}, {"same": False}, {"missing": ABSENT, "null": None, "zero": 0, "true": True})
condition("exact-empty", "`exact`: the empty text", {"exact": ""}, {"same": ""}, {"missing": ABSENT, "null": None, "list": []})
condition(
    "prefix",
    "`prefix`",
    {"prefix": "shop-"},
    {"longer": "shop-1", "same": "shop-", "in-list": ["x", "shop-1"]},
    {"other": "xshop-", "case": "SHOP-1", "number": 7, "missing": ABSENT, "shorter": "shop", "object": {"shop-": 1}},
)
condition(
    "one-of",
    "`one_of`",
    {"one_of": ["gold", 7, True]},
    {"text": "gold", "number": 7, "true": True, "in-list": ["x", 7]},
    {"other": "silver", "text-of-number": "7", "one": 1, "missing": ABSENT, "empty-list": [], "null": None},
)
condition(
    "contains-text",
    "`contains`: an element, or a word",
    {"contains": "admin"},
    {"element": ["user", "admin"], "word": "user admin", "alone": "admin"},
    {
        "part": "administrator",
        "part-of-element": ["administrator"],
        "comma": "user,admin",
        "case": "Admin",
        "member": {"admin": True},
        "missing": ABSENT,
        "words-in-element": ["user admin"],
        "nested": [["admin"]],
        "hyphen": "admin-x",
    },
)
condition(
    "contains-number",
    "`contains`: an element of the same kind",
    {"contains": 7},
    {"element": [1, 7]},
    {"text-element": ["7"], "word": "1 7", "number": 7, "missing": ABSENT},
)
for name, yes, no in [
    ("greater_than", {"above": 8, "fraction": 7.5}, {"equal": 7, "below": 6}),
    ("at_least", {"above": 8, "equal": 7}, {"below": 6, "fraction": 6.5}),
    ("less_than", {"below": 6, "negative": -8, "fraction": 6.5}, {"equal": 7, "above": 8}),
    ("at_most", {"below": 6, "equal": 7}, {"above": 8, "fraction": 7.5}),
]:
    condition(
        name.replace("_", "-"),
        f"`{name}`: the claim is a number",
        {name: 7},
        yes,
        {**no, "text": "7", "list": [7], "missing": ABSENT, "null": None, "true": True},
    )
condition("present", "`present`", {"present": True}, {"text": "x", "empty": "", "false": False, "zero": 0, "list": []}, {"missing": ABSENT})
condition("absent", "`present: false`", {"present": False}, {"missing": ABSENT}, {"text": "x", "empty": "", "false": False})
guarded("nested", claims=[{"name": "realm.access.roles", "contains": "admin"}])
guarded("by-path", claims=[{"path": ["https://shop.example/roles"], "contains": "admin"}])
guarded("by-deep-path", claims=[{"path": ["https://shop.example/app", "tier"], "exact": "gold"}])
for name, policy_name, more, expect in [
    ("nested", "nested", {"realm": {"access": {"roles": ["admin"]}}}, PASS),
    ("nested-other", "nested", {"realm": {"access": {"roles": ["user"]}}}, NOT),
    ("nested-dotted-name", "nested", {"realm.access.roles": ["admin"]}, NOT),
    ("nested-through-list", "nested", {"realm": [{"access": {"roles": ["admin"]}}]}, NOT),
    ("nested-missing", "nested", {"realm": {}}, NOT),
    ("path", "by-path", {"https://shop.example/roles": ["admin"]}, PASS),
    ("path-other", "by-path", {"https://shop.example/roles": ["user"]}, NOT),
    ("path-nested", "by-path", {"https://shop": {"example/roles": ["admin"]}}, NOT),
    ("deep-path", "by-deep-path", {"https://shop.example/app": {"tier": "gold"}}, PASS),
    ("deep-path-other", "by-deep-path", {"https://shop.example/app": {"tier": "silver"}}, NOT),
]:
    T.case(f"reach-{name}", "`name` is a dotted path, `path` a list of names", expect, policy=policy_name, bearer=token(**more))
guarded("two-conditions", claims=[{"name": "tier", "exact": "gold"}, {"name": "level", "at_least": 3}])
for name, more, expect in [
    ("both", {"tier": "gold", "level": 3}, PASS),
    ("first", {"tier": "gold", "level": 2}, NOT),
    ("second", {"tier": "x", "level": 3}, NOT),
    ("neither", {}, NOT),
]:
    T.case(f"two-conditions-{name}", "`claims`: all conditions hold", expect, policy="two-conditions", bearer=token(**more))
guarded("both-kinds", scopes=["read"], claims=[{"name": "tier", "exact": "gold"}])
BOTH_LACK = deny("insufficient_scope", scope="read")
for name, more, expect in [("both", {"scope": "read", "tier": "gold"}, PASS), ("scope", {"scope": "read"}, BOTH_LACK), ("claim", {"tier": "gold"}, BOTH_LACK)]:
    T.case(
        f"both-kinds-{name}", "`scopes` and `claims` both hold; `scope` is named where the rule has `scopes`", expect, policy="both-kinds", bearer=token(**more)
    )
guarded("registered", claims=[{"name": "sub", "one_of": ["alice", "bob"]}])
T.case("registered-claim", "a registered claim is one too", PASS, policy="registered", bearer=token())
T.case("registered-claim-other", "a registered claim is one too", NOT, policy="registered", bearer=token(sub="carol"))
T.policy("next-rule", policy(rules=[{"match": {"prefix": "/api/"}, "requires": SHOP, "scopes": ["read"]}, {"match": {"prefix": "/"}}]))
T.case("next-rule", "a rule that matched decides; the next one is not asked", deny("insufficient_scope", scope="read"), policy="next-rule", bearer=token())
