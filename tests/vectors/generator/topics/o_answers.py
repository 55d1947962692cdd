"""What a denied client is told: RFC 9457 problem, RFC 6750 challenge, gRPC status, redirect."""

from ..corpus import PASS, SHOP, Topic, deny, policy, provider, remote
from ..tokens import PAST, token

T = Topic("answers", "the answer to a denied request", "shop")
TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 414: "URI Too Long", 418: "I'm a teapot", 503: "Service Unavailable"}
DETAILS = {
    "token_missing": "a token is required",
    "token_expired": "the token has expired",
    "no_matching_rule": "no rule opens this path",
    "multiple_tokens": "the request holds more than one token",
    "path_ambiguous": "the request path can be read in more than one way",
    "method_ambiguous": "the request method can be read in more than one way",
    "keys_unavailable": "the keys to check the token are not available",
    "token_malformed": "the token is not a JWS in compact form",
    "insufficient_scope": "the token does not grant this request",
    "signature_invalid": "the token's signature is invalid",
}
EXPIRED = token(exp=PAST)
PROBLEM = {"content-type": "application/problem+json", "cache-control": "no-store"}


def problem(code, status=None, scope=None, headers=None, **more):
    """A denial with an RFC 9457 body."""
    expect = deny(code, status=status, scope=scope, headers={**PROBLEM, **(headers or {})})
    status = expect["status"]
    expect["body"] = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": DETAILS[code], "code": code}
    return {**expect, **more}


def with_answer(name, deny_response=None, **more):
    rule = {"match": {"prefix": "/api/"}, "requires": SHOP, **more.pop("rule", {})}
    if deny_response is not None:
        rule["deny_response"] = deny_response
    return T.policy(name, policy(rules=[rule, {"match": {"path": "/healthz"}}], **more))


with_answer("shop")
T.policy("remote", policy({"shop": provider(remote_jwks=remote())}))
for code, request in {
    "token_missing": {},
    "token_expired": {"bearer": EXPIRED},
    "token_malformed": {"bearer": "x"},
    "no_matching_rule": {"target": "/x"},
    "path_ambiguous": {"target": "/api//x"},
    "method_ambiguous": {"method": "get"},
    "multiple_tokens": {"headers": [("authorization", "Bearer a, Bearer b")]},
    "signature_invalid": {"bearer": token()[:-8] + "AAAAAAAA"},
}.items():
    T.case(f"problem-{code}", "RFC 9457 §3, RFC 6750 §3", problem(code), **request)
T.case(
    "problem-keys_unavailable",
    "RFC 9110 §10.2.3: `Retry-After`",
    problem("keys_unavailable"),
    policy="remote",
    bearer=token(),
    keys={"shop": [{"failed": True}]},
)
with_answer("scopes", rule={"scopes": ["a", "b"]})
T.case("problem-insufficient_scope", "RFC 6750 §3.1", problem("insufficient_scope", scope="a b"), policy="scopes", bearer=token())
with_answer("claims", rule={"claims": [{"name": "tier", "exact": "gold"}]})
T.case("problem-insufficient_scope-by-claim", "no `scope` where the rule has none", problem("insufficient_scope"), policy="claims", bearer=token())
T.case("problem-head", "as for GET; the host leaves the body out", problem("token_missing"), method="HEAD")

# deny_response.status
with_answer("hidden", {"status": 404}, rule={"scopes": ["a"]})
T.case(
    "status-404", "`deny_response.status` hides a path; no challenge then", problem("token_missing", 404, headers={"www-authenticate": None}), policy="hidden"
)
T.case(
    "status-404-expired",
    "`deny_response.status`: of each 401",
    problem("token_expired", 404, headers={"www-authenticate": None}),
    policy="hidden",
    bearer=EXPIRED,
)
T.case(
    "status-404-scope",
    "`deny_response.status`: of each 403",
    problem("insufficient_scope", 404, headers={"www-authenticate": None}),
    policy="hidden",
    bearer=token(),
)
T.case(
    "status-404-multiple", "`deny_response.status`: of no other", problem("multiple_tokens"), policy="hidden", headers=[("authorization", "Bearer a, Bearer b")]
)
T.case("status-404-allowed", "the accept beside", PASS, policy="hidden", bearer=token(scope="a"))
T.case("status-404-other-rule", "`deny_response` is of its rule", problem("no_matching_rule"), policy="hidden", target="/x")
with_answer("forbidden", {"status": 403})
T.case("status-403", "a challenge may stand at 403", problem("token_missing", 403), policy="forbidden")
with_answer("unauthorized", {"status": 401}, rule={"scopes": ["a"]})
T.case("status-401", "a challenge stands at 401", problem("insufficient_scope", 401, scope="a"), policy="unauthorized", bearer=token())
with_answer("unchanged", {})
T.case("status-unchanged", "both members are optional", problem("token_missing"), policy="unchanged")

# deny_response.redirect
HTML = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")


def redirected(code, location, status=302):
    return deny(code, status=status, headers={"location": location, "vary": "accept", "cache-control": "no-store", "www-authenticate": None}, body="")


LOGIN = "https://login.example.com/?back={original_url}"
with_answer("redirect", {"redirect": {"location": LOGIN}}, rule={"scopes": ["a"]})
TO = "https://login.example.com/?back=https%3A%2F%2Fapi.example.com%2Fapi%2Forders"
R = {"policy": "redirect"}
T.case("redirect", "`deny_response.redirect`", redirected("token_missing", TO), headers=[HTML], **R)
T.case("redirect-expired", "of each denial whose own status is 401", redirected("token_expired", TO), headers=[HTML], bearer=EXPIRED, **R)
T.case("redirect-head", "GET and HEAD", redirected("token_missing", TO), headers=[HTML], method="HEAD", **R)
T.case(
    "redirect-query", "the target with its query", redirected("token_missing", TO + "%3Fa%3D1%26b%3D%2520"), headers=[HTML], target="/api/orders?a=1&b=%20", **R
)
T.case(
    "redirect-scheme-and-authority",
    "as the client sees them",
    redirected("token_missing", TO.replace("https%3A", "http%3A").replace("example.com%2F", "example.com%3A8080%2F", 1)),
    headers=[HTML],
    scheme="http",
    authority="api.example.com:8080",
    **R,
)
for name, more in [
    ("post", {"method": "POST", "headers": [HTML]}),
    ("json", {"headers": [("accept", "application/json")]}),
    ("any", {"headers": [("accept", "*/*")]}),
    ("no-accept", {}),
    ("options", {"method": "OPTIONS", "headers": [HTML]}),
    ("text-plain", {"headers": [("accept", "text/plain")]}),
]:
    T.case(f"redirect-not-{name}", "only a reader of pages is redirected", problem("token_missing"), **more, **R)
T.case(
    "redirect-not-403",
    "a token that grants too little is not healed by logging in",
    problem("insufficient_scope", scope="a"),
    headers=[HTML],
    bearer=token(),
    **R,
)
T.case("redirect-not-400", "only denials whose own status is 401", problem("multiple_tokens"), headers=[HTML, ("authorization", "Bearer a, Bearer b")], **R)
T.case("redirect-html-only", "`Accept` names `text/html`", redirected("token_missing", TO), headers=[("accept", "text/html")], **R)
T.case(
    "redirect-html-last",
    "`Accept` names `text/html`, anywhere",
    redirected("token_missing", TO),
    headers=[("accept", "application/json, TEXT/HTML;q=0.1")],
    **R,
)
with_answer("redirect-path", {"redirect": {"location": "/login?next={original_path}", "status": 303}})
T.case(
    "redirect-path",
    "`{original_path}`, and a status",
    redirected("token_missing", "/login?next=%2Fapi%2Forders%3Fa%3D1", 303),
    policy="redirect-path",
    headers=[HTML],
    target="/api/orders?a=1",
)
with_answer("redirect-plain", {"redirect": {"location": "https://login.example.com/", "status": 307}, "status": 404})
T.case(
    "redirect-plain",
    "nothing to replace; the redirect goes before `status`",
    redirected("token_missing", "https://login.example.com/", 307),
    policy="redirect-plain",
    headers=[HTML],
)
T.case("redirect-plain-not", "`status` where there is no redirect", problem("token_missing", 404, headers={"www-authenticate": None}), policy="redirect-plain")
PARAM = {"shop": provider(from_params=["access_token"])}
T.policy("redirect-param", policy(PARAM, [{"match": {"prefix": "/api/"}, "requires": SHOP, "deny_response": {"redirect": {"location": LOGIN}}}]))
T.case(
    "redirect-param",
    "tokens in the query are taken away first",
    redirected("token_expired", TO + "%3Fa%3D1"),
    policy="redirect-param",
    headers=[HTML],
    target=f"/api/orders?access_token={EXPIRED}&a=1",
)

# gRPC
GRPC = ("content-type", "application/grpc")


def grpc(code, status, message, scope=None, **headers):
    """RFC 6750 beside the gRPC status; the HTTP status is 200."""
    return deny(
        code, status=200, scope=scope, headers={"content-type": "application/grpc", "grpc-status": str(status), "grpc-message": message, **headers}, body=""
    )


T.case("grpc-missing", "16, UNAUTHENTICATED", grpc("token_missing", 16, "token_missing: a token is required"), headers=[GRPC], method="POST")
T.case("grpc-expired", "16, UNAUTHENTICATED", grpc("token_expired", 16, "token_expired: the token has expired"), headers=[GRPC], bearer=EXPIRED, method="POST")
T.case(
    "grpc-proto",
    "`application/grpc+proto` is gRPC too",
    grpc("token_missing", 16, "token_missing: a token is required"),
    headers=[("content-type", "application/grpc+proto")],
    method="POST",
)
T.case(
    "grpc-no-rule", "7, PERMISSION_DENIED", grpc("no_matching_rule", 7, "no_matching_rule: no rule opens this path"), headers=[GRPC], method="POST", target="/x"
)
T.case(
    "grpc-scope",
    "7, PERMISSION_DENIED",
    grpc("insufficient_scope", 7, "insufficient_scope: the token does not grant this request", scope="a b"),
    policy="scopes",
    headers=[GRPC],
    method="POST",
    bearer=token(),
)
T.case(
    "grpc-multiple",
    "3, INVALID_ARGUMENT",
    grpc("multiple_tokens", 3, "multiple_tokens: the request holds more than one token"),
    headers=[GRPC, ("authorization", "Bearer a, Bearer b")],
    method="POST",
)
T.case(
    "grpc-path",
    "3, INVALID_ARGUMENT",
    grpc("path_ambiguous", 3, "path_ambiguous: the request path can be read in more than one way"),
    headers=[GRPC],
    method="POST",
    target="/api//x",
)
T.case(
    "grpc-too-long",
    "3, INVALID_ARGUMENT",
    grpc("path_too_long", 3, "path_too_long: the request path is too long"),
    headers=[GRPC],
    method="POST",
    target="/" + "b" * 8192,
)
T.case(
    "grpc-keys",
    "14, UNAVAILABLE",
    grpc("keys_unavailable", 14, "keys_unavailable: the keys to check the token are not available"),
    policy="remote",
    headers=[GRPC],
    method="POST",
    bearer=token(),
    keys={"shop": [{"failed": True}]},
)
T.case("grpc-web", "gRPC-Web is not gRPC", problem("token_missing"), headers=[("content-type", "application/grpc-web")], method="POST")
T.case(
    "grpc-before-status",
    "goes before `deny_response.status`",
    grpc("token_missing", 16, "token_missing: a token is required"),
    policy="hidden",
    headers=[GRPC],
    method="POST",
)
T.case(
    "grpc-get-is-no-call",
    "a gRPC call is a POST: of a GET, status 200 would be a stranger's to have",
    redirected("token_missing", TO),
    headers=[GRPC, HTML],
    **R,
)
T.case("grpc-allowed", "the accept beside", PASS, headers=[GRPC], method="POST", bearer=token())

# strip_failure_response
with_answer("strip", strip_failure_response=True, rule={"scopes": ["a"]})
BARE = 'Bearer realm="postern"'
for name, code, more in [
    ("missing", "token_missing", {}),
    ("expired", "token_expired", {"bearer": EXPIRED}),
    ("scope", "insufficient_scope", {"bearer": token()}),
    ("multiple", "multiple_tokens", {"headers": [("authorization", "Bearer a, Bearer b")]}),
]:
    T.case(f"strip-{name}", "`strip_failure_response`: no reason, no body", deny(code, headers={"www-authenticate": BARE}, body=""), policy="strip", **more)
T.case("strip-no-rule", "`strip_failure_response`: no challenge where there was none", deny("no_matching_rule", body=""), policy="strip", target="/x")
T.policy("strip-remote", policy({"shop": provider(remote_jwks=remote())}, strip_failure_response=True))
T.case(
    "strip-keys",
    "`strip_failure_response`: `Retry-After` stays",
    deny("keys_unavailable", body=""),
    policy="strip-remote",
    bearer=token(),
    keys={"shop": [{"failed": True}]},
)
T.case("strip-allowed", "the accept beside", PASS, policy="strip", bearer=token(scope="a"))
T.policy("strip-off", policy(strip_failure_response=False))
T.case("strip-off", "the default", problem("token_missing"), policy="strip-off")
