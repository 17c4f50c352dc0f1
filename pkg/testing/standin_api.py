"""A client of a page for the stand-in node, so that it does not lean on the client that the tests test."""

import base64
import json
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from pkg.apis.meta import JsonObject
from pkg.kube.refs import SERVICE_ACCOUNTS
from pkg.kube.resources import ResourceRef
from pkg.testing.kubeconfig import by_token, write_kubeconfig

T = TypeVar("T")
TIMEOUT_SECONDS = 10
ABSENT, EXISTS = 404, 409
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused, or did not answer (status 0)."""

    def __init__(self, what: str, status: int, text: str) -> None:
        super().__init__(f"{what}: {status} {text}")
        self.status = status


class _List(msgspec.Struct):
    items: list[msgspec.Raw]


class _TokenStatus(msgspec.Struct):
    token: str


class _Token(msgspec.Struct):
    status: _TokenStatus


class Api:
    """Requests with the credentials of a kubeconfig that the harness wrote."""

    def __init__(self, kubeconfig: Path) -> None:
        content = json.loads(kubeconfig.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        self._server: str = cluster["server"]
        self._headers = {"User-Agent": "ark-standin-node"}
        self.ca = _decoded(cluster["certificate-authority-data"])
        context = ssl.create_default_context(cadata=self.ca)
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        else:
            _load_certificate(context, user)
        self._pool = urllib3.PoolManager(
            ssl_context=context, maxsize=4, retries=False, timeout=urllib3.Timeout(TIMEOUT_SECONDS)
        )

    def list(self, ref: ResourceRef, kind: type[T], *, field_selector: str = "") -> list[T]:
        """Return all objects of a kind, as the server's watch cache has them."""
        fields = {"resourceVersion": "0"} | ({"fieldSelector": field_selector} if field_selector else {})
        listed = msgspec.json.decode(self._request("GET", ref.path(), fields=fields), type=_List)
        return [msgspec.json.decode(item, type=kind) for item in listed.items]

    def create(self, ref: ResourceRef, namespace: str, manifest: JsonObject) -> bool:
        """Create an object; returns False when there is one of that name."""
        return self._unless(EXISTS, "POST", ref.path(namespace), manifest)

    def patch(
        self,
        ref: ResourceRef,
        namespace: str,
        name: str,
        patch: JsonObject,
        *,
        subresource: str = "",
        content_type: str = STRATEGIC,
    ) -> bool:
        """Patch an object; returns False when it is gone."""
        return self._unless(ABSENT, "PATCH", ref.path(namespace, name, subresource), patch, content_type)

    def delete(self, ref: ResourceRef, namespace: str, name: str, uid: str) -> bool:
        """Delete an object at once if it is still the same; returns False when it is not there."""
        options: JsonObject = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        try:
            return self._unless(ABSENT, "DELETE", ref.path(namespace, name), options)
        except ApiError as error:
            if error.status != EXISTS:
                raise
            return False

    def write_account_kubeconfig(self, namespace: str, account: str, path: Path) -> None:
        """Write a kubeconfig with a fresh token of a service account, as a kubelet mounts one."""
        asked: JsonObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self._request(
            "POST", SERVICE_ACCOUNTS.path(namespace, account, "token"), body=msgspec.json.encode(asked)
        )
        token = msgspec.json.decode(answer, type=_Token).status.token
        ca_file = path.with_suffix(".ca")
        ca_file.write_text(self.ca)
        write_kubeconfig(path, server_url=self._server, ca_file=ca_file, user=by_token(token))

    def _unless(
        self, status: int, method: str, path: str, body: JsonObject, content_type: str = "application/json"
    ) -> bool:
        try:
            self._request(method, path, body=msgspec.json.encode(body), content_type=content_type)
        except ApiError as error:
            if error.status != status:
                raise
            return False
        return True

    def _request(
        self,
        method: str,
        path: str,
        *,
        fields: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        what = f"{method} {path}"
        headers = {**self._headers, "Content-Type": content_type}
        query = f"?{urlencode(fields)}" if fields else ""
        try:
            answer = self._pool.request(method, f"{self._server}{path}{query}", body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(what, 0, str(error)) from error
        if answer.status >= 400:
            raise ApiError(what, answer.status, answer.data.decode(errors="replace")[:500])
        return answer.data


def _load_certificate(context: ssl.SSLContext, user: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory) / "crt", Path(directory) / "key"
        certificate.write_text(_decoded(user["client-certificate-data"]))
        key.write_text(_decoded(user["client-key-data"]))
        context.load_cert_chain(certificate, key)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
