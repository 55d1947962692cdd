"""Policies that have to be refused, and the member that the error names."""

import copy
import json

from ..corpus import SHOP, Topic, local, policy, provider, remote
from ..keys import ES, HS256

T = Topic("policy_errors", "a policy that cannot be meant stops the start, and the message begins with the member")


def of_provider(name, member, why="the member's shape", document=None, **changes):
    base = document or provider(**changes)
    T.error(f"provider-{name}", why, policy({"shop": base}, []), f"providers.shop{member and '.' + member}")


def of_rule(name, member, why="the member's shape", **changes):
    rule = {"match": {"prefix": "/"}, **changes}
    T.error(f"rule-{name}", why, policy(rules=[rule]), f"rules[0]{member and '.' + member}")


def of_policy(name, member, why="the member's shape", **changes):
    T.error(f"document-{name}", why, {**policy(), **changes}, member)


GOOD = policy()
TEXT = json.dumps(GOOD)
T.error("document-not-json", "one JSON object", TEXT[:-1], "")
T.error("document-text-behind", "one JSON object", TEXT + "x", "")
T.error("document-list", "one JSON object", [GOOD], "")
T.error("document-doubled-member", "a member stands once", TEXT[:-1] + ', "rules": []}', "")
T.error("document-doubled-nested-member", "a member stands once", TEXT.replace('"audiences"', '"issuer": "x", "audiences"'), "")
T.error("document-doubled-escaped-member", "a member stands once", TEXT[:-1] + r', "\u0072ules": []}', "")
without_rules = copy.deepcopy(GOOD)
del without_rules["rules"]
T.error("document-without-rules", "`rules` has to be there", without_rules, "")
of_policy("unknown-member", "rulez", "an unknown member", rulez=[])
of_policy("null", "requirement_map", "`null` is no value", requirement_map=None)
of_policy("bypass-text", "bypass_cors_preflight", bypass_cors_preflight="true")
of_policy("strip-number", "strip_failure_response", strip_failure_response=1)
of_policy("cache-too-large", "verified_token_cache.max_bytes", "at most 1 GiB", verified_token_cache={"max_bytes": (1 << 30) + 1})
of_policy("cache-negative", "verified_token_cache.max_bytes", verified_token_cache={"max_bytes": -1})
of_policy("cache-unknown-member", "verified_token_cache.max_byte", "an unknown member", verified_token_cache={"max_byte": 1})
of_policy("map-unknown-provider", "requirement_map.x.provider_name", "there is no such provider", requirement_map={"x": {"provider_name": "y"}})
of_policy("map-empty-requirement", "requirement_map.x", "one of the requirements", requirement_map={"x": {}})
of_policy("state-without-name", "filter_state_rules", filter_state_rules={"requires": {"x": SHOP}})
of_policy(
    "state-unknown-provider",
    "filter_state_rules.requires.x.provider_name",
    "there is no such provider",
    filter_state_rules={"name": "s", "requires": {"x": {"provider_name": "y"}}},
)

of_provider("unknown-member", "audience", "an unknown member", audience="shop")
of_provider("issuer-missing", "", "`issuer` is required", document=provider(issuer=None))
of_provider("issuer-empty", "issuer", issuer="")
of_provider("issuer-beside-any", "", "`dangerous_allow_any_issuer` wants no issuer", dangerous_allow_any_issuer=True)
of_provider("audiences-empty", "audiences", "an empty list accepts nothing", audiences=[])
of_provider("audiences-text", "audiences", audiences="shop")
of_provider("algorithms-empty", "algorithms", "an empty list accepts nothing", algorithms=[])
of_provider("algorithms-none", "algorithms[1]", "RFC 8725 §3.2", algorithms=["ES256", "none"])
of_provider("algorithms-case", "algorithms[0]", "names are case-sensitive", algorithms=["es256"])
of_provider("hmac-not-named", "local_jwks.inline_string", "an HMAC has to be named", local_jwks=local(HS256.jwk(kid="hs")))
of_provider("no-keys", "", "one source of keys", document={key: value for key, value in provider().items() if key != "local_jwks"})
of_provider("two-key-sources", "", "one source of keys", document={**provider(), "remote_jwks": remote()})
of_provider("inline-empty-set", "local_jwks.inline_string", "an inline set has to be of use", local_jwks=local())
of_provider("inline-bad-key", "local_jwks.inline_string", "nobody will mend an inline key", local_jwks=local(ES.jwk(use="enc")))
of_provider("inline-two-forms", "local_jwks", "one of the two", local_jwks={**local(ES.jwk()), "inline_bytes": "e30="})
of_provider("inline-bytes-not-base64", "local_jwks.inline_bytes", "standard base64", local_jwks={"inline_bytes": "*"})
of_provider("skew-too-large", "clock_skew_seconds", "an hour at most", clock_skew_seconds=3601)
of_provider("skew-negative", "clock_skew_seconds", clock_skew_seconds=-1)
of_provider("expiration-false", "require_expiration", "it is `dangerous_allow_missing_expiration` that is meant", require_expiration=False)
of_provider("lifetime-and-no-expiration", "", "`max_lifetime` implies `exp`", max_lifetime="60s", dangerous_allow_missing_expiration=True)
of_provider("lifetime-too-short", "max_lifetime", "1 s to 10 years", max_lifetime="0.5s")
of_provider("lifetime-too-long", "max_lifetime", "1 s to 10 years", max_lifetime="400000000s")
of_provider("duration-minutes", "max_lifetime", "protobuf's JSON: seconds", max_lifetime="5m")
of_provider("duration-number", "max_lifetime", "protobuf's JSON: a text or an object", max_lifetime=300)
of_provider("token-types-empty", "token_types", "not empty", token_types=[])
of_provider("subjects-two-kinds", "subjects", "exactly one kind", subjects={"exact": "a", "prefix": "b"})
of_provider("subjects-no-kind", "subjects", "exactly one kind", subjects={"ignore_case": True})
of_provider("subjects-empty-prefix", "subjects", "it would match everything", subjects={"prefix": ""})
of_provider("subjects-regex-ignore-case", "subjects", "not with `safe_regex`", subjects={"safe_regex": {"regex": "a"}, "ignore_case": True})
of_provider("subjects-bad-regex", "subjects", "a regular expression", subjects={"safe_regex": {"regex": "("}})
of_provider("pad-without-header", "pad_forward_payload_header", "it needs `forward_payload_header`", pad_forward_payload_header=True)
of_provider(
    "normalize-without-key",
    "normalize_payload_in_metadata",
    "it needs `payload_in_metadata`",
    normalize_payload_in_metadata={"space_delimited_claims": ["scope"]},
)
of_provider(
    "header-reserved", "claim_to_headers[0].header_name", "it frames or routes the request", claim_to_headers=[{"header_name": "Host", "claim_name": "sub"}]
)
of_provider("header-not-a-name", "claim_to_headers[0].header_name", "RFC 9110 §5.1", claim_to_headers=[{"header_name": "x user", "claim_name": "sub"}])
of_provider(
    "header-twice",
    "claim_to_headers[1].header_name",
    "one claim per header",
    claim_to_headers=[{"header_name": "x", "claim_name": "sub"}, {"header_name": "X", "claim_name": "iss"}],
)
of_provider("claim-empty-step", "claim_to_headers[0].claim_name", claim_to_headers=[{"header_name": "x", "claim_name": "a..b"}])
of_provider("payload-header-pseudo", "forward_payload_header", "RFC 9110 §5.1", forward_payload_header=":path")
of_provider("from-headers-cookie", "from_headers[0].name", "`from_cookies` is meant", from_headers=[{"name": "Cookie"}])
of_provider("from-headers-prefix-comma", "from_headers[0].value_prefix", "a comma separates values", from_headers=[{"name": "x", "value_prefix": "a,"}])
of_provider("from-cookies-empty", "from_cookies[0]", from_cookies=[""])
of_provider("from-params-equals", "from_params[0]", from_params=["a=b"])
of_provider("uri-relative", "remote_jwks.http_uri.uri", "an absolute URI", remote_jwks=remote("/jwks"))
of_provider("uri-scheme", "remote_jwks.http_uri.uri", "`https` or `http`", remote_jwks=remote("ftp://auth.example.com/jwks"))
of_provider("uri-user-information", "remote_jwks.http_uri.uri", "no user information", remote_jwks=remote("https://a@auth.example.com/jwks"))
of_provider("stale-below-cache", "remote_jwks.max_stale", "not less than `cache_duration`", remote_jwks=remote(cache_duration="60s", max_stale="59s"))
of_provider("domain-without-domains", "", "`{domain}` needs `domains`", issuer="https://auth.example.com/{domain}")
of_provider("domains-without-domain", "", "`domains` needs `{domain}`", remote_jwks=remote(), domains={"from_path_segment": 0})
TENANTS = {"issuer": "https://auth.example.com/{domain}", "remote_jwks": remote("https://auth.example.com/{domain}/jwks")}
of_provider("domains-no-source", "domains", "exactly one `from_…`", **TENANTS, domains={})
of_provider("domains-two-sources", "domains", "exactly one `from_…`", **TENANTS, domains={"from_path_segment": 0, "from_header": "x"})
of_provider("domains-host-without-domain", "domains.from_host", "it has to hold `{domain}`", **TENANTS, domains={"from_host": "api.example.com"})
of_provider("domains-max-zero", "domains.max_key_sets", "1 to 10000", **TENANTS, domains={"from_path_segment": 0, "max_key_sets": 0})
of_provider(
    "domains-uri-without-domain",
    "remote_jwks.http_uri.uri",
    "each domain has its own keys",
    **{**TENANTS, "remote_jwks": remote()},
    domains={"from_path_segment": 0},
)

of_rule("unknown-member", "require", "an unknown member opens no path", require=SHOP)
of_rule("null-requirement", "requires", "a template that found no value opens no path", requires=None)
of_rule("empty-requirement", "requires", "one of the requirements", requires={})
of_rule("two-requirements", "requires", "one of the requirements", requires={**SHOP, "allow_missing": {}})
of_rule("unknown-provider", "requires.provider_name", "there is no such provider", requires={"provider_name": "x"})
of_rule("unknown-requirement-name", "requirement_name", "there is no such requirement", requirement_name="x")
of_rule("requires-and-name", "", "at most one of them", requires=SHOP, requirement_name="x")
of_rule("any-empty", "requires.requires_any.requirements", "not empty", requires={"requires_any": {"requirements": []}})
of_rule(
    "all-nested-unknown",
    "requires.requires_all.requirements[1].provider_name",
    "there is no such provider",
    requires={"requires_all": {"requirements": [SHOP, {"provider_name": "y"}]}},
)
of_rule(
    "audiences-empty", "requires.provider_and_audiences.audiences", "not empty", requires={"provider_and_audiences": {"provider_name": "shop", "audiences": []}}
)
of_rule(
    "extract-nested",
    "requires.requires_any.requirements[0]",
    "only alone at the top",
    requires={"requires_any": {"requirements": [{"extract_only_without_validation": {}}, SHOP]}},
)
of_rule(
    "extract-empty-header",
    "requires.extract_only_without_validation.verification_status_header",
    "nobody could tell",
    requires={"extract_only_without_validation": {"verification_status_header": ""}},
)
of_rule(
    "extract-no-header",
    "requires.extract_only_without_validation.verification_status_header",
    "nobody could tell",
    requires={"extract_only_without_validation": {"verification_status_header": "-"}},
)
for name, match, member in [
    ("none", {}, "match"),
    ("two", {"prefix": "/", "path": "/"}, "match"),
    ("misspelt", {"prefx": "/"}, "match.prefx"),
    ("relative", {"prefix": "api"}, "match.prefix"),
    ("query", {"path": "/a?b"}, "match.path"),
    ("ambiguous", {"path": "/a/../b"}, "match.path"),
    ("doubled-slash", {"prefix": "/a//"}, "match.prefix"),
    ("encoded-slash", {"prefix": "/a%2fb"}, "match.prefix"),
    ("regex-bad", {"safe_regex": {"regex": "("}}, "match.safe_regex.regex"),
    ("regex-out-of-its-group", {"safe_regex": {"regex": "/a)|(/b"}}, "match.safe_regex.regex"),
    ("regex-percent", {"safe_regex": {"regex": "/a%20b"}}, "match.safe_regex.regex"),
    ("separated-slash-behind", {"path_separated_prefix": "/a/"}, "match.path_separated_prefix"),
    ("methods-empty", {"prefix": "/", "methods": []}, "match.methods"),
    ("methods-case", {"prefix": "/", "methods": ["get"]}, "match.methods"),
    ("headers-nameless", {"prefix": "/", "headers": [{"exact_match": "x"}]}, "match.headers[0]"),
    ("headers-two-kinds", {"prefix": "/", "headers": [{"name": "a", "exact_match": "x", "prefix_match": "y"}]}, "match.headers[0]"),
    ("headers-unknown", {"prefix": "/", "headers": [{"name": "a", "exact": "x"}]}, "match.headers[0].exact"),
    (
        "query-two-kinds",
        {"prefix": "/", "query_parameters": [{"name": "a", "present_match": True, "string_match": {"exact": "x"}}]},
        "match.query_parameters[0]",
    ),
    ("template-relative", {"path_template": "users/{id}"}, "match.path_template"),
    ("template-open", {"path_template": "/users/{id"}, "match.path_template"),
]:
    of_rule(f"match-{name}", member, "a rule that matches nothing, or something else, guards nothing", match=match)
of_rule("scopes-open", "", "nothing could grant them", scopes=["a"])
of_rule("claims-open", "", "nothing could grant them", claims=[{"name": "a", "exact": "b"}])
of_rule("scopes-optional", "", "the request can pass without a token", scopes=["a"], requires={"requires_any": {"requirements": [SHOP, {"allow_missing": {}}]}})
of_rule("scopes-lenient", "", "the request can pass without a token", scopes=["a"], requires={"allow_missing_or_failed": {}})
of_rule("scopes-extract", "", "the request can pass without a verified token", scopes=["a"], requires={"extract_only_without_validation": {}})
for name, condition in [
    ("no-kind", {"name": "a"}),
    ("two-kinds", {"name": "a", "exact": "b", "present": True}),
    ("no-claim", {"exact": "b"}),
    ("name-and-path", {"name": "a", "path": ["a"], "exact": "b"}),
    ("exact-list", {"name": "a", "exact": ["b"]}),
    ("at-least-text", {"name": "a", "at_least": "7"}),
    ("path-empty", {"path": [], "exact": "b"}),
]:
    of_rule(f"claims-{name}", "claims[0]", "one claim and one condition", requires=SHOP, claims=[condition])
of_rule("deny-status", "deny_response.status", "400 to 599", requires=SHOP, deny_response={"status": 200})
of_rule("deny-redirect-status", "deny_response.redirect.status", "302, 303 or 307", requires=SHOP, deny_response={"redirect": {"location": "/", "status": 301}})
of_rule("deny-redirect-nowhere", "deny_response.redirect", "a place to go to", requires=SHOP, deny_response={"redirect": {}})
of_rule("report-header-alone", "report_only_header", "it needs `report_only`", requires=SHOP, report_only_header="x")

# What would silently do nothing, or more than it says.
of_rule("open-report-only", "", "an open rule denies nothing", report_only=True)
of_rule("open-deny-response", "", "an open rule denies nothing", deny_response={"status": 404})
of_rule("claim-url-as-dotted-name", "claims[0].name", "dots reach into objects", requires={"provider_name": "shop"}, claims=[{"name": "https://example.com/banned", "present": False}])
of_rule("regex-without-slash", "match.safe_regex.regex", "every path begins with `/`", match={"safe_regex": {"regex": "admin/.*"}})
of_rule("regex-of-query", "match.safe_regex.regex", "no path holds `?`", match={"safe_regex": {"regex": "/admin\\?.*"}})
of_rule("method-lower-case", "match.headers[0]", "methods are upper-case", match={"prefix": "/", "headers": [{"name": ":method", "exact_match": "post"}]})
of_rule("authority-with-port", "match.headers[0]", "a host is compared without its port", match={"prefix": "/", "headers": [{"name": ":authority", "exact_match": "a.example.com:443"}]})
of_rule("query-name-encoded", "match.query_parameters[0].name", "names are compared decoded", match={"prefix": "/", "query_parameters": [{"name": "%61dmin"}]})
T.error("rule-unreachable", "no request gets to it", policy(rules=[{"match": {"prefix": "/"}}, {"match": {"prefix": "/admin"}, "requires": {"provider_name": "shop"}}]), "rules[1]")
of_provider("payload-header-of-a-claim", "forward_payload_header", "one header, one meaning", forward_payload_header="x_user_id")
of_provider("header-reserved-respelled", "forward_payload_header", "a header that frames the request", forward_payload_header="Content_Length")
of_provider("audience-empty-text", "audiences[0]", audiences=[""])
of_provider("audience-template", "audiences[0]", "nothing would fill it", audiences=["{domain}"])
of_provider("subject-template", "subjects", "nothing would fill it", subjects={"prefix": "{domain}/"})
T.error("report-header-of-claims", "what the gate says is not what a token says", policy(rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}, "report_only": True, "report_only_header": "x_user_id"}]), "rules[0].report_only_header")
