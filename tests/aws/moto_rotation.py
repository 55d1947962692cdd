"""moto's server, with a rotation that calls the rotation function.

moto runs Lambda functions in Docker alone. Here each step of a rotation is a POST of its event to the
URL in POSTERN_ROTATION_URL, as a local Lambda runtime takes it (`.../invocations`). Two differences
from AWS are mended besides:

- when a step fails, the rotation stops there and the version stays pending; RotateSecret, which on AWS
  has answered long before, then fails, so that a test sees it;
- moving a label is atomic, which the threads of moto's server are not.
"""

import os
import sys
import threading
import urllib.error
import urllib.request

from moto.awslambda.models import LambdaBackend
from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend
from moto.server import main

LIMIT_SECONDS = 30


def invoke(self, function_name, qualifier, body, headers, response_headers):
    request = urllib.request.Request(
        os.environ["POSTERN_ROTATION_URL"], body.encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            text, failed = answer.read(), answer.headers.get("x-amz-function-error")
    except urllib.error.HTTPError as error:
        text, failed = error.read(), error.reason
    if failed:
        raise InvalidRequestException(f"the rotation function failed: {text.decode()}")
    return text


move_label = SecretsManagerBackend.update_secret_version_stage
lock = threading.Lock()


def move_label_alone(self, *arguments, **named):
    with lock:
        return move_label(self, *arguments, **named)


LambdaBackend.invoke = invoke
# Every function exists: which one is meant, the URL says.
LambdaBackend.get_function = lambda self, function_name_or_arn, qualifier=None: None
SecretsManagerBackend.update_secret_version_stage = move_label_alone

main(sys.argv[1:])
