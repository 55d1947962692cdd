"""`openid_discovery` (OpenID Connect Discovery 1.0 §4): the issuer says where its keys are."""

import json

from ..corpus import PASS, Topic, deny, got, jwks, policy, provider, wait
from ..keys import ES
from ..tokens import ISSUER, NOW, sign

T = Topic("discovery", "the OpenID configuration is believed about its own issuer only", "shop")
T.policy("shop", policy({"shop": provider(openid_discovery={"http_uri": {"cluster": "issuer"}})}))
T.policy("internal", policy({"shop": provider(openid_discovery={"http_uri": {"uri": "http://issuer.internal/configuration", "cluster": "issuer"}})}))
T.key_set("keys", jwks(ES.jwk(kid="es-1", alg="ES256")))
GOOD = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": f"{ISSUER}/token"}
NONE = deny("keys_unavailable")


def case(name, why, expect, document, *later, **more):
    T.key_set(name, document)
    T.case(name, why, expect, bearer=sign(), keys={"shop": [{"discovery": name}, *later]}, **more)


case("good", "first the configuration, then the keys", PASS, GOOD, got("keys"))
case("other-host", "the keys may be elsewhere", PASS, {**GOOD, "jwks_uri": "https://keys.example.com/shop"}, got("keys"))
case(
    "internal-http",
    "`http` where the configuration itself came by `http`",
    PASS,
    {**GOOD, "jwks_uri": "http://issuer.internal/keys"},
    got("keys"),
    policy="internal",
)
case("internal-https", "`https` is always good", PASS, GOOD | {"x": 1}, got("keys"), policy="internal")
case("keys-pending", "the configuration is there, the keys are not yet", wait("shop"), {**GOOD, "y": 1})
case("keys-failed", "the configuration is there, the keys are not", NONE, {**GOOD, "z": 1}, {"failed": True})
for name, document in [
    ("issuer-other", {**GOOD, "issuer": "https://evil.example"}),
    ("issuer-slash", {**GOOD, "issuer": ISSUER + "/"}),
    ("issuer-absent", {"jwks_uri": f"{ISSUER}/keys"}),
    ("issuer-list", {**GOOD, "issuer": [ISSUER]}),
]:
    case(name, "OpenID Connect Discovery 1.0 §4.3: exactly the issuer", NONE, document)
for name, document in [
    ("uri-http", {**GOOD, "jwks_uri": "http://auth.example.com/shop/keys"}),
    ("uri-absent", {"issuer": ISSUER}),
    ("uri-relative", {**GOOD, "jwks_uri": "/keys"}),
    ("uri-file", {**GOOD, "jwks_uri": "file:///etc/keys"}),
    ("uri-number", {**GOOD, "jwks_uri": 7}),
    ("uri-user-information", {**GOOD, "jwks_uri": "https://a@auth.example.com/keys"}),
]:
    case(name, "`jwks_uri` is `https`, or of the scheme of `uri`", NONE, document)
for name, document in [("not-json", "<html>"), ("list", [GOOD]), ("doubled-member", json.dumps(GOOD)[:-1] + ', "jwks_uri": "https://evil.example/keys"}')]:
    case(name, "one strict JSON object", NONE, document)
for name, event in [("failed", {"failed": True}), ("status-404", {"status": 404})]:
    T.case(f"fetch-{name}", "no configuration, no keys", NONE, bearer=sign(), keys={"shop": [event]})
T.case("pending", "never fetched: wait", wait("shop"), bearer=sign(), keys={"shop": []})
T.case(
    "outage",
    "the last good set is used through an outage",
    PASS,
    bearer=sign(),
    keys={"shop": [{"discovery": "good", "at": NOW - 400}, got("keys", at=NOW - 400), {"failed": True, "at": NOW - 1}]},
)
