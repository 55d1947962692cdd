"""The shape of the corpus: topics, cases and what they expect. See `README.md`."""

import json
import re

from .keys import ES
from .tokens import ISSUER, NOW, compact

REALM = 'Bearer realm="postern"'
# Status, `error` of the challenge ("" for a challenge without one, None for no challenge), message.
DENIALS = {
    "path_ambiguous": (400, None, "the request path can be read in more than one way"),
    "method_ambiguous": (400, None, "the request method can be read in more than one way"),
    "header_ambiguous": (400, None, "a request header can be read in more than one way"),
    "query_ambiguous": (400, None, "the request query can be read in more than one way"),
    "path_too_long": (414, None, "the request path is too long"),
    "no_matching_rule": (403, None, "no rule opens this path"),
    "token_missing": (401, "", "a token is required"),
    "multiple_tokens": (400, "invalid_request", "the request holds more than one token"),
    "token_too_large": (401, "invalid_token", "the token is too large"),
    "token_malformed": (401, "invalid_token", "the token is not a JWS in compact form"),
    "header_malformed": (401, "invalid_token", "the token's header is malformed"),
    "claims_malformed": (401, "invalid_token", "the token's claims are malformed"),
    "duplicate_member": (401, "invalid_token", "the token names a member twice"),
    "algorithm_unsupported": (401, "invalid_token", "the token's algorithm is not supported"),
    "algorithm_not_allowed": (401, "invalid_token", "the token's algorithm is not allowed here"),
    "algorithm_mismatch": (401, "invalid_token", "the token's algorithm is not its key's"),
    "critical_header": (401, "invalid_token", "the token's header has a critical extension"),
    "type_not_allowed": (401, "invalid_token", "the token's type is not allowed"),
    "nested_token": (401, "invalid_token", "the token holds another token"),
    "issuer_unknown": (401, "invalid_token", "the token's issuer is not trusted here"),
    "audience_mismatch": (401, "invalid_token", "the token is meant for another audience"),
    "subject_mismatch": (401, "invalid_token", "the token's subject is not accepted here"),
    "expiration_missing": (401, "invalid_token", "the token never expires"),
    "token_expired": (401, "invalid_token", "the token has expired"),
    "token_not_yet_valid": (401, "invalid_token", "the token is not valid yet"),
    "time_claim_invalid": (401, "invalid_token", "a time in the token is not a valid number"),
    "lifetime_too_long": (401, "invalid_token", "the token lives longer than is accepted here"),
    "key_unknown": (401, "invalid_token", "the token's key is not known"),
    "signature_invalid": (401, "invalid_token", "the token's signature is invalid"),
    "key_binding_required": (
        401,
        "invalid_token",
        "the token is bound to a key and cannot be used as a bearer token",
    ),
    "keys_unavailable": (503, None, "the keys to check the token are not available"),
    "insufficient_scope": (403, "insufficient_scope", "the token does not grant this request"),
    "domain_unknown": (403, None, "the request names no domain that is served here"),
    "requirement_unknown": (403, None, "the route's requirement is not in the policy"),
}


def challenge(code, scope=None):
    """The `WWW-Authenticate` of a denial (RFC 6750 §3), or None."""
    _, error, message = DENIALS[code]
    if error is None:
        return None
    text = f'{REALM}, error="{error}", error_description="{message}"' if error else REALM
    return f'{text}, scope="{scope}"' if scope else text


def deny(
    code, *, status=None, scope=None, retry_after=None, headers=None, body=None, metadata=None
):
    answer = {"www-authenticate": challenge(code, scope)}
    if code == "keys_unavailable":
        answer["retry-after"] = str(retry_after or 1)
    answer.update(headers or {})
    expect = {
        "verdict": "deny",
        "code": code,
        "status": status or DENIALS[code][0],
        "headers": answer,
    }
    if body is not None:
        expect["body"] = body
    if metadata is not None:
        expect["metadata"] = metadata
    return expect


def allow(set=None, remove=(), *, target=None, metadata=None, clear_route_cache=False):
    expect = {"verdict": "allow", "set_headers": set or {}, "remove_headers": sorted(remove)}
    if target is not None:
        expect["target"] = target
    if metadata is not None:
        expect["metadata"] = metadata
    if clear_route_cache:
        expect["clear_route_cache"] = True
    return expect


def wait(provider, domain=None):
    expect = {"verdict": "await", "provider": provider}
    return expect if domain is None else {**expect, "domain": domain}


def policy_error(member):
    return {"verdict": "policy_error", "member": member}


# The bearer token of `alice` in `Authorization`, at a provider that sets `x-user-id`.
PASS = allow({"x-user-id": "alice"}, ["authorization"])


def jwks(*keys):
    return {"keys": list(keys)}


def local(*keys):
    return {"inline_string": compact(jwks(*keys))}


def remote(uri=f"{ISSUER}/.well-known/jwks.json", **more):
    return {"http_uri": {"uri": uri, "cluster": "issuer"}, **more}


def provider(*keys, **changes):
    """The provider `shop`: issuer, audience, one ES256 key, and `sub` as `x-user-id`."""
    members = {
        "issuer": ISSUER,
        "audiences": ["shop"],
        "local_jwks": local(*(keys or [ES.jwk(kid="es-1", alg="ES256")])),
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
    }
    if "remote_jwks" in changes or "openid_discovery" in changes:
        del members["local_jwks"]
    members.update(changes)
    return {name: value for name, value in members.items() if value is not None}


SHOP = {"provider_name": "shop"}


def policy(providers=None, rules=None, **more):
    """By default: `/healthz` is open and `/api/` needs the provider `shop`."""
    if rules is None:
        rules = [{"match": {"path": "/healthz"}}, {"match": {"prefix": "/api/"}, "requires": SHOP}]
    return {
        "providers": {"shop": provider()} if providers is None else providers,
        "rules": rules,
        **more,
    }


class Topic:
    """One file of the corpus."""

    all = []

    def __init__(self, name, about, default=None):
        self.name, self.about, self.default = name, about, default
        self.policies, self.key_sets, self.cases = {}, {}, []
        Topic.all.append(self)

    def policy(self, name, document):
        assert name not in self.policies, name
        self.policies[name] = document
        return name

    def key_set(self, name, document):
        assert name not in self.key_sets, name
        self.key_sets[name] = document
        return name

    def case(
        self,
        name,
        why,
        expect,
        *,
        policy=None,
        now=NOW,
        method="GET",
        target="/api/orders",
        headers=(),
        bearer=None,
        token=None,
        authority="api.example.com",
        scheme="https",
        keys=None,
        filter_state=None,
        route=None,
        needs=(),
    ):
        headers = list(headers)
        if bearer is not None:
            headers.insert(0, ("authorization", "Bearer " + bearer))
        request = {
            "method": method,
            "target": target,
            "headers": [[key, spelled(value)] for key, value in headers],
        }
        if (scheme, authority) != ("https", "api.example.com"):
            request = {**request, "scheme": scheme, "authority": authority}
        token = bearer or token
        case = {
            "name": name,
            "why": why,
            "policy": policy or self.default or "shop",
            "now": now,
            "request": request,
            "token": token if token and len(token) < 4096 else None,
            "keys": fetches(keys, now),
            "filter_state": filter_state,
            "route": route,
            "needs": sorted(
                {*needs, *needed(request, keys or {}, now, filter_state, route, expect)}
            ),
            "expect": expect,
        }
        self.cases.append({key: value for key, value in case.items() if value not in (None, [])})

    def error(self, name, why, document, member):
        """A policy that has to be refused. A text stands for itself."""
        self.cases.append(
            {"name": name, "why": why, "policy": document, "expect": policy_error(member)}
        )


def spelled(value):
    """A header value: text, or base64 of bytes that are not UTF-8."""
    if isinstance(value, str):
        return value
    import base64

    return {"base64": base64.b64encode(value).decode()}


def fetches(keys, now):
    """What came of the fetches of each provider, in order; `at` is `now` unless it is said."""
    if keys is None:
        return None
    return {name: [{"at": now, **event} for event in events] for name, events in keys.items()}


def got(name, **more):
    return {"jwks": name, **more}


def is_plain(events):
    """One good fetch of each domain, which any HTTP server can give."""
    domains = [event.get("domain") for event in events]
    return (
        bool(events)
        and len(set(domains)) == len(domains)
        and all("jwks" in event for event in events)
    )


FORBIDDEN = {"cookie", "host", "origin", "access-control-request-method", "te", "connection"}


def needed(request, keys, now, filter_state, route, expect):
    """What a host must be able to say or to see for the case to run there (see README)."""
    values = [value for _, value in request["headers"]]
    names = [name.lower() for name, _ in request["headers"]]
    texts = [value for value in values if isinstance(value, str)]
    target, method = request["target"], request["method"]
    dots = any(
        re.fullmatch(r"(\.|%2e){1,2}", part, re.I) for part in target.split("?")[0].split("/")
    )
    plain_value = r"([!-~]([ \t!-~]*[!-~])?)?"
    facts = {
        "field-bytes": len(texts) < len(values)
        or any(not re.fullmatch(plain_value, text) for text in texts),
        "field-names": any(not re.fullmatch(r"[a-z0-9-]+", name) for name in names),
        "repeated-fields": len(set(names)) < len(names),
        "forbidden-fields": bool(FORBIDDEN & set(names)),
        "raw-target": dots or not re.fullmatch(r"/[!$-&(-;=?-\[\]_a-z~]*", target),
        "raw-method": not re.fullmatch(r"[A-Z-]+", method) or method in ("CONNECT", "TRACE"),
        "large": any(len(text) > 8000 for text in [*texts, target]),
        "clock": any(event.get("at", now) != now for events in keys.values() for event in events),
        "fetches": any(not is_plain(events) for events in keys.values()),
        "filter-state": filter_state is not None,
        "route": route is not None,
        "metadata": "metadata" in expect,
    }
    return {name for name, holds in facts.items() if holds}


def rendered(topic):
    """The file: one member of a case per line, so that a change can be read."""

    def line(value):
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def table(members):
        return (
            "{\n"
            + ",\n".join(f"    {line(key)}: {line(value)}" for key, value in members.items())
            + "\n  }"
        )

    def case(members):
        return (
            "    {\n"
            + ",\n".join(f"      {line(key)}: {line(value)}" for key, value in members.items())
            + "\n    }"
        )

    parts = [f'  "topic": {line(topic.name)}', f'  "about": {line(topic.about)}']
    if topic.key_sets:
        parts.append(f'  "key_sets": {table(topic.key_sets)}')
    if topic.policies:
        parts.append(f'  "policies": {table(topic.policies)}')
    parts.append('  "cases": [\n' + ",\n".join(case(members) for members in topic.cases) + "\n  ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"
