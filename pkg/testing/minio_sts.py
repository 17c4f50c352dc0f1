"""Temporary credentials that a policy narrows, from a MinIO's security token service.

The policies that config/ ships are enforced in tests by these: what the inline policy does not allow is refused to
whoever holds the credentials, whatever their owner may do. One signed POST, so no client of MinIO's is needed.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from pkg.testing.processes import HarnessError

NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"
REGION = "us-east-1"
LIFETIME_SECONDS = 4 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryCredentials:
    """What the service gave."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)

    def write(self, path: Path) -> Path:
        """Writes them as the AWS tools' INI file; returns its path."""
        path.touch(mode=0o600)
        lines = {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.session_token,
        }
        path.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()))
        return path


def assume_role(endpoint: str, access_key: str, secret_key: str, policy: object) -> TemporaryCredentials:
    """Asks for credentials that may do what both their owner and the policy allow.

    Args:
        endpoint: Of the server.
        access_key: The owner's.
        secret_key: The owner's.
        policy: In AWS's JSON form, at most 2,048 characters when packed.

    Raises:
        HarnessError: with the server's answer.
    """
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "DurationSeconds": str(LIFETIME_SECONDS),
        "Policy": json.dumps(policy, separators=(",", ":")),
    }
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(endpoint + "/", data=body, headers=_signed(endpoint, access_key, secret_key, body))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise HarnessError(f"no temporary credentials: {error.code} {error.read().decode()}") from error
    found = ElementTree.fromstring(text).find(f".//{NAMESPACE}Credentials")
    values = {child.tag.removeprefix(NAMESPACE): child.text or "" for child in ([] if found is None else found)}
    return TemporaryCredentials(
        access_key=values["AccessKeyId"],
        secret_key=values["SecretAccessKey"],
        session_token=values["SessionToken"],
    )


def _signed(endpoint: str, access_key: str, secret_key: str, body: bytes) -> dict[str, str]:
    """The headers of a POST to the root, signed by AWS's fourth version of signatures."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": urllib.parse.urlsplit(endpoint).netloc,
        "x-amz-date": now,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    asked = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{REGION}/sts/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    grant = f"Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {grant}"}
