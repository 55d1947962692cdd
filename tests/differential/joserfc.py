"""What PyPI's `joserfc` says of tokens.

One JSON object a line on standard input:
  {token, jwks, algorithms, issuer, audience, now, skew}, where `jwks` is the text of a JWK Set
and one a line on standard output: {accept, error}.
"""

import json
import sys
import warnings

# The folder of this file has its name: it is not the package.
sys.path.pop(0)

from joserfc import jwt  # noqa: E402
from joserfc.jwk import KeySet  # noqa: E402

warnings.simplefilter("ignore")

key_sets = {}


def key_set(text):
    if text not in key_sets:
        key_sets[text] = KeySet.import_key_set(json.loads(text))
    return key_sets[text]


def verify(case):
    token = jwt.decode(case["token"], key_set(case["jwks"]), algorithms=case["algorithms"])
    rules = jwt.JWTClaimsRegistry(
        now=case["now"],
        leeway=case["skew"],
        iss={"essential": True, "value": case["issuer"]},
        aud={"essential": True, "values": case["audience"]},
        exp={"essential": True},
    )
    rules.validate(token.claims)


for line in sys.stdin:
    try:
        verify(json.loads(line))
        verdict = {"accept": True, "error": None}
    except Exception as error:  # whatever it is, it is no acceptance
        verdict = {"accept": False, "error": getattr(error, "error", None) or type(error).__name__}
    print(json.dumps(verdict), flush=False)
