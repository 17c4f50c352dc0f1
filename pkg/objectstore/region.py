"""The region of an Amazon bucket, which the Config need not name.

S3 says a bucket's region in a header of every answer, also of a refusal, so one unsigned HEAD is enough. A lookup
that fails is no error: 0.9 then used the region-free host, and so does everything here.
"""

from __future__ import annotations

import dataclasses

import urllib3

from pkg.objectstore.location import AWS, StorageLocation

REGION_HEADER = "x-amz-bucket-region"
LOOKUP_SECONDS = 5.0


def with_regions(location: StorageLocation, *, host: str = "https://s3.amazonaws.com") -> StorageLocation:
    """The location with the regions of its two buckets filled in where it needs them; may ask S3, 5 s at most each.

    Only a location at Amazon is asked about: with an `s3Url` the Config's `region` (or none) is used for both.
    """
    if location.provider != AWS or location.s3_url:
        return location
    region = location.region or bucket_region(location.bucket, host=host)
    restic = region if location.restic_bucket == location.bucket and not location.region else ""
    restic = restic or bucket_region(location.restic_bucket, host=host)
    return dataclasses.replace(location, region=region, restic_region=restic)


def bucket_region(bucket: str, *, host: str) -> str:
    """The region of a bucket; empty when nobody says."""
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=LOOKUP_SECONDS))
    try:
        answer = pool.request("HEAD", f"{host}/{bucket}", redirect=False)
    except urllib3.exceptions.HTTPError:
        return ""
    finally:
        pool.clear()
    return answer.headers.get(REGION_HEADER, "")
