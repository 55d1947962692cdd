"""One provider for many domains: `{domain}` in the issuer."""

from ..corpus import SHOP, Topic, allow, deny, got, jwks, policy, provider, remote, wait
from ..keys import ES, ES_OTHER
from ..tokens import ABSENT, PAST, claims, header, sign

T = Topic("domains", "the request names the domain, and the token must be of the same", "host")
TEMPLATE = "https://auth.example.com/{domain}"


def tenants(name, rules=None, audiences=("{domain}",), **domains):
    uri = "https://auth.example.com/{domain}/.well-known/jwks.json"
    shop = provider(issuer=TEMPLATE, audiences=list(audiences) if audiences else None, remote_jwks=remote(uri), domains=domains)
    return T.policy(name, policy({"shop": shop}, rules or [{"match": {"path": "/healthz"}}, {"match": {"prefix": "/"}, "requires": SHOP}]))


tenants("host", from_host="{domain}.api.example.com")
tenants("host-names", from_host="{domain}.api.example.com", names="acme|globex")
tenants("segment", from_path_segment=0)
tenants("second-segment", from_path_segment=1)
tenants("header", from_header="x-domain")
tenants("fixed-audience", from_host="{domain}.api.example.com", audiences=["shop"])
tenants("optional", [{"match": {"prefix": "/"}, "requires": {"allow_missing": {}}}], from_host="{domain}.api.example.com")
T.key_set("acme", jwks(ES.jwk(kid="es-1", alg="ES256")))
T.key_set("globex", jwks(ES_OTHER.jwk(kid="es-1", alg="ES256")))
KEYS = {"shop": [got("acme", domain="acme"), got("globex", domain="globex")]}
KEY_OF = {"acme": ES, "globex": ES_OTHER}


def of(domain, key=None, **changes):
    return sign(header(), claims(**({"iss": f"https://auth.example.com/{domain}", "aud": domain} | changes)), key=key or KEY_OF[domain])


def case(name, why, expect, bearer=None, keys=KEYS, **more):
    T.case(name, why, expect, bearer=bearer, keys=keys, **more)


PASS = allow({"x-user-id": "alice"}, ["authorization"])
UNKNOWN, FOREIGN = deny("domain_unknown"), deny("issuer_unknown")


def at(domain):
    return {"authority": f"{domain}.api.example.com"}


case("host", "`from_host`", PASS, of("acme"), **at("acme"))
case("host-other", "`from_host`: each domain its own keys", PASS, of("globex"), **at("globex"))
case("host-crossed", "a token of one domain at another", FOREIGN, of("acme"), **at("globex"))
case("host-crossed-back", "a token of one domain at another", FOREIGN, of("globex"), **at("acme"))
case("host-forged-by-other-domain", "the keys of one domain vouch for no other", deny("signature_invalid"), of("acme", ES_OTHER), **at("acme"))
case("host-other-audience", "`{domain}` in `audiences` is this request's", deny("audience_mismatch"), of("acme", aud="globex"), **at("acme"))
case("host-template-as-issuer", "the template itself is nobody", FOREIGN, of("acme", iss=TEMPLATE), **at("acme"))
case("host-template-as-audience", "the template itself is nobody", deny("audience_mismatch"), of("acme", aud="{domain}"), **at("acme"))
case("host-without-token", "a known domain, and no token", deny("token_missing"), **at("acme"))
case("host-port", "a port is no part of the host's name", PASS, of("acme"), authority="acme.api.example.com:8443")
case("host-upper-case", "RFC 9110 §4.2.3: a host ignores case", PASS, of("acme"), authority="ACME.API.Example.com")
for name, authority in [
    ("bare", "api.example.com"),
    ("empty-label", ".api.example.com"),
    ("two-labels", "a.acme.api.example.com"),
    ("suffix", "acme.api.example.com.evil.example"),
    ("other", "acme.example.com"),
    ("prefix", "acme.api.example.co"),
    ("underscore", "ac_me.api.example.com"),
    ("long", "a" * 64 + ".api.example.com"),
    ("empty", ""),
    ("address", "192.0.2.1"),
    ("user-information", "x@acme.api.example.com"),
    ("joined", "acmeapi.example.com"),
    ("percent", "ac%6de.api.example.com"),
]:
    case(f"host-unknown-{name}", "a request that names no allowed domain", UNKNOWN, of("acme"), authority=authority)
case("host-unknown-without-token", "the domain is judged before the token", UNKNOWN, authority="api.example.com")
case("host-unknown-open-path", "an open path needs no domain", allow(), authority="api.example.com", target="/healthz")
case("host-unknown-optional", "`allow_missing` excuses a token, not a domain", UNKNOWN, policy="optional", authority="api.example.com", bearer=of("acme"))
case("host-unknown-optional-without-token", "`allow_missing` excuses a token, not a domain", UNKNOWN, policy="optional", authority="api.example.com")
case("host-optional", "`allow_missing` at a known domain", allow(), policy="optional", **at("acme"))
case("host-names", "`names`", PASS, of("acme"), policy="host-names", **at("acme"))
for name in ("other", "acme2", "xacme", "acme-globex"):
    case(f"host-names-not-{name}", "`names` matches the whole name", UNKNOWN, of("acme"), policy="host-names", **at(name))
case(
    "host-pending",
    "the keys of this domain were never fetched",
    wait("shop", "acme"),
    of("acme"),
    keys={"shop": [got("globex", domain="globex")]},
    **at("acme"),
)
case(
    "host-down",
    "the keys of this domain are not there",
    deny("keys_unavailable"),
    of("acme"),
    keys={"shop": [{"failed": True, "domain": "acme"}, got("globex", domain="globex")]},
    **at("acme"),
)
case(
    "host-other-down",
    "another domain's outage is its own",
    PASS,
    of("acme"),
    keys={"shop": [got("acme", domain="acme"), {"failed": True, "domain": "globex"}]},
    **at("acme"),
)
case("host-crossed-pending", "the issuer is judged before keys", FOREIGN, of("globex"), keys={"shop": []}, **at("acme"))
case("fixed-audience", "an audience without `{domain}` is one for all", PASS, of("acme", aud="shop"), policy="fixed-audience", **at("acme"))
case("fixed-audience-other", "an audience without `{domain}` is one for all", deny("audience_mismatch"), of("acme"), policy="fixed-audience", **at("acme"))
case("segment", "`from_path_segment`", PASS, of("acme"), policy="segment", target="/acme/orders?x=/globex")
case("segment-alone", "`from_path_segment`", PASS, of("acme"), policy="segment", target="/acme")
case("segment-encoded", "the path is decoded once", PASS, of("acme"), policy="segment", target="/ac%6De/orders")
case("segment-crossed", "a token of one domain at another", FOREIGN, of("acme"), policy="segment", target="/globex/orders")
case("segment-case", "a path does not ignore case", UNKNOWN, of("acme"), policy="segment", target="/ACME/orders")
case("segment-root", "no segment, no domain", UNKNOWN, of("acme"), policy="segment", target="/")
case("segment-dots", "an ambiguous path names no domain", deny("path_ambiguous"), of("acme"), policy="segment", target="/globex/../acme/x")
case("segment-second", "`from_path_segment` counts from 0", PASS, of("acme"), policy="second-segment", target="/v1/acme/orders")
case("segment-second-missing", "too few segments", UNKNOWN, of("acme"), policy="second-segment", target="/acme")
case("segment-host-does-not-count", "the host says nothing here", FOREIGN, of("acme"), policy="segment", target="/globex/x", **at("acme"))
H = {"policy": "header"}
case("header", "`from_header`", PASS, of("acme"), headers=[("x-domain", "acme")], **H)
case("header-name-case", "a field name ignores case", PASS, of("acme"), headers=[("X-Domain", "acme")], **H)
case("header-crossed", "a token of one domain at another", FOREIGN, of("acme"), headers=[("x-domain", "globex")], **H)
for name, headers in [
    ("missing", []),
    ("empty", [("x-domain", "")]),
    ("two", [("x-domain", "acme"), ("x-domain", "globex")]),
    ("joined", [("x-domain", "acme, globex")]),
    ("case", [("x-domain", "Acme")]),
    ("path", [("x-domain", "acme/../globex")]),
    ("query", [("x-domain", "acme?x")]),
    ("bytes", [("x-domain", b"ac\xffme")]),
]:
    case(f"header-unknown-{name}", "exactly one value, and an allowed one", UNKNOWN, of("acme"), headers=headers, **H)
case("issuer-absent", "a token without issuer is nobody's", FOREIGN, of("acme", iss=ABSENT), **at("acme"))
case("expired", "the other rules hold in every domain", deny("token_expired"), of("acme", exp=PAST), **at("acme"))

# Who names the domain must not choose whose keys are trusted.
for name, uri in {
    "host": "https://{domain}/jwks",
    "label-end": "https://auth.example.com{domain}/jwks",
    "port": "https://auth.example.com:{domain}/jwks",
    "last-label": "https://auth.{domain}/jwks",
    "part-of-label": "https://x{domain}.example.com/jwks",
}.items():
    shop = provider(issuer=TEMPLATE, remote_jwks=remote(uri), domains={"from_header": "x-domain", "names": "[a-z0-9.-]+"})
    T.error(f"uri-{name}", "`{domain}` in a host is whole labels in front of others", policy({"shop": shop}), "providers.shop.remote_jwks.http_uri.uri")
