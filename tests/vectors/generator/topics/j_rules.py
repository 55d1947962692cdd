"""Which rule a request meets: every matcher of a rule (the names are Envoy's)."""

from ..corpus import PASS, SHOP, Topic, allow, deny, policy
from ..tokens import token

T = Topic("rules", "a rule that matches opens its path here; what no rule matches is denied")
OPEN, SHUT = allow(), deny("no_matching_rule")


def rule(name, why, match, yes, no=(), **request):
    """One rule that opens what it matches. A request is a target, or members of a case."""
    T.policy(name, policy({}, [{"match": match}]))
    for expect, mark, requests in ((OPEN, "", yes), (SHUT, "not-", no)):
        for label, request in requests.items():
            request = {"target": request} if isinstance(request, str) else request
            T.case(f"{name}-{mark}{label}", why, expect, policy=name, **({"target": "/x"} | request))


rule(
    "prefix",
    "`prefix`: of the text of the path",
    {"prefix": "/api"},
    {"self": "/api", "below": "/api/x", "longer": "/apix", "query": "/api?x", "encoded": "/%61pi/x"},
    {"shorter": "/ap", "other": "/xapi", "case": "/API", "query": "/?/api"},
)
rule("prefix-slash", "`prefix`: of the text of the path", {"prefix": "/api/"}, {"itself": "/api/", "below": "/api/x"}, {"without-slash": "/api"})
rule("prefix-everything", "`prefix`", {"prefix": "/"}, {"root": "/", "any": "/a/b"}, {"empty": "", "asterisk": {"target": "*", "method": "OPTIONS"}})
rule(
    "prefix-encoded",
    "a path in a policy is read as a request's is",
    {"prefix": "/caf%C3%A9/"},
    {"encoded": "/caf%C3%A9/x", "raw": "/caf\u00e9/x"},
    {"plain": "/cafe/x"},
)
rule(
    "path",
    "`path`: all of it",
    {"path": "/healthz"},
    {"self": "/healthz", "query": "/healthz?x=1", "encoded": "/healt%68z"},
    {"slash-behind": "/healthz/", "longer": "/healthzx", "below": "/healthz/x", "case": "/Healthz", "shorter": "/health"},
)
rule(
    "regex",
    "`safe_regex`: all of the decoded path",
    {"safe_regex": {"regex": "/items/[0-9]+"}},
    {"match": "/items/17", "query": "/items/17?x", "encoded": "/items/%31"},
    {"behind": "/items/17x", "below": "/items/17/x", "before": "/x/items/17", "none": "/items/", "query": "/x?/items/17"},
)
rule(
    "regex-choice",
    "a choice is held to all of the path on both sides",
    {"safe_regex": {"regex": "/a|/b"}},
    {"first": "/a", "second": "/b"},
    {"behind": "/ax", "before": "/x/b"},
)
rule("regex-anchors", "anchors change nothing", {"safe_regex": {"regex": "^/a$"}}, {"match": "/a"}, {"behind": "/ab"})
rule("regex-case", "a flag of the pattern", {"safe_regex": {"regex": "(?i)/a"}}, {"lower": "/a", "upper": "/A"}, {"other": "/b"})
rule(
    "separated",
    "`path_separated_prefix`: itself, or what goes on with `/`",
    {"path_separated_prefix": "/api"},
    {"self": "/api", "slash": "/api/", "below": "/api/x", "query": "/api?x", "encoded": "/ap%69/x"},
    {"longer": "/apix", "dot": "/api.json", "hyphen": "/api-v2", "case": "/API/x", "shorter": "/ap"},
)
rule("separated-deep", "`path_separated_prefix`", {"path_separated_prefix": "/a/b"}, {"below": "/a/b/c"}, {"parent": "/a", "longer": "/a/bc"})
for name, match in [
    ("template", {"path_template": "/users/{id}"}),
    (
        "template-envoy",
        {
            "path_match_policy": {
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": "/users/{id}",
                },
            }
        },
    ),
]:
    rule(
        name,
        "`path_template`: a variable is one segment",
        match,
        {"match": "/users/7", "text": "/users/alice.b-c", "query": "/users/7?x", "encoded": "/users/%61"},
        {"empty": "/users/", "two": "/users/7/orders", "slash-behind": "/users/7/", "none": "/users", "case": "/Users/7", "before": "/x/users/7"},
    )
rule(
    "template-star",
    "`*` is one segment",
    {"path_template": "/v1/*/items"},
    {"match": "/v1/shop/items"},
    {"empty": "/v1/items", "two": "/v1/a/b/items", "behind": "/v1/a/items/x"},
)
rule(
    "template-rest",
    "`**` is any number of segments",
    {"path_template": "/files/**"},
    {"one": "/files/a", "many": "/files/a/b/c", "none": "/files/"},
    {"other": "/filesx/a", "without-slash": "/files"},
)
rule("template-named-rest", "`{name=**}`", {"path_template": "/files/{path=**}"}, {"many": "/files/a/b"}, {"other": "/file/a"})
rule("template-pattern", "`{name=a/*}`", {"path_template": "/{area=public/*}/x"}, {"match": "/public/a/x"}, {"other": "/private/a/x", "short": "/public/x"})
rule("template-two", "two variables", {"path_template": "/{shop}/items/{item}"}, {"match": "/a/items/b"}, {"short": "/a/items"})
rule("template-literal", "no variable", {"path_template": "/a.b"}, {"match": "/a.b"}, {"dot-is-a-dot": "/axb"})
rule(
    "connect",
    "`connect_matcher`",
    {"connect_matcher": {}},
    {"authority": {"method": "CONNECT", "target": "api.example.com:443"}},
    {"get": {"method": "GET", "target": "/"}, "options": {"method": "OPTIONS", "target": "/"}},
)
rule("connect-without", "no path matcher is for `CONNECT`", {"prefix": "/"}, {}, {"connect": {"method": "CONNECT", "target": "api.example.com:443"}})
for kind, value, yes, no in [("prefix", "/Api", "/aPI/x", "/x"), ("path", "/Api", "/aPI", "/aPI/x"), ("path_separated_prefix", "/Api", "/aPI/x", "/aPIx")]:
    rule(f"case-{kind}", "`case_sensitive: false`", {kind: value, "case_sensitive": False}, {"other-case": yes, "same-case": value}, {"other": no})
    rule(f"case-kept-{kind}", "`case_sensitive: true` is the default", {kind: value, "case_sensitive": True}, {"same-case": value}, {"other-case": yes})
rule(
    "methods",
    "`methods`",
    {"prefix": "/", "methods": ["GET", "M-SEARCH"]},
    {"get": {"method": "GET"}, "m-search": {"method": "M-SEARCH"}},
    {"head": {"method": "HEAD"}, "post": {"method": "POST"}, "search": {"method": "SEARCH"}},
)


def fields(*values, name="x-tier"):
    return {"headers": [(name, value) for value in values]}


def header(name, why, matcher, yes, no):
    rule(f"header-{name}", why, {"prefix": "/", "headers": [{"name": "x-tier", **matcher}]}, yes, no)


header(
    "present",
    "no condition: present",
    {},
    {"there": fields("a"), "empty": fields(""), "name-case": fields("a", name="X-Tier")},
    {"missing": {}, "other-name": fields("a", name="x-tier-2")},
)
header(
    "exact",
    "`exact_match`",
    {"exact_match": "gold"},
    {"same": fields("gold")},
    {
        "case": fields("Gold"),
        "longer": fields("gold2"),
        "empty": fields(""),
        "missing": {},
        "two-values": fields("gold", "gold"),
        "joined": fields("gold,silver"),
    },
)
header(
    "exact-joined",
    "several values are joined by a comma",
    {"exact_match": "gold,silver"},
    {"two-values": fields("gold", "silver"), "one-value": fields("gold,silver")},
    {"other-order": fields("silver", "gold"), "first-only": fields("gold")},
)
header(
    "prefix",
    "`prefix_match`",
    {"prefix_match": "go"},
    {"longer": fields("gold"), "same": fields("go"), "first-of-two": fields("gold", "x")},
    {"other": fields("ago"), "missing": {}, "case": fields("GO")},
)
header(
    "suffix",
    "`suffix_match`",
    {"suffix_match": "ld"},
    {"longer": fields("gold"), "last-of-two": fields("x", "gold")},
    {"other": fields("golden"), "missing": {}},
)
header(
    "contains",
    "`contains_match`",
    {"contains_match": "ol"},
    {"within": fields("gold"), "second-of-two": fields("x", "gold")},
    {"other": fields("silver"), "missing": {}},
)
header(
    "regex",
    "`safe_regex_match`: all of the value",
    {"safe_regex_match": {"regex": "gold|silver"}},
    {"first": fields("gold"), "second": fields("silver")},
    {"part": fields("golden"), "behind": fields("x silver"), "missing": {}, "two-values": fields("gold", "silver")},
)
header(
    "range",
    "`range_match`: start ≤ value < end",
    {"range_match": {"start": -2, "end": 10}},
    {"start": fields("-2"), "zero": fields("0"), "last": fields("9"), "minus-one": fields("-1")},
    {
        "end": fields("10"),
        "below": fields("-3"),
        "fraction": fields("5.0"),
        "text": fields("five"),
        "hex": fields("0x5"),
        "empty": fields(""),
        "missing": {},
        "two-values": fields("5", "5"),
        "exponent": fields("1e0"),
        "beyond-64-bits": fields("18446744073709551617"),
        "text-behind": fields("5x"),
        "minus-alone": fields("-"),
    },
)
header("present-true", "`present_match`", {"present_match": True}, {"there": fields("a")}, {"missing": {}})
header("present-false", "`present_match: false`", {"present_match": False}, {"missing": {}}, {"there": fields("a"), "empty": fields("")})
header("present-true-inverted", "inverted `present_match`", {"present_match": True, "invert_match": True}, {"missing": {}}, {"there": fields("a")})
header("present-false-inverted", "inverted `present_match`", {"present_match": False, "invert_match": True}, {"there": fields("a")}, {"missing": {}})
header(
    "inverted",
    "`invert_match`; a missing header matches neither way",
    {"exact_match": "gold", "invert_match": True},
    {"other": fields("silver"), "empty": fields("")},
    {"same": fields("gold"), "missing": {}},
)
header(
    "inverted-regex",
    "`invert_match`",
    {"safe_regex_match": {"regex": "g.*"}, "invert_match": True},
    {"other": fields("silver")},
    {"same": fields("gold"), "missing": {}},
)
header(
    "inverted-range",
    "`invert_match`",
    {"range_match": {"start": 0, "end": 5}, "invert_match": True},
    {"beyond": fields("5"), "text": fields("x")},
    {"within": fields("4"), "missing": {}},
)
header(
    "missing-empty",
    "`treat_missing_header_as_empty`",
    {"exact_match": "", "treat_missing_header_as_empty": True},
    {"missing": {}, "empty": fields("")},
    {"there": fields("a")},
)
header(
    "missing-empty-inverted",
    "`treat_missing_header_as_empty`, inverted",
    {"exact_match": "gold", "invert_match": True, "treat_missing_header_as_empty": True},
    {"missing": {}, "other": fields("silver")},
    {"same": fields("gold")},
)
for kind, matcher, yes, no in [
    ("exact", {"exact": "gold"}, "gold", "GOLD"),
    ("exact-ignore-case", {"exact": "gold", "ignore_case": True}, "GoLD", "silver"),
    ("prefix", {"prefix": "go"}, "gold", "Gold"),
    ("prefix-ignore-case", {"prefix": "go", "ignore_case": True}, "GOLD", "ago"),
    ("suffix", {"suffix": "ld"}, "gold", "golds"),
    ("suffix-ignore-case", {"suffix": "ld", "ignore_case": True}, "GOLD", "golds"),
    ("contains", {"contains": "ol"}, "gold", "OL"),
    ("contains-ignore-case", {"contains": "ol", "ignore_case": True}, "GOLD", "o l"),
    ("regex", {"safe_regex": {"regex": "g.{3}"}}, "gold", "golds"),
]:
    header(f"string-{kind}", "`string_match`", {"string_match": matcher}, {"match": fields(yes)}, {"other": fields(no), "missing": {}})
rule(
    "headers-two",
    "all have to match",
    {"prefix": "/", "headers": [{"name": "a", "exact_match": "1"}, {"name": "b"}]},
    {"both": {"headers": [("a", "1"), ("b", "x")]}},
    {"first": {"headers": [("a", "1")]}, "second": {"headers": [("b", "x")]}, "neither": {}},
)
rule(
    "pseudo-method",
    "`:method`",
    {"prefix": "/", "headers": [{"name": ":method", "exact_match": "PUT"}]},
    {"put": {"method": "PUT"}},
    {"get": {"method": "GET"}},
)
rule(
    "pseudo-path",
    "`:path` as sent, with the query",
    {"prefix": "/", "headers": [{"name": ":path", "suffix_match": "?debug=%31"}]},
    {"query": "/x?debug=%31"},
    {"decoded": "/x?debug=1", "none": "/x"},
)
rule(
    "pseudo-authority",
    "`:authority`",
    {"prefix": "/", "headers": [{"name": ":authority", "exact_match": "admin.example.com"}]},
    {"same": {"authority": "admin.example.com"}},
    {"other": {"authority": "api.example.com"}, "header-of-that-name": fields("admin.example.com", name="x-authority")},
)
rule(
    "pseudo-scheme",
    "`:scheme`",
    {"prefix": "/", "headers": [{"name": ":scheme", "exact_match": "https"}]},
    {"https": {"scheme": "https"}},
    {"http": {"scheme": "http"}},
)


def query(name, why, matcher, yes, no):
    rule(
        f"query-{name}",
        why,
        {"prefix": "/", "query_parameters": [{"name": "v", **matcher}]},
        {key: f"/x{text}" for key, text in yes.items()},
        {key: f"/x{text}" for key, text in no.items()},
    )


query(
    "present",
    "no condition: present",
    {},
    {"value": "?v=1", "empty": "?v=", "alone": "?v", "later": "?a=1&v=2", "encoded-name": "?%76=1"},
    {"none": "", "empty-query": "?", "longer": "?vv=1", "value-only": "?a=v"},
)
for name, text in {
    "twice": "?v=a+b&v=x",
    "twice-other-order": "?v=x&v=a+b",
    "case": "?V=a+b",
    "index": "?v[]=a+b",
    "brackets": "?[v]=a+b",
    "brackets-encoded": "?%5Bv%5D=a+b",
    "blank": "?%20v=a+b",
    "semicolon": "?x;v=a+b&v=x",
    "nul": "?v%00z=a+b",
}.items():
    T.case(f"query-ambiguous-{name}", "a parameter that a rule asks for is read in one way", deny("query_ambiguous"), policy="query-exact", target=f"/x{text}")
T.case("query-not-asked-for", "what no rule asks for may stand there twice", allow(), policy="query-exact", target="/x?w=1&w=2&v=a+b")
query("present-true", "`present_match`", {"present_match": True}, {"value": "?v=1"}, {"none": "?a=1"})
query("present-false", "`present_match: false`", {"present_match": False}, {"none": "?a=1", "no-query": ""}, {"value": "?v=1", "alone": "?v"})
query(
    "exact",
    "`string_match`",
    {"string_match": {"exact": "a b"}},
    {"plus": "?v=a+b", "encoded": "?v=a%20b"},
    {"none": "", "encoded-plus": "?v=a%2Bb", "twice-encoded": "?v=a%2520b", "empty": "?v="},
)
query(
    "exact-empty",
    "`string_match`: a parameter without a value is empty",
    {"string_match": {"exact": ""}},
    {"empty": "?v=", "alone": "?v"},
    {"value": "?v=1", "none": "?a"},
)
query("equals", "a value goes on behind its first `=`", {"string_match": {"exact": "a=b"}}, {"match": "?v=a=b", "encoded": "?v=a%3Db"}, {"cut": "?v=a"})
query("encoded-ampersand", "decoded behind the splitting, not before", {"string_match": {"exact": "a&b"}}, {"encoded": "?v=a%26b"}, {"raw": "?v=a&b"})
query(
    "regex",
    "`string_match.safe_regex`: all of the value",
    {"string_match": {"safe_regex": {"regex": "[0-9]+"}}},
    {"match": "?v=17"},
    {"behind": "?v=17x", "empty": "?v="},
)
query("prefix", "`string_match.prefix`", {"string_match": {"prefix": "ab", "ignore_case": True}}, {"match": "?v=ABC"}, {"other": "?v=xab"})
rule(
    "query-two",
    "all have to match",
    {"prefix": "/", "query_parameters": [{"name": "a"}, {"name": "b", "string_match": {"exact": "1"}}]},
    {"both": "/x?b=1&a"},
    {"first": "/x?a", "second": "/x?b=1"},
)
rule(
    "grpc",
    "`grpc`: the content type of gRPC",
    {"prefix": "/", "grpc": {}},
    {
        "plain": {"headers": [("content-type", "application/grpc")]},
        "proto": {"headers": [("content-type", "application/grpc+proto")]},
        "json": {"headers": [("content-type", "application/grpc+json")]},
    },
    {},
)
for name, value in [("web", "application/grpc-web"), ("json", "application/json"), ("longer", "application/grpcx")]:
    T.case(f"grpc-not-{name}", "`grpc`: the content type of gRPC", SHUT, policy="grpc", target="/x", headers=[("content-type", value)])
T.case("grpc-not-missing", "`grpc`: the content type of gRPC", SHUT, policy="grpc", target="/x")
rule(
    "all-kinds",
    "all conditions of one rule have to hold",
    {"path_separated_prefix": "/api", "methods": ["POST"], "headers": [{"name": "x-tier"}], "query_parameters": [{"name": "v"}]},
    {"all": {"method": "POST", "target": "/api/x?v", **fields("a")}},
    {
        "path": {"method": "POST", "target": "/x?v", **fields("a")},
        "method": {"target": "/api/x?v", **fields("a")},
        "header": {"method": "POST", "target": "/api/x?v"},
        "query": {"method": "POST", "target": "/api/x", **fields("a")},
    },
)

# The first rule that matches decides.
T.policy(
    "order",
    policy(
        rules=[
            {"match": {"prefix": "/api/", "methods": ["OPTIONS"]}},
            {"match": {"path": "/api/login"}},
            {"match": {"prefix": "/api/"}, "requires": SHOP},
            {"match": {"prefix": "/api/open/"}},
            {"match": {"prefix": "/old/"}, "requires": SHOP},
            {"match": {"prefix": "/"}},
        ]
    ),
)
MISSING = deny("token_missing")
for name, method, target, expect in [
    ("method-first", "OPTIONS", "/api/x", OPEN),
    ("path-before-prefix", "POST", "/api/login", OPEN),
    ("guarded", "GET", "/api/x", MISSING),
    ("later-opens-nothing", "GET", "/api/open/x", MISSING),
    ("second-guarded", "GET", "/old/x", MISSING),
    ("last", "GET", "/x", OPEN),
    ("path-is-exact", "POST", "/api/login/x", MISSING),
]:
    T.case(f"order-{name}", "the first rule that matches decides", expect, policy="order", method=method, target=target)
T.case("order-guarded-with-token", "the accept beside", PASS, policy="order", target="/api/x", bearer=token())
T.policy("no-rules", policy({}, []))
T.case("no-rules", "a policy without rules opens nothing", SHUT, policy="no-rules", target="/")
T.policy("named", policy(rules=[{"name": "open-health", "match": {"path": "/healthz"}}]))
T.case("named", "`name` decides nothing", OPEN, policy="named", target="/healthz")
T.policy(
    "header-opens",
    policy(rules=[{"match": {"prefix": "/", "headers": [{"name": "x-internal", "exact_match": "1"}]}}, {"match": {"prefix": "/"}, "requires": SHOP}]),
)
T.case("header-opens", "a header that a client sends opens what the policy lets it open", OPEN, policy="header-opens", headers=[("x-internal", "1")])
T.case("header-opens-not-respelled", "a name that only some services read", deny("header_ambiguous"), policy="header-opens", headers=[("x_internal", "1")])
T.case("header-opens-and-respelled", "a name that only some services read", deny("header_ambiguous"), policy="header-opens", headers=[("x-internal", "1"), ("x.internal", "0")])
