"""`report_only`: the verdict is told upstream, and never denies."""

from ..corpus import SHOP, Topic, allow, deny, policy, provider, remote, wait
from ..tokens import PAST, token

T = Topic("report_only", "a rule that never denies, and says what it would have done", "shop")
RULE = {"match": {"prefix": "/api/"}, "requires": SHOP, "report_only": True}
T.policy("shop", policy(rules=[{"match": {"path": "/healthz"}}, RULE, {"match": {"prefix": "/strict/"}, "requires": SHOP}]))
T.policy("named", policy(rules=[{**RULE, "name": "orders", "report_only_header": "X-Gate"}]))
T.policy("forward", policy({"shop": provider(forward=True)}, [RULE]))
T.policy("scopes", policy(rules=[{**RULE, "scopes": ["a"]}]))
T.policy("remote", policy({"shop": provider(remote_jwks=remote())}, [RULE]))
T.policy("places", policy({"shop": provider(from_cookies=["session"], from_params=["access_token"])}, [RULE]))
T.policy("off", policy(rules=[{**RULE, "report_only": False}]))
REPORT = "x-postern-report-only"
GOOD, FORGED = token(), token()[:-8] + "AAAAAAAA"


def denied(code, *removed, header=REPORT, rule="1"):
    return allow({header: f"deny; code={code}; rule={rule}"}, removed)


def allowed(*removed, header=REPORT, rule="1", user="alice"):
    return allow({header: f"allow; rule={rule}", "x-user-id": user}, removed)


T.case("allowed", "the token stays where it is, and the identity is told", allowed(), bearer=GOOD)
T.case("missing", "what would have been denied goes upstream", denied("token_missing"))
for code, text in [
    ("token_expired", token(exp=PAST)),
    ("signature_invalid", FORGED),
    ("token_malformed", "x"),
    ("issuer_unknown", token(iss="https://evil.example")),
]:
    T.case(f"denied-{code}", "what would have been denied goes upstream, its token too, and no identity", denied(code), bearer=text)
T.case("denied-multiple", "what would have been denied goes upstream", denied("multiple_tokens"), headers=[("authorization", "Bearer a, Bearer b")])
T.case(
    "spoofed",
    "identity headers of the client are removed",
    denied("token_missing", "x-user-id", "x_user_id"),
    headers=[("x-user-id", "root"), ("x_user_id", "root")],
)
T.case(
    "spoofed-allowed", "identity headers of the client are removed, and set where verified", allowed("x-user-id"), bearer=GOOD, headers=[("x-user-id", "root")]
)
T.case(
    "report-spoofed",
    "the report header is an identity header",
    denied("token_missing", REPORT, "x_postern_report_only"),
    headers=[(REPORT, "allow; rule=1"), ("x_postern_report_only", "allow; rule=1")],
)
T.case("report-spoofed-other-rule", "it is removed from every request", allow({}, [REPORT]), target="/healthz", headers=[(REPORT, "allow; rule=1")])
T.case("other-rule", "only its own rule", deny("token_missing"), target="/strict/x")
T.case("no-rule", "what no rule matches is denied", deny("no_matching_rule"), target="/x")
T.case("ambiguous-path", "judged before any rule", deny("path_ambiguous"), target="/api//x")
T.case("named", "`name` and `report_only_header`", allowed(header="x-gate", rule="orders"), policy="named", bearer=GOOD)
T.case("named-denied", "`name` and `report_only_header`", denied("token_missing", header="x-gate", rule="orders"), policy="named")
T.case(
    "named-spoofed",
    "`report_only_header` is an identity header",
    denied("token_missing", "x-gate", header="x-gate", rule="orders"),
    policy="named",
    headers=[("X-Gate", "allow")],
)
T.case(
    "named-default-header",
    "the default name is nothing special then",
    denied("token_missing", header="x-gate", rule="orders"),
    policy="named",
    headers=[(REPORT, "x")],
)
T.case("forward", "`forward` changes nothing", allowed(rule="0"), policy="forward", bearer=GOOD)
T.case("scopes", "the rule's other conditions", allowed(rule="0"), policy="scopes", bearer=token(scope="a"))
T.case(
    "keys-unavailable",
    "also what is not the client's fault",
    denied("keys_unavailable", rule="0"),
    policy="remote",
    bearer=GOOD,
    keys={"shop": [{"failed": True}]},
)
T.case("pending", "verdict as otherwise", wait("shop"), policy="remote", bearer=GOOD, keys={"shop": []})
T.case("cookie-stays", "the token stays where it is", allowed(rule="0"), policy="places", headers=[("cookie", f"a=1; session={GOOD}")], token=GOOD)
T.case("param-stays", "the token stays where it is", allowed(rule="0"), policy="places", target=f"/api/orders?access_token={GOOD}", token=GOOD)
T.case("off", "`report_only: false` is the default", deny("token_missing"), policy="off")

# A rule on trial takes nothing from the rules behind it.
ENFORCED = [
    {"match": {"prefix": "/admin"}, "requires": {"provider_name": "shop"}, "scopes": ["admin"], "report_only": True, "name": "trial"},
    {"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}},
]
T.policy("before-another", policy(rules=ENFORCED))
T.case("before-another-denied", "the next rule decides", deny("token_missing"), policy="before-another", target="/admin")
T.case("before-another-allowed", "the next rule decides, and takes the token", allow({"x-user-id": "alice", REPORT: "deny; code=insufficient_scope; rule=trial"}, ["authorization"]), policy="before-another", target="/admin", bearer=token())
T.case("before-another-content", "the trial would let through, too", allow({"x-user-id": "alice", REPORT: "allow; rule=trial"}, ["authorization"]), policy="before-another", target="/admin", bearer=token(scope="admin"))
T.policy("waiting-before-another", policy({"shop": provider(remote_jwks=remote())}, [{**ENFORCED[0]}, {"match": {"prefix": "/"}}]))
T.case("waiting-before-another", "a trial holds nobody up for whom another rule decides", allow({REPORT: "deny; code=keys_unavailable; rule=trial"}), policy="waiting-before-another", target="/admin", bearer=token(), keys={"shop": []})
T.case("beside-another", "a request that it is not for", allow({"x-user-id": "alice"}, ["authorization"]), policy="before-another", target="/orders", bearer=token())
