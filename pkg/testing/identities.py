"""Workload identity of the three clouds: the services that give a pod credentials for who it is.

A pod has a token file, or a metadata server, and no key. The fakes here hand out credentials that the emulators then
check: MinIO's temporary ones, tokens that Azurite reads, tokens that the fake of Google Cloud Storage gave.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from dataclasses import dataclass

from pkg.testing.minio_signing import Account
from pkg.testing.minio_sts import assume_role
from pkg.testing.tlsfront import Answer, Asked

AWS_ROLE = "arn:aws:iam::123456789012:role/ark"
AZURE_TENANT, AZURE_CLIENT = "5f2ba5f5-8b6b-4a53-9d7c-1d4f54ad25b7", "9e1d2c3b-0000-4000-8000-1234567890ab"
AZURE_LOGIN = "login.microsoftonline.com"
TOKEN = "the-token-that-the-kubelet-projected"
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsTokens:
    """The rule of AWS's security token service: temporary credentials of an account for the pod's token."""

    account: Account

    def __call__(self, asked: Asked) -> Answer:
        """Answers one AssumeRoleWithWebIdentity."""
        query = asked.path.partition("?")[2]
        said = dict(urllib.parse.parse_qsl(f"{query}&{asked.body.decode()}"))
        if (said.get("WebIdentityToken"), said.get("RoleArn")) != (TOKEN, AWS_ROLE):
            return Answer(status=403, body=b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
        given = assume_role(self.account, _EVERYTHING)
        body = (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{given.access_key}</AccessKeyId>"
            f"<SecretAccessKey>{given.secret_key}</SecretAccessKey><SessionToken>{given.session_token}</SessionToken>"
            "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        return Answer(status=200, body=body.encode(), headers={"Content-Type": "text/xml"})


def azure_tokens(asked: Asked) -> Answer:
    """The rule of Azure's login service: what clients look up first, and a token for the pod's own."""
    tenant = f"https://{AZURE_LOGIN}/{AZURE_TENANT}"
    if "/discovery/instance" in asked.path:
        hosts = {"preferred_network": AZURE_LOGIN, "preferred_cache": AZURE_LOGIN, "aliases": [AZURE_LOGIN]}
        found = f"{tenant}/v2.0/.well-known/openid-configuration"
        return _json(200, {"tenant_discovery_endpoint": found, "metadata": [hosts]})
    if "openid-configuration" in asked.path:
        ends = {"token_endpoint": "token", "authorization_endpoint": "authorize"}
        addresses = {name: f"{tenant}/oauth2/v2.0/{end}" for name, end in ends.items()}
        return _json(200, {"issuer": f"{tenant}/v2.0", **addresses})
    said = dict(urllib.parse.parse_qsl(asked.body.decode()))
    if (said.get("client_assertion"), said.get("client_id")) != (TOKEN, AZURE_CLIENT):
        return _json(401, {"error": "invalid_client", "error_description": "who is that?"})
    return _json(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": _azure_token()})


def _azure_token() -> str:
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{AZURE_TENANT}/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
        "tid": AZURE_TENANT,
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    return ".".join([*(_base64(json.dumps(part).encode()) for part in parts), _base64(b"read by nobody")])


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _json(status: int, content: dict[str, object]) -> Answer:
    return Answer(status=status, body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})
