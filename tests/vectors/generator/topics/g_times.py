"""`exp`, `nbf`, `iat` (RFC 7519 §4.1.4 to §4.1.6) and how long a token may live."""

from ..corpus import PASS, Topic, deny, policy, provider
from ..tokens import ABSENT, FAR, NOW, claims, compact, sign

T = Topic("times", "times are finite numbers of seconds, and the clocks may differ by the skew", "shop")
T.policy("shop", policy())
for skew in (0, 3600):
    T.policy(f"skew-{skew}", policy({"shop": provider(clock_skew_seconds=skew)}))
T.policy("endless-allowed", policy({"shop": provider(dangerous_allow_missing_expiration=True)}))
T.policy("expiration-said", policy({"shop": provider(require_expiration=True)}))
T.policy("lifetime-hour", policy({"shop": provider(max_lifetime="3600s")}))
T.policy("lifetime-object", policy({"shop": provider(max_lifetime={"seconds": 1, "nanos": 500_000_000})}))


def body(changes):
    """Claims in which a time may be a number that Python would spell otherwise."""
    raw = {name: value[1:] for name, value in changes.items() if isinstance(value, str) and value.startswith("=")}
    text = compact(claims(**{name: value for name, value in changes.items() if name not in raw} | {name: ABSENT for name in raw}))
    return text[:-1] + "".join(f',"{name}":{value}' for name, value in raw.items()) + "}"


def case(name, why, expect, *, policy="shop", now=NOW, **changes):
    T.case(name, why, expect, bearer=sign(None, body(changes)), policy=policy, now=now, needs=("clock",))


def good(name, why, **more):
    case(name, why, PASS, **more)


def bad(name, why, code, **more):
    case(name, why, deny(code), **more)


# exp: valid while now < exp + skew
good("exp-ahead", "RFC 7519 §4.1.4", exp=NOW + 1)
good("exp-within-skew", "60 seconds of skew unless it is said", exp=NOW - 59)
bad("exp-at-skew", "and not a second more", "token_expired", exp=NOW - 60)
bad("exp-beyond-skew", "and not a second more", "token_expired", exp=NOW - 61)
good("exp-within-skew-fraction", "NumericDate may have a fraction", exp=NOW - 59.5)
bad("exp-at-skew-fraction", "NumericDate may have a fraction", "token_expired", exp=NOW - 60.5)
good("exp-now-fraction", "the clock may have a fraction", now=NOW + 0.5, exp=NOW - 59)
bad("exp-now-fraction-late", "the clock may have a fraction", "token_expired", now=NOW + 0.5, exp=NOW - 60)
good("exp-both-fractions", "both may", now=NOW + 0.5, exp=NOW - 59.25)
bad("exp-both-fractions-equal", "both may: the end is no part of it", "token_expired", now=NOW + 0.5, exp=NOW - 59.5)
good("exp-skew-0", "no skew", policy="skew-0", exp=NOW + 1)
bad("exp-skew-0-now", "RFC 7519 §4.1.4: on or after it", "token_expired", policy="skew-0", exp=NOW)
good("exp-skew-3600", "an hour of skew", policy="skew-3600", exp=NOW - 3599)
bad("exp-skew-3600-late", "an hour of skew", "token_expired", policy="skew-3600", exp=NOW - 3600)
bad("exp-zero", "the epoch is a time", "token_expired", exp=0)
bad("exp-minus-zero", "-0 is 0", "token_expired", exp="=-0")
good("exp-exponent", "RFC 8259 §6: a number in any spelling", exp="=41e8")
good("exp-with-point", "RFC 8259 §6: a number in any spelling", exp="=4102444800.0")
good("exp-year-292-billion", "a finite number", exp="=9223372036854775807")
good("exp-beyond-64-bits", "a finite number", exp="=18446744073709551616")
good("exp-huge", "a finite number", exp="=1e300")
good("exp-milliseconds", "a time far ahead; `max_lifetime` is there for this", exp=FAR * 1000)
bad("exp-tiny", "a finite number", "token_expired", exp="=1e-300")
bad("exp-absent", "a token has to expire", "expiration_missing", exp=ABSENT)
bad("exp-absent-required", "`require_expiration` says what is so anyway", "expiration_missing", policy="expiration-said", exp=ABSENT)
good("exp-there-required", "`require_expiration` says what is so anyway", policy="expiration-said", exp=NOW + 1)
good("exp-absent-allowed", "`dangerous_allow_missing_expiration`", policy="endless-allowed", exp=ABSENT)
bad("exp-past-where-none-is-needed", "an expiry that is there counts", "token_expired", policy="endless-allowed", exp=NOW - 60)
bad("exp-null-where-none-is-needed", "null is not absent", "time_claim_invalid", policy="endless-allowed", exp=None)
bad("nbf-where-no-exp-is-needed", "the other times count", "token_not_yet_valid", policy="endless-allowed", exp=ABSENT, nbf=NOW + 61)

# nbf: valid from nbf - skew on
good("nbf-past", "RFC 7519 §4.1.5", nbf=NOW - 1)
good("nbf-now", "RFC 7519 §4.1.5: from it on", nbf=NOW)
good("nbf-at-skew", "60 seconds of skew unless it is said", nbf=NOW + 60)
bad("nbf-beyond-skew", "and not more", "token_not_yet_valid", nbf=NOW + 61)
bad("nbf-beyond-skew-fraction", "NumericDate may have a fraction", "token_not_yet_valid", nbf=NOW + 60.5)
good("nbf-now-fraction", "the clock may have a fraction", now=NOW + 0.5, nbf=NOW + 60.5)
good("nbf-skew-0", "no skew", policy="skew-0", nbf=NOW)
bad("nbf-skew-0-ahead", "no skew", "token_not_yet_valid", policy="skew-0", nbf=NOW + 1)
good("nbf-skew-3600", "an hour of skew", policy="skew-3600", nbf=NOW + 3600)
bad("nbf-skew-3600-ahead", "an hour of skew", "token_not_yet_valid", policy="skew-3600", nbf=NOW + 3601)
good("nbf-zero", "the epoch is a time", nbf=0)
bad("nbf-huge", "a finite number", "token_not_yet_valid", nbf="=1e300")
bad("nbf-milliseconds", "a time far ahead", "token_not_yet_valid", nbf=NOW * 1000)

# iat: only a valid time
good("iat-ahead", "RFC 7519 §4.1.6 gives no bound", iat=NOW + 100_000)
good("iat-absent", "RFC 7519 §4.1.6: optional", iat=ABSENT)
good("iat-fraction", "NumericDate may have a fraction", iat=NOW - 0.25)

for claim in ("exp", "nbf", "iat"):
    for name, value in [
        ("string", str(FAR)),
        ("null", None),
        ("true", True),
        ("list", [FAR]),
        ("object", {}),
        ("date", "2100-01-01T00:00:00Z"),
        ("negative", -1),
        ("negative-fraction", "=-0.5"),
        ("empty", ""),
    ]:
        bad(f"{claim}-{name}", "RFC 7519 §2, NumericDate: a number that is not negative", "time_claim_invalid", **{claim: value})
    bad(f"{claim}-out-of-range", "a number beyond a double is no JSON to rely on", "claims_malformed", **{claim: "=1e999"})

# max_lifetime: exp - now, without skew
good("lifetime-shorter", "`max_lifetime`", policy="lifetime-hour", exp=NOW + 60)
good("lifetime-equal", "`max_lifetime`: at most this", policy="lifetime-hour", exp=NOW + 3600)
bad("lifetime-longer", "`max_lifetime`: at most this, without skew", "lifetime_too_long", policy="lifetime-hour", exp=NOW + 3601)
bad("lifetime-longer-fraction", "`max_lifetime`: at most this", "lifetime_too_long", policy="lifetime-hour", exp=NOW + 3600.5)
good("lifetime-now-fraction", "counted from now", policy="lifetime-hour", now=NOW + 0.5, exp=NOW + 3600.5)
bad("lifetime-milliseconds", "milliseconds by mistake", "lifetime_too_long", policy="lifetime-hour", exp=FAR * 1000)
bad("lifetime-endless", "`max_lifetime` implies `exp`", "expiration_missing", policy="lifetime-hour", exp=ABSENT)
bad("lifetime-expired", "an expired token is expired", "token_expired", policy="lifetime-hour", exp=NOW - 60)
good("lifetime-within-skew", "an expiry within the skew is no long life", policy="lifetime-hour", exp=NOW - 59)
good("lifetime-of-iat", "counted from now, whenever it was issued", policy="lifetime-hour", iat=1, exp=NOW + 3600)
good("lifetime-object", "a duration as an object", policy="lifetime-object", exp=NOW + 1.5)
bad("lifetime-object-longer", "a duration as an object", "lifetime_too_long", policy="lifetime-object", exp=NOW + 2)
good("far-without-bound", "no `max_lifetime`: any", exp=FAR)
