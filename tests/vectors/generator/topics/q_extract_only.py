"""`extract_only_without_validation`: claims for a service that verifies by itself."""

from ..corpus import Topic, allow, deny, local, policy, provider
from ..keys import ED, ES_OTHER
from ..tokens import ABSENT, OTHER_ISSUER, claims, header, part, sign, token, with_signature

T = Topic("extract_only", "claims are told, and told to be unverified", "shop")
EXTRACT = {"extract_only_without_validation": {}}
RULES = [{"match": {"path": "/healthz"}}, {"match": {"prefix": "/api/"}, "requires": EXTRACT}]
OTHER = {
    "issuer": OTHER_ISSUER,
    "local_jwks": local(ED.jwk(kid="ed", alg="EdDSA")),
    "claim_to_headers": [{"header_name": "x-partner", "claim_name": "sub"}],
    "from_headers": [{"name": "x-token"}],
}
T.policy("shop", policy(rules=RULES))
T.policy("forward", policy({"shop": provider(forward=True)}, RULES))
T.policy(
    "named-header", policy(rules=[{"match": {"prefix": "/api/"}, "requires": {"extract_only_without_validation": {"verification_status_header": "X-Checked"}}}])
)
T.policy("by-name", policy(rules=[{"match": {"prefix": "/api/"}, "requirement_name": "look"}], requirement_map={"look": EXTRACT}))
T.policy("payload", policy({"shop": provider(forward_payload_header="x-payload", payload_in_metadata="claims")}, RULES))
T.policy("two", policy({"partner": OTHER, "shop": provider()}, RULES))
STATUS = "x-jwt-signature-verified"
GOOD = token()
FOUND = allow({"x-user-id": "alice", STATUS: "false"}, ["authorization"])
T.case("good", "`false` is set, whatever the signature is", FOUND, bearer=GOOD)
for name, text in [
    ("forged", GOOD[:-8] + "AAAAAAAA"),
    ("other-key", sign(key=ES_OTHER)),
    ("expired", token(exp=1)),
    ("not-yet", token(nbf=4_000_000_000)),
    ("other-audience", token(aud="x")),
    ("no-expiry", token(exp=ABSENT)),
    ("unknown-kid", sign(header(kid="x"))),
    ("empty-signature", with_signature(header(), claims(), b"")),
]:
    T.case(f"unverified-{name}", "neither signature nor claims are judged", FOUND, bearer=text)
for name, text in [
    ("malformed", "x"),
    ("other-issuer", token(iss="https://evil.example")),
    ("no-issuer", token(iss=ABSENT)),
    ("claims-list", sign(None, "[]")),
    ("duplicate", sign('{"alg":"ES256","alg":"none"}')),
    ("none", with_signature(header(alg="none"), claims(), b"")),
]:
    T.case(f"nothing-{name}", "no token of right structure and of the provider's issuer: nothing is set", allow({}, ["authorization"]), bearer=text)
T.case("none", "never denied for the token", allow())
T.case("basic", "Basic is no token, and stays", allow(), headers=[("authorization", "Basic YTpi")])
T.case("spoofed", "identity headers of the client are removed", allow({}, ["x-user-id"]), headers=[("x-user-id", "root")])
T.case(
    "spoofed-found",
    "identity headers of the client are removed",
    allow({"x-user-id": "alice", STATUS: "false"}, ["authorization", "x-user-id"]),
    bearer=GOOD,
    headers=[("x-user-id", "root")],
)
T.case(
    "status-spoofed",
    "the status header is an identity header",
    allow({}, [STATUS, "x_jwt_signature_verified"]),
    headers=[(STATUS, "true"), ("x_jwt_signature_verified", "true")],
)
T.case(
    "status-spoofed-found",
    "the status header is an identity header",
    allow({"x-user-id": "alice", STATUS: "false"}, ["authorization", STATUS]),
    bearer=GOOD,
    headers=[(STATUS, "true")],
)
T.case("status-spoofed-other-rule", "it is removed from every request", allow({}, [STATUS]), target="/healthz", headers=[(STATUS, "true")])
T.case("forward", "`forward` of the provider", allow({"x-user-id": "alice", STATUS: "false"}), policy="forward", bearer=GOOD)
T.case(
    "named-header", "`verification_status_header`", allow({"x-user-id": "alice", "x-checked": "false"}, ["authorization"]), policy="named-header", bearer=GOOD
)
T.case("named-header-spoofed", "`verification_status_header`", allow({}, ["x-checked"]), policy="named-header", headers=[("x-checked", "true")])
T.case("by-name", "in `requirement_map`", FOUND, policy="by-name", bearer=GOOD)
T.case(
    "payload",
    "payload header; no metadata, which nothing marks as unverified",
    allow({"x-user-id": "alice", "x-payload": part(claims()), STATUS: "false"}, ["authorization"], metadata={}),
    policy="payload",
    bearer=GOOD,
)
T.case(
    "two-first",
    "the first token that stands where its provider looks",
    allow({"x-partner": "p", STATUS: "false"}, ["x-token"]),
    policy="two",
    headers=[("x-token", token(iss=OTHER_ISSUER, sub="p"))],
)
T.case("two-second", "the first token that stands where its provider looks", FOUND, policy="two", bearer=GOOD)
T.case("two-crossed", "a token in the place of another provider", allow({}, ["x-token"]), policy="two", headers=[("x-token", GOOD)])
T.case("several", "two tokens in one place are none", allow({}, ["authorization"]), headers=[("authorization", f"Bearer {GOOD}, Bearer {GOOD}")])
T.case("ambiguous-path", "denied for other reasons still", deny("path_ambiguous"), target="/api//x", bearer=GOOD)
T.case("no-rule", "denied for other reasons still", deny("no_matching_rule"), target="/x", bearer=GOOD)
