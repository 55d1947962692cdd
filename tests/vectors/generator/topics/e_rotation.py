"""Rotation: keys come and go, and no good token is refused because of it."""

from ..corpus import PASS, Topic, deny, got, jwks, policy, provider, remote, wait
from ..keys import ED, ES, ES_OTHER, ES_THIRD, RSA
from ..tokens import ABSENT, NOW, claims, header, sign

T = Topic("rotation", "a key set in the course of rotations", "shop")
T.policy("shop", policy({"shop": provider(remote_jwks=remote())}))
NEXT, CURRENT, PREVIOUS = (key.jwk(kid=kid, alg="ES256", use="sig") for key, kid in [(ES_THIRD, "k-3"), (ES_OTHER, "k-2"), (ES, "k-1")])
T.key_set("before", jwks(CURRENT, PREVIOUS))
T.key_set("published", jwks(NEXT, CURRENT, PREVIOUS))
T.key_set("previous-withdrawn", jwks(NEXT, CURRENT))
T.key_set("all-withdrawn", jwks())
T.key_set("one-kid-two-algorithms", jwks(RSA.jwk(kid="k", alg="RS256"), ES.jwk(kid="k", alg="ES256")))
T.key_set("one-kid-two-keys", jwks(ES_OTHER.jwk(kid="k", alg="ES256"), ES.jwk(kid="k", alg="ES256")))
T.key_set("one-kid-bad-and-good", jwks({"kty": "EC", "crv": "P-256", "kid": "k"}, ES.jwk(kid="k", alg="ES256")))
T.key_set("other-kind", jwks(ED.jwk(kid="k-1", alg="EdDSA")))
OF = {"k-1": ES, "k-2": ES_OTHER, "k-3": ES_THIRD}


def case(name, why, expect, kid, *events, key=None, head=None):
    T.case(name, why, expect, bearer=sign(head or header(kid=kid), key=key or OF[kid]), keys={"shop": list(events)})


case("previous", "`previous` stays for the tokens that it signed", PASS, "k-1", got("published"))
case("current", "`current` signs", PASS, "k-2", got("published"))
case("next", "`next` is published before it signs", PASS, "k-3", got("published"))
case("next-not-seen-yet", "an unknown `kid` is worth one more fetch", wait("shop"), "k-3", got("before", at=NOW - 6))
case("next-not-seen-yet-just-fetched", "not where a fetch has just been made", deny("key_unknown"), "k-3", got("before"))
case("next-not-seen-yet-within-cooldown", "one fetch in 5 seconds", deny("key_unknown"), "k-3", got("before", at=NOW - 4))
case("next-seen-after-refetch", "the fetch has brought it", PASS, "k-3", got("before", at=NOW - 6), got("published"))
case("next-unknown-after-refetch", "the fetch has not brought it", deny("key_unknown"), "k-3", got("before", at=NOW - 6), {"status": 304})
case(
    "next-unknown-after-failed-refetch",
    "the issuer could not be asked for the key, so nobody is called unauthorized",
    deny("keys_unavailable", retry_after="1"),
    "k-3",
    got("before", at=NOW - 6),
    {"failed": True},
)
case("withdrawn", "a withdrawn key vouches for nothing, at once", deny("key_unknown"), "k-1", got("published", at=NOW - 6), got("previous-withdrawn"))
case("withdrawn-other-still-good", "the others stay", PASS, "k-2", got("published", at=NOW - 6), got("previous-withdrawn"))
case("all-withdrawn", "an empty set is a set", deny("key_unknown"), "k-1", got("published", at=NOW - 6), got("all-withdrawn"))
case("withdrawn-and-back", "a set may come back", PASS, "k-1", got("published", at=NOW - 12), got("previous-withdrawn", at=NOW - 6), got("published"))
case("withdrawn-but-unread", "a bad document withdraws nothing", PASS, "k-1", got("published", at=NOW - 6), {"status": 500})
case("kind-changed", "a `kid` that changed its algorithm", deny("algorithm_mismatch"), "k-1", got("published", at=NOW - 6), got("other-kind"))
case("current-with-kid-of-previous", "the `kid` decides", deny("signature_invalid"), "k-1", got("published"), key=ES_OTHER)
case("no-kid-previous", "without `kid` all keys of the algorithm are tried", PASS, "k-1", got("published"), head=header(kid=ABSENT))
case("no-kid-withdrawn", "without `kid`, of a withdrawn key", deny("signature_invalid"), "k-1", got("previous-withdrawn", at=NOW - 6), head=header(kid=ABSENT))
case("one-kid-two-algorithms-es", "two keys with one `kid`: the one that fits", PASS, "k", got("one-kid-two-algorithms"), key=ES)
case(
    "one-kid-two-algorithms-rs",
    "two keys with one `kid`: the one that fits",
    PASS,
    "k",
    got("one-kid-two-algorithms"),
    key=RSA,
    head=header(alg="RS256", kid="k"),
)
case(
    "one-kid-two-algorithms-neither",
    "two keys with one `kid`: neither fits",
    deny("algorithm_mismatch"),
    "k",
    got("one-kid-two-algorithms"),
    key=ED,
    head=header(alg="EdDSA", kid="k"),
)
case("one-kid-two-keys-first", "two keys with one `kid`: either may fit", PASS, "k", got("one-kid-two-keys"), key=ES_OTHER)
case("one-kid-two-keys-second", "two keys with one `kid`: either may fit", PASS, "k", got("one-kid-two-keys"), key=ES)
case("one-kid-two-keys-neither", "two keys with one `kid`: neither fits", deny("signature_invalid"), "k", got("one-kid-two-keys"), key=ES_THIRD)
case("one-kid-bad-and-good", "a key that cannot be used does not hide another", PASS, "k", got("one-kid-bad-and-good"), key=ES)
T.case(
    "unknown-kid-expired",
    "an expired token of an unknown key is of an unknown key",
    deny("key_unknown"),
    bearer=sign(header(kid="k-9"), claims(exp=1)),
    keys={"shop": [got("published")]},
)
