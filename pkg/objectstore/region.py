"""The region of an Amazon bucket, which the Config need not name.

S3 says a bucket's region in a header of every answer, also of a refusal, so one unsigned HEAD is enough; China and the
American government's clouds know their own buckets only, so they are asked after the rest of the world said nothing. A
lookup that fails is no error: 0.9 then used the region-free host, and so does everything here, until the next look.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import ssl
import urllib.request
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import urllib3

from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.objectstore.credentials import ca_file_of
from pkg.objectstore.location import AWS, StorageLocation, amazon_host

REGION_HEADER = "x-amz-bucket-region"
LOOKUP_SECONDS = 5.0
AGAIN_SECONDS = 60.0
HOSTS = tuple(f"https://{amazon_host(region)}" for region in ("", "cn-north-1", "us-gov-west-1"))


def with_regions(location: StorageLocation, region_of: Callable[[str], str]) -> StorageLocation:
    """The location with the regions of its two buckets filled in where it needs them.

    Only a location at Amazon is asked about: with an `s3Url` the Config's `region` (or none) is used for both.
    """
    if location.provider != AWS or location.s3_url:
        return location
    region = location.region or region_of(location.bucket)
    restic = region if location.restic_bucket == location.bucket else region_of(location.restic_bucket) or region
    return dataclasses.replace(location, region=region, restic_region=restic)


def bucket_region(bucket: str, *, hosts: Sequence[str] = HOSTS) -> str:
    """The region of a bucket; empty when nobody says."""
    for host in hosts:
        answer = _head(host, bucket)
        if answer is None:
            return ""
        if region := answer.headers.get(REGION_HEADER, ""):
            return region
    return ""


def _head(host: str, bucket: str) -> urllib3.BaseHTTPResponse | None:
    """The answer; None when there is none."""
    pool = _pool(host)
    try:
        return pool.request("HEAD", f"{host}/{bucket}", redirect=False)
    except urllib3.exceptions.HTTPError:
        return None
    finally:
        pool.clear()


def _pool(host: str) -> urllib3.PoolManager:
    """Through the proxy and with the certificates that restic and obstore use, too."""
    address, timeout = urlsplit(host), urllib3.Timeout(total=LOOKUP_SECONDS)
    proxy = urllib.request.getproxies().get(address.scheme, "")
    if not proxy or urllib.request.proxy_bypass(address.netloc):
        return urllib3.PoolManager(retries=False, timeout=timeout, ssl_context=_trust())
    return urllib3.ProxyManager(proxy, retries=False, timeout=timeout, ssl_context=_trust())


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file := ca_file_of(os.environ):
        with contextlib.suppress(OSError):  # the store's own client says what is wrong with it
            context.load_verify_locations(ca_file)
    return context


class Regions:
    """Finds the regions of a location's buckets; what was found is not asked again, what was not after a minute."""

    def __init__(self, look_up: Callable[[str], str] = bucket_region, *, clock: Clock = REAL_CLOCK) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: dict[str, str] = {}
        self._asked_at: dict[str, float] = {}

    def __call__(self, location: StorageLocation) -> StorageLocation:
        """The location with its regions; may ask S3."""
        return with_regions(location, self._region)

    def is_due(self, location: StorageLocation) -> bool:
        """Whether a location lacks a region that may be found now."""
        if location.provider != AWS or location.s3_url:
            return False
        buckets = {bucket for bucket in (location.bucket, location.restic_bucket) if not location.region_of(bucket)}
        return any(self._may_ask(bucket) for bucket in buckets)

    def _region(self, bucket: str) -> str:
        if bucket not in self._known and self._may_ask(bucket):
            self._asked_at[bucket] = self._clock.monotonic()
            if found := self._look_up(bucket):
                self._known[bucket] = found
        return self._known.get(bucket, "")

    def _may_ask(self, bucket: str) -> bool:
        asked_at = self._asked_at.get(bucket)
        return asked_at is None or self._clock.monotonic() - asked_at >= AGAIN_SECONDS
