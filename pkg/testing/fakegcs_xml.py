"""The XML interface of the fake of Google Cloud Storage: what obstore speaks, and restic for contents."""

from __future__ import annotations

import re
import secrets
import urllib.parse
from xml.sax.saxutils import escape

from pkg.testing.fakegcs_objects import Blob, Buckets, MissingBucketError
from pkg.testing.tlsfront import Answer, Asked

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_DATE = "Mon, 02 Jan 2023 00:00:00 GMT"


def answer_xml(buckets: Buckets, asked: Asked) -> Answer:
    """Answers one request for a bucket or an object."""
    address = urllib.parse.urlsplit(asked.path)
    bucket, _, name = urllib.parse.unquote(address.path).lstrip("/").partition("/")
    query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
    try:
        if not name:
            return _listing(buckets, bucket, query)
        if "uploads" in query or "uploadId" in query:
            return _multipart(buckets, bucket, name, query, asked)
        return _object(buckets, bucket, name, asked)
    except MissingBucketError:
        return xml_error(404, "NoSuchBucket")


def xml_error(status: int, code: str) -> Answer:
    """A refusal in the form of this interface."""
    return _xml(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>")


def contents(blob: Blob, wanted: str) -> Answer:
    """An object's content, or the part that a Range header wants."""
    found = _RANGE.match(wanted)
    size = len(blob.content)
    if not found:
        return Answer(status=200, body=blob.content, headers=_headers(blob))
    first, last = int(found[1]), min(int(found[2] or size), size - 1)
    headers = {**_headers(blob), "Content-Range": f"bytes {first}-{last}/{size}"}
    return Answer(status=206, body=blob.content[first : last + 1], headers=headers)


def _headers(blob: Blob) -> dict[str, str]:
    return {
        "ETag": f'"{blob.generation:x}"',
        "x-goog-generation": str(blob.generation),
        "Last-Modified": _DATE,
        "Content-Type": "application/octet-stream",
    }


def _object(buckets: Buckets, bucket: str, name: str, asked: Asked) -> Answer:
    found = buckets.bucket(bucket).get(name)
    if asked.method == "PUT":
        written = buckets.put(bucket, name, asked.body, asked.header("x-goog-if-generation-match"))
        return Answer(status=200, headers=_headers(written)) if written else xml_error(412, "PreconditionFailed")
    if not found:
        return xml_error(404, "NoSuchKey")
    if asked.method == "DELETE":
        del buckets.bucket(bucket)[name]
        return Answer(status=204)
    return contents(found, asked.header("range"))


def _multipart(buckets: Buckets, bucket: str, name: str, query: dict[str, str], asked: Asked) -> Answer:
    if "uploads" in query:
        buckets.bucket(bucket)
        upload = secrets.token_hex(8)
        buckets.uploads[upload] = {}
        return _xml(
            200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        )
    parts = buckets.uploads.get(query["uploadId"])
    if parts is None:
        return xml_error(404, "NoSuchUpload")
    if asked.method == "PUT":
        number = int(query["partNumber"])
        parts[number] = asked.body
        return Answer(status=200, headers={"ETag": f'"{number}"'})
    del buckets.uploads[query["uploadId"]]
    if asked.method == "DELETE":
        return Answer(status=204)
    written = buckets.put(bucket, name, b"".join(parts[number] for number in sorted(parts)), "")
    etag = f"{written.generation:x}" if written else ""
    done = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
    return _xml(200, done, {"x-goog-generation": str(written.generation if written else 0)})


def _listing(buckets: Buckets, bucket: str, query: dict[str, str]) -> Answer:
    objects = buckets.bucket(bucket)
    page = buckets.listing(
        bucket, query.get("prefix", ""), query.get("delimiter", ""), query.get("continuation-token", "")
    )
    entries = "".join(
        f"<Contents><Key>{escape(name)}</Key><Size>{len(objects[name].content)}</Size>"
        f"<LastModified>2023-01-02T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{objects[name].generation:x}&quot;</ETag></Contents>"
        for name in page.names
    )
    entries += "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in page.prefixes)
    following = f"<NextContinuationToken>{escape(page.following)}</NextContinuationToken>" if page.following else ""
    return _xml(200, f"<ListBucketResult>{entries}{following}</ListBucketResult>")


def _xml(status: int, content: str, headers: dict[str, str] | None = None) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>{content}'.encode()
    return Answer(status=status, body=body, headers={"Content-Type": "application/xml", **(headers or {})})
