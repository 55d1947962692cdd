"""`bypass_cors_preflight` (Fetch §3.3.2: the browser asks before it sends a token)."""

from ..corpus import PASS, Topic, allow, deny, policy
from ..tokens import token

T = Topic("cors", "a preflight passes where the policy says so", "bypass")
T.policy("bypass", policy(bypass_cors_preflight=True))
T.policy("default", policy())
T.policy("off", policy(bypass_cors_preflight=False))
ORIGIN, METHOD = ("origin", "https://shop.example"), ("access-control-request-method", "GET")
MISSING = deny("token_missing")


def case(name, why, expect, *headers, method="OPTIONS", **more):
    T.case(name, why, expect, headers=headers, method=method, **more)


case("preflight", "no token, and none is needed", allow(), ORIGIN, METHOD)
case("preflight-headers", "whatever else it asks for", allow(), ORIGIN, METHOD, ("access-control-request-headers", "authorization"))
case("preflight-no-rule", "whatever the rules say", allow(), ORIGIN, METHOD, target="/elsewhere")
case("preflight-null-origin", "an opaque origin is one", allow(), ("origin", "null"), METHOD)
case("preflight-name-case", "field names ignore case", allow(), ("Origin", "https://shop.example"), ("Access-Control-Request-Method", "GET"))
case("preflight-spoofed", "identity headers are removed", allow({}, ["x-user-id", "x_user_id"]), ORIGIN, METHOD, ("x-user-id", "root"), ("X_User_Id", "root"))
case("preflight-ambiguous-path", "an ambiguous path is refused still", deny("path_ambiguous"), ORIGIN, METHOD, target="/api/../admin")
case("not-without-origin", "not a preflight", MISSING, METHOD)
case("not-without-method", "not a preflight", MISSING, ORIGIN)
case("not-empty-origin", "not a preflight", MISSING, ("origin", ""), METHOD)
case("not-empty-method", "not a preflight", MISSING, ORIGIN, ("access-control-request-method", ""))
case("not-neither", "OPTIONS alone is no preflight", MISSING)
case("not-respelled", "field names are read exactly", MISSING, ORIGIN, ("access_control_request_method", "GET"))
for method in ("GET", "POST", "HEAD"):
    case(f"not-{method}", "the request itself is no preflight", MISSING, ORIGIN, METHOD, method=method)
case("not-lower-case", "an ambiguous method is refused still", deny("method_ambiguous"), ORIGIN, METHOD, method="options")
case("default", "off unless it is said", MISSING, ORIGIN, METHOD, policy="default")
case("off", "off where it is said", MISSING, ORIGIN, METHOD, policy="off")
T.case("request-with-token", "the request behind it", PASS, bearer=token(), headers=[ORIGIN])
