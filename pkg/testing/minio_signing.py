"""Requests to a MinIO that no client of ours makes, signed by AWS's fourth version of signatures."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from pkg.testing.processes import HarnessError

REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks, and where."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


def ask(
    account: Account,
    method: str,
    path: str,
    body: bytes,
    *,
    service: str = "s3",
    query: str = "",
    headers: Mapping[str, str] | None = None,
) -> str:
    """Sends a request; returns what was answered.

    Raises:
        HarnessError: with the server's answer.
    """
    signed = _signed(account, method, path, body, service=service, query=query, headers=headers or {})
    url = f"{account.endpoint}{path}" + (f"?{query}" if query else "")
    request = urllib.request.Request(url, data=body, headers=signed, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise HarnessError(f"{method} {url}: {error.code} {error.read().decode()}") from error
    return text


def _signed(
    account: Account, method: str, path: str, body: bytes, *, service: str, query: str, headers: Mapping[str, str]
) -> dict[str, str]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    own = {"host": urllib.parse.urlsplit(account.endpoint).netloc, "x-amz-content-sha256": digest, "x-amz-date": now}
    sent = dict(sorted({**headers, **own}.items()))
    names = ";".join(sent)
    lines = "".join(f"{name}:{value}\n" for name, value in sent.items())
    canonical = f"{query}=" if query and "=" not in query else query
    asked = f"{method}\n{path}\n{canonical}\n{lines}\n{names}\n{digest}"
    scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = b"AWS4" + account.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    grant = f"Credential={account.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "authorization": f"AWS4-HMAC-SHA256 {grant}"}
