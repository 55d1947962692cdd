#!/usr/bin/env python3
"""Deploys the stack, asks it whether it works, and takes the deployment back where it does not.

usage: .tools/venv/bin/python deploy/aws/deploy.py [options for `sam deploy`]

What to deploy is in samconfig.toml; options, such as `--parameter-overrides`, are handed to `sam deploy`. The
stack, the region and the credentials are those of the environment: POSTERN_STACK (postern),
AWS_DEFAULT_REGION, and what the AWS SDKs look for.

A deployment that CloudFormation cannot finish, it takes back itself. One that it finished, and that does not
answer on /healthz and /readyz, is taken back here: the template that was deployed before, with the programs and
the parameters of that time, is deployed again. The exit code is 0 where the new one works, and 1 otherwise.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

FOLDER = Path(__file__).resolve().parent
SAM = Path(sys.executable).parent / "sam"
STACK = os.environ.get("POSTERN_STACK", "postern")
# Where to ask, where that is not the API itself: behind a firewall of one's own, say.
URL = os.environ.get("POSTERN_SMOKE_URL")
SECONDS = float(os.environ.get("POSTERN_SMOKE_SECONDS", "90"))


def main():
    """Deploys, and returns the exit code."""
    client = boto3.client("cloudformation")
    before = deployed(client)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder)
        if before:
            write(kept / "template.yaml", before["template"])
            print(f"deploy: kept what {STACK} runs now, to go back to", flush=True)
        sam("deploy", *sys.argv[1:], "--stack-name", STACK, "--no-confirm-changeset", folder=FOLDER)
        if works(client):
            print(f"deploy: {STACK} works", flush=True)
            return 0
        if not before:
            print("deploy: it does not work, and there is nothing to go back to", file=sys.stderr)
            return 1
        print("deploy: it does not work; going back", file=sys.stderr, flush=True)
        # In a folder without samconfig.toml: parameters that are not named keep their values.
        options = ["--template-file", "template.yaml", "--stack-name", STACK, "--resolve-s3"]
        options += ["--s3-prefix", "postern", "--capabilities", "CAPABILITY_IAM"]
        options += ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
        options += ["--parameter-overrides", *before["parameters"]]
        sam("deploy", *options, folder=kept)
    state = "works" if works(client) else "does not work either"
    print(f"deploy: what ran before runs again, and {state}", file=sys.stderr)
    return 1


def deployed(client):
    """The template and the parameters of the stack, or nothing where there is none to go back to."""
    try:
        stack = client.describe_stacks(StackName=STACK)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    # A stack whose making failed, or that was never made, has no template that works.
    if stack["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"):
        return None
    answer = client.get_template(StackName=STACK, TemplateStage="Original")
    values = [
        f"ParameterKey={one['ParameterKey']},ParameterValue={json.dumps(one['ParameterValue'])}"
        for one in stack.get("Parameters", [])
    ]
    return {"template": answer["TemplateBody"], "parameters": values}


def works(client):
    """Whether the API answers 200 on both paths, in time."""
    url = URL or api_url(client)
    missing = ["/healthz", "/readyz"]
    end = time.monotonic() + SECONDS
    while missing:
        answer = ask(url + missing[0])
        print(f"deploy: {url}{missing[0]}: {answer}", flush=True)
        if answer == 200:
            missing.pop(0)
        elif time.monotonic() > end:
            return False
        else:
            time.sleep(3)
    return True


def api_url(client):
    """What the stack says that its API's URL is."""
    stack = client.describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    return outputs["ApiUrl"]


def ask(url):
    """The status of an answer, or why there was none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


def sam(*arguments, folder):
    """Runs SAM in a folder; its failure is ours."""
    environment = {"SAM_CLI_TELEMETRY": "0", **os.environ}
    status = subprocess.run([str(SAM), *arguments], cwd=folder, env=environment, check=False).returncode
    if status != 0:
        sys.exit(f"deploy: `sam {arguments[0]}` ended with {status}; CloudFormation takes back what it began")


def write(path, template):
    """The template as it was sent: SAM's is text, and boto3 reads JSON into objects."""
    path.write_text(template if isinstance(template, str) else json.dumps(template), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
