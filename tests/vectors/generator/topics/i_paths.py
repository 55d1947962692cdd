"""How a path and a method are read (see `Request` of the verify core)."""

from ..corpus import Topic, allow, deny, policy
from ..corpus import SHOP

T = Topic("paths", "what services read in two ways is refused before any rule is asked", "guarded")
T.policy(
    "guarded",
    policy(
        rules=[
            {"match": {"prefix": "/public/"}},
            {"match": {"path": "/caf\u00e9"}},
            {"match": {"path": "/a b"}},
            {"match": {"path": "/"}},
            {"match": {"path": "/%7Etilde"}},
            {"match": {"prefix": "/admin/"}, "requires": SHOP},
        ]
    ),
)
T.policy("open", policy(rules=[{"match": {"prefix": "/"}}]))
TWO = deny("path_ambiguous")
OPEN = allow()


def paths(expect, why, prefix, targets):
    for name, target in targets.items():
        T.case(f"{prefix}-{name}", why, expect, target=target)


paths(
    TWO,
    "RFC 3986 §5.2.4: some services remove dot segments, some do not",
    "dots",
    {
        "parent": "/public/../admin/x",
        "parent-at-end": "/public/..",
        "current": "/public/./x",
        "current-first": "/./public/x",
        "parent-first": "/../public/x",
        "encoded": "/public/%2e%2e/admin/x",
        "half-encoded": "/public/.%2E/admin/x",
        "encoded-current": "/public/%2e/x",
        "encoded-slash-behind": "/public/..%2fadmin/x",
        "with-parameter": "/public/..;x=1/admin/x",
        "with-encoded-parameter": "/public/..%3b/admin/x",
        "backslash-behind": "/public/..\\admin/x",
        "twice-encoded": "/public/%252e%252e/admin/x",
        "nul-behind": "/public/..%00/admin/x",
        "query-behind": "/public/..?x",
        "current-at-end": "/public/.",
    },
)
paths(
    OPEN,
    "the accept beside: dots that are no segment",
    "dots-allowed",
    {
        "hidden": "/public/.hidden",
        "three": "/public/...",
        "within": "/public/a..b",
        "behind": "/public/a..",
        "before": "/public/..a",
        "encoded-within": "/public/a%2eb",
    },
)
paths(
    TWO,
    "some services merge slashes, some do not",
    "slashes",
    {
        "inner": "/public//admin/x",
        "first": "//public/x",
        "only": "//",
        "at-end": "/public//",
        "three": "/public///x",
        "authority": "//evil.example/public/x",
        "absolute": "http://api.example.com/public/x",
    },
)
paths(OPEN, "the accept beside: a slash at the end is one segment more", "slashes-allowed", {"at-end": "/public/", "single": "/public/x/", "root": "/"})
paths(
    TWO,
    "RFC 3986 §2.2: an encoded separator is a separator to some",
    "encoded",
    {
        "slash": "/public%2fx",
        "slash-upper-case": "/public/x%2Fy",
        "backslash": "/public/x%5Cy",
        "question-mark": "/public/x%3Fy",
        "hash": "/public/x%23y",
        "semicolon": "/public/x%3By",
    },
)
paths(
    TWO,
    "to some a separator, to some text",
    "sign",
    {
        "backslash": "/public\\x",
        "backslash-first": "/\\evil.example",
        "semicolon": "/public/x;v=1",
        "semicolon-alone": "/public/;",
        "hash": "/public/x#y",
        "session-id": "/admin/x;jsessionid=1",
    },
)
paths(
    TWO,
    "a control character ends the path for some",
    "control",
    {
        "nul": "/public/x%00",
        "newline": "/public/x%0a",
        "carriage-return": "/public/x%0D",
        "tab": "/public/x%09",
        "delete": "/public/x%7f",
        "escape": "/public/x%1b",
        "raw-tab": "/public/x\ty",
    },
)
paths(
    TWO,
    "RFC 3986 §2.1: a `%` that encodes nothing",
    "percent",
    {
        "at-end": "/public/x%",
        "one-digit": "/public/x%4",
        "no-digits": "/public/x%zz",
        "second-no-digit": "/public/x%4z",
        "unicode-style": "/public/%u002e",
        "sign-in-digits": "/public/x%+1",
    },
)
paths(
    TWO,
    "RFC 3986 §2.4: some services decode twice",
    "twice",
    {"letter": "/public/%2561", "slash": "/admin%252fx", "dot": "/public/%252e", "nul": "/public/%2500", "percent": "/public/%252541"},
)
paths(
    OPEN,
    "the accept beside: decoded once, and not again",
    "once",
    {
        "letter": "/%70ublic/x",
        "percent": "/public/100%25",
        "percent-and-text": "/public/a%25b%20",
        "percent-digit": "/public/x%254",
        "lower-case-hex": "/%7etilde",
        "unicode": "/caf%C3%A9",
        "unicode-lower-case-hex": "/caf%c3%a9",
        "space": "/a%20b",
        "tilde": "/~tilde",
    },
)
paths(
    OPEN,
    "the accept beside: signs that everyone reads alike",
    "plain",
    {"signs": "/public/a-b_c.d~e!$&'()*+,=:@", "colon": "/public/x:y", "plus": "/public/a+b", "letters": "/public/ABCxyz019", "brackets": "/public/a[b]|{c}"},
)
T.case("plain-raw-unicode", "UTF-8 as it stands is what it encodes", OPEN, target="/caf\u00e9")
paths(
    TWO,
    "RFC 3629: not UTF-8",
    "not-utf-8",
    {
        "byte": "/public/%ff",
        "overlong-slash": "/public/%c0%af",
        "overlong-dot": "/public/%c0%ae%c0%ae/",
        "surrogate": "/public/%ed%a0%80",
        "cut": "/public/%c3",
    },
)
paths(
    OPEN,
    "the query is not read as a path",
    "query",
    {
        "dots": "/public/x?y=/../z",
        "slashes": "/public/x?y=//",
        "encoded": "/public/x?y=%2f%00%",
        "semicolon": "/public/x?y;z",
        "question-mark": "/public/x??",
        "empty": "/public/x?",
    },
)
NONE = deny("no_matching_rule")
paths(
    NONE,
    "what no rule opens stays shut",
    "shut",
    {
        "unknown": "/elsewhere",
        "prefix-without-slash": "/public",
        "case": "/PUBLIC/x",
        "accent-decomposed": "/cafe%CC%81",
        "empty": "",
        "asterisk": "*",
        "query-only": "?/public/x",
        "authority-form": "api.example.com:443",
        "without-slash": "public/x",
    },
)
paths(
    deny("token_missing"),
    "the rule that guards it",
    "guarded",
    {"plain": "/admin/x", "encoded-letter": "/%61dmin/x", "query": "/admin/x?/public/", "slash-at-end": "/admin/"},
)
T.case("long", "8 KiB of path", OPEN, target="/public/" + "a" * (8192 - 8))
T.case("too-long", "8 KiB and a byte", deny("path_too_long"), target="/public/" + "a" * (8193 - 8))
T.case("long-query", "the query does not count", OPEN, target="/public/?" + "a" * 8192)
for name, target in [("open", "/public/x"), ("everything", "/x")]:
    T.case(f"method-get-{name}", "the accept", OPEN, target=target, policy="open")
for method in ("HEAD", "POST", "OPTIONS", "PROPFIND", "M-SEARCH", "VERSION-CONTROL", "QUERY", "FROBNICATE", "TRACE"):
    T.case(f"method-{method}", "RFC 9110 §16.1: upper-case letters and hyphens", OPEN, method=method, target="/x", policy="open")
for name, method in [
    ("lower-case", "get"),
    ("mixed-case", "Get"),
    ("space-behind", "GET "),
    ("digit", "GET1"),
    ("unicode", "G\u00c9T"),
    ("empty", ""),
    ("underscore", "GET_X"),
    ("dot", "GET.X"),
    ("two", "GET POST"),
    ("comma", "GET,POST"),
    ("long-s", "PO\u017fT"),
    ("lower-case-post", "post"),
]:
    T.case(f"method-ambiguous-{name}", "some services read it as another method", deny("method_ambiguous"), method=method, target="/x", policy="open")
T.case("ambiguous-in-open-policy", "also where every path is open", TWO, target="/a/../b", policy="open")
T.case("ambiguous-with-identity", "before any rule is asked, and before any token is", TWO, target="/admin/../x", bearer="x")
