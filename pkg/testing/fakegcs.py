"""Google Cloud Storage as far as obstore (XML interface) and restic (JSON interface) use it, in memory.

The emulator that others use knows no uploads through the XML interface, so this one is ours. What it takes seriously
is what a backup depends on: who asks (tokens for signed assertions, signed addresses), conditions on generations,
whole listings in pages, and buckets that are not there. It is the rule of a `TlsFront`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import urllib.parse
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pkg.testing.fakegcs_json import answer_json
from pkg.testing.fakegcs_objects import Buckets
from pkg.testing.fakegcs_xml import answer_xml, xml_error
from pkg.testing.tlsfront import Answer, Asked

HOSTS = ("storage.googleapis.com", "oauth2.googleapis.com")
JSON_PATHS = ("/storage/v1/", "/upload/storage/v1/")
METADATA_PATH = "/computeMetadata/v1/"
_SIGNATURE = "X-Goog-Signature"


@dataclass(slots=True)
class FakeGcs:
    """The service, with one service account."""

    buckets: Buckets = field(default_factory=Buckets)
    email: str = "ark@test-project.iam.gserviceaccount.com"
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    _tokens: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def service_account(self, *, key: rsa.RSAPrivateKey | None = None) -> str:
        """The JSON file of the service account; with another key, one that is refused."""
        pem = (key or self._key).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "test-project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        return json.dumps(account)

    def __call__(self, asked: Asked) -> Answer:
        """Answers one request."""
        address = urllib.parse.urlsplit(asked.path)
        if address.path == "/token":
            return self._token_for_assertion(asked)
        if address.path.startswith(METADATA_PATH):
            return self._metadata(asked, address.path.removeprefix(METADATA_PATH))
        if not self._is_known(asked, address):
            return xml_error(401, "AuthenticationRequired")
        with self._lock:
            if address.path.startswith(JSON_PATHS):
                return answer_json(self.buckets, asked)
            return answer_xml(self.buckets, asked)

    def _token_for_assertion(self, asked: Asked) -> Answer:
        if self._is_ours(urllib.parse.parse_qs(asked.body.decode()).get("assertion", [""])[0]):
            return self._new_token()
        return _json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})

    def _metadata(self, asked: Asked, name: str) -> Answer:
        if asked.header("metadata-flavor") != "Google":
            return Answer(status=403)
        if name.endswith("/token"):
            return self._new_token()
        return Answer(status=200, body=b"test-project", headers={"Metadata-Flavor": "Google"})

    def _new_token(self) -> Answer:
        token = secrets.token_hex(16)
        self._tokens.add(token)
        answer = _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})
        answer.headers["Metadata-Flavor"] = "Google"
        return answer

    def _is_known(self, asked: Asked, address: urllib.parse.SplitResult) -> bool:
        bearer = asked.header("authorization").removeprefix("Bearer ")
        if bearer in self._tokens or self._is_ours(bearer):  # obstore shows what it signed itself, restic a token
            return True
        query = dict(urllib.parse.parse_qsl(address.query))
        if asked.method != "GET" or _SIGNATURE not in query:
            return False
        return self._is_signed(_to_sign(asked, address, query), bytes.fromhex(query[_SIGNATURE]))

    def _is_ours(self, assertion: str) -> bool:
        signed, _, signature = assertion.rpartition(".")
        return self._is_signed(signed.encode(), base64.urlsafe_b64decode(signature + "=="))

    def _is_signed(self, content: bytes, signature: bytes) -> bool:
        try:
            self._key.public_key().verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def _to_sign(asked: Asked, address: urllib.parse.SplitResult, query: dict[str, str]) -> bytes:
    """What Google's fourth version of signatures covers of a request for a signed address."""
    pairs = sorted((name, value) for name, value in query.items() if name != _SIGNATURE)
    canonical_query = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
    lines = ["GET", address.path, canonical_query, f"host:{asked.header('host')}", "", "host", "UNSIGNED-PAYLOAD"]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = query["X-Goog-Credential"].partition("/")[2]
    return "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope, digest]).encode()


def _json(status: int, content: dict[str, object]) -> Answer:
    return Answer(status=status, body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})
