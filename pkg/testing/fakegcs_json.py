"""The JSON interface of the fake of Google Cloud Storage: what restic's client speaks."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse

from pkg.testing.fakegcs_objects import Blob, Buckets, MissingBucketError
from pkg.testing.tlsfront import Answer, Asked

_PATH = re.compile(r"/(?:upload/)?storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?$")
_CASTAGNOLI = 0x82F63B78


def answer_json(buckets: Buckets, asked: Asked) -> Answer:
    """Answers one request for a bucket, a listing or an object."""
    address = urllib.parse.urlsplit(asked.path)
    query = dict(urllib.parse.parse_qsl(address.query))
    found = _PATH.match(address.path)
    if not found:
        return _error(404, "notFound")
    bucket, name = found[1], urllib.parse.unquote(found[2] or "")
    try:
        if asked.method == "POST":
            return _upload(buckets, bucket, query, asked)
        if name:
            return _object(buckets, bucket, name, asked.method)
        if address.path.endswith("/o"):
            return _listing(buckets, bucket, query)
        buckets.bucket(bucket)
        return _json(200, {"kind": "storage#bucket", "name": bucket})
    except MissingBucketError:
        return _error(404, "notFound")


def _object(buckets: Buckets, bucket: str, name: str, method: str) -> Answer:
    found = buckets.bucket(bucket).get(name)
    if not found:
        return _error(404, "notFound")
    if method == "DELETE":
        del buckets.bucket(bucket)[name]
        return Answer(status=204)
    return _json(200, _metadata(bucket, name, found))


def _upload(buckets: Buckets, bucket: str, query: dict[str, str], asked: Asked) -> Answer:
    boundary = asked.header("content-type").partition("boundary=")[2].strip('"').encode()
    _, _, part = asked.body.split(b"--" + boundary + b"\r\n", 2)
    content = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n--" + boundary + b"--\r\n")
    written = buckets.put(bucket, query["name"], content, query.get("ifGenerationMatch", ""))
    return _json(200, _metadata(bucket, query["name"], written)) if written else _error(412, "conditionNotMet")


def _listing(buckets: Buckets, bucket: str, query: dict[str, str]) -> Answer:
    page = buckets.listing(bucket, query.get("prefix", ""), query.get("delimiter", ""), query.get("pageToken", ""))
    objects = buckets.bucket(bucket)
    items = [_metadata(bucket, name, objects[name]) for name in page.names]
    listing: dict[str, object] = {"kind": "storage#objects", "items": items, "prefixes": page.prefixes}
    return _json(200, {**listing, **({"nextPageToken": page.following} if page.following else {})})


def _metadata(bucket: str, name: str, blob: Blob) -> dict[str, object]:
    return {
        "kind": "storage#object",
        "name": name,
        "bucket": bucket,
        "size": str(len(blob.content)),
        "generation": str(blob.generation),
        "crc32c": base64.b64encode(_crc32c(blob.content).to_bytes(4, "big")).decode(),
        "updated": "2023-01-02T00:00:00.000Z",
    }


def _crc32c(content: bytes) -> int:
    """The checksum that Google's clients compare with their own."""
    checksum = 0xFFFFFFFF
    for byte in content:
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum ^ 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_CASTAGNOLI if value & 1 else 0)
    return value


_TABLE = [_row(value) for value in range(256)]


def _error(status: int, reason: str) -> Answer:
    return _json(status, {"error": {"code": status, "message": reason, "errors": [{"reason": reason}]}})


def _json(status: int, content: dict[str, object]) -> Answer:
    return Answer(status=status, body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})
