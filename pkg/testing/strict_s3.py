"""What strict S3 servers refuse, in front of a MinIO that takes it: a second S3 as seen by the clients.

The rules are those that people met with Ceph, Google's interoperability endpoint, older appliances and gateways:
checksums that nobody configured (headers and trailers), bodies without a length, buckets in the host name, and
signatures for another region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkg.objectstore.region import REGION_HEADER
from pkg.testing.minio import AMAZON_REGION
from pkg.testing.tlsfront import Answer, Asked

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/s3/")
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer", "x-amz-decoded-content-length")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictS3:
    """The rule of such a server.

    Attributes:
        host: Its one name; a bucket in front of it is refused.
        region: The one region it accepts signatures for.
    """

    host: str
    region: str

    def __call__(self, asked: Asked) -> Answer | None:
        """Refuses, or lets pass."""
        if asked.header("host").partition(":")[0] not in (self.host, "127.0.0.1"):
            return _refusal(400, "InvalidRequest", "buckets are addressed by path here")
        if any(name.lower().startswith(_CHECKSUMS) for name in asked.headers):
            return _refusal(501, "NotImplemented", "a header implies functionality that is not implemented")
        if "aws-chunked" in asked.header("content-encoding") or "STREAMING" in asked.header("x-amz-content-sha256"):
            return _refusal(501, "NotImplemented", "chunked signatures are not implemented")
        if asked.method in ("PUT", "POST") and not asked.header("content-length"):
            return _refusal(411, "MissingContentLength", "you must provide the Content-Length header")
        signed = _SCOPE.search(asked.header("authorization"))
        if signed and signed[1] != self.region and "location" not in asked.path:
            return _refusal(400, "AuthorizationHeaderMalformed", f"the region is wrong; expecting {self.region}")
        return None


def amazon(asked: Asked) -> Answer | None:
    """The rule of Amazon: it tells everybody a bucket's region, and refuses signatures for another one.

    As into a bucket with object lock, nothing is uploaded without a checksum.
    """
    if asked.method == "HEAD" and not asked.header("authorization"):
        return Answer(status=403, headers={REGION_HEADER: AMAZON_REGION})
    signed = _SCOPE.search(asked.header("authorization"))
    if signed and signed[1] != AMAZON_REGION and "location" not in asked.path:
        return _refusal(400, "AuthorizationHeaderMalformed", f"the region is wrong; expecting {AMAZON_REGION}")
    sums = ("x-amz-checksum-sha256", "content-md5")
    if asked.method == "PUT" and not any(asked.header(name) for name in sums):
        return _refusal(400, "InvalidRequest", "Content-MD5 or a checksum is required")
    return None


def _refusal(status: int, code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status=status, body=body.encode(), headers={"Content-Type": "application/xml"})
