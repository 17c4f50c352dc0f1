"""Temporary credentials that a policy narrows, from a MinIO's security token service.

The policies that config/ ships are enforced in tests by these: what the inline policy does not allow is refused to
whoever holds the credentials, whatever their owner may do. One signed POST, so no client of MinIO's is needed.
"""

from __future__ import annotations

import json
import urllib.parse
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from pkg.testing.minio_signing import Account, ask

NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"
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


def assume_role(account: Account, policy: object) -> TemporaryCredentials:
    """Asks for credentials that may do what both their owner and the policy allow.

    Args:
        account: The owner.
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
    kind = {"content-type": "application/x-www-form-urlencoded"}
    text = ask(account, "POST", "/", body, service="sts", headers=kind)
    found = ElementTree.fromstring(text).find(f".//{NAMESPACE}Credentials")
    values = {child.tag.removeprefix(NAMESPACE): child.text or "" for child in ([] if found is None else found)}
    return TemporaryCredentials(
        access_key=values["AccessKeyId"],
        secret_key=values["SecretAccessKey"],
        session_token=values["SessionToken"],
    )
