"""Where backups and restic repositories lie, and the checks that keep one from owning the other.

The restic identifiers are Ark 0.9's (pkg/restic/config.go of heptio/ark v0.9), because they are stored in objects
and repositories that exist. Invariant: no repository's directory contains a backup and no backup's contains a
repository, so a deletion by known keys can never touch the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pkg.apis.ark import StorageProvider
from pkg.apis.names import RESERVED_BACKUP_NAMES
from pkg.objectstore.errors import LocationInvalidError

AWS, AZURE, GCP, LOCAL = "aws", "azure", "gcp", "local"
_LONGEST_BUCKET_NAME = {AWS: 63, AZURE: 63, GCP: 222, LOCAL: 255}
_AMAZON = re.compile(r"^s3:(?:https://)?s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(\.cn)?/")
_CHECKSUM = "SHA256"
_SHORTEST_BUCKET_NAME = 3  # restic retries a shorter one for 15 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLocation:
    """A storage location that passed the checks of `storage_location`.

    Attributes:
        prefix: Below which all backups lie, without slashes at its ends; empty for the bucket's root.
        restic_location: `bucket` or `bucket/path` that holds one repository per namespace.
        region: S3 region; empty when the Config names none and nobody looked it up.
        restic_region: Region of the restic location's bucket, for the host in its address.
    """

    provider: str
    bucket: str
    prefix: str = ""
    restic_location: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    restic_region: str = ""

    @property
    def restic_bucket(self) -> str:
        """The bucket of the repositories."""
        return self.restic_location.partition("/")[0]

    @property
    def restic_prefix(self) -> str:
        """The path of the repositories in their bucket; empty for its root."""
        return self.restic_location.partition("/")[2]

    @property
    def s3_url(self) -> str:
        """The endpoint of a store that is not Amazon's; empty for Amazon's."""
        return self.config.get("s3Url", "").rstrip("/") if self.provider == AWS else ""

    @property
    def path_style(self) -> bool:
        """Whether the bucket is the first path segment, not a part of the host name."""
        asked = self.config.get("s3ForcePathStyle", "").lower()
        return asked == "true" if asked else bool(self.s3_url)

    @property
    def checksum_algorithm(self) -> str:
        """What S3 is sent a checksum by; empty for none.

        Amazon's buckets with object lock take nothing without one, and some other stores refuse the header: so only
        Amazon gets it unless the Config says otherwise.
        """
        asked = self.config.get("checksumAlgorithm", "none" if self.s3_url else _CHECKSUM).upper()
        return "" if asked in ("", "NONE") else asked

    @property
    def endpoint(self) -> str:
        """What messages call the place that requests go to."""
        places = {
            AWS: self.s3_url or amazon_host(self.region),
            AZURE: "Azure Blob Storage",
            GCP: "Google Cloud Storage",
        }
        return places.get(self.provider) or self.config.get("path", "")

    def restic_identifier(self, namespace: str) -> str:
        """Restic's repository address for a namespace's volumes, as Ark 0.9 builds it."""
        bucket, path = self.restic_bucket, self.restic_prefix
        match self.provider:
            case "aws":
                prefix = f"s3:{self._restic_host}/{self.restic_location}"
            case "azure":
                prefix = f"azure:{bucket}:/{path}"
            case "gcp":
                prefix = f"gs:{bucket}:/{path}"
            case _:
                prefix = f"{self.config['path'].rstrip('/')}/{self.restic_location}"
        return f"{prefix.removesuffix('/')}/{namespace}"

    def is_at(self, identifier: str, namespace: str) -> bool:
        """Whether a repository's address means this place, in whatever form 0.9 or an earlier lookup wrote it."""
        return _one_form(identifier) == _one_form(self.restic_identifier(namespace))

    def region_of(self, bucket: str) -> str:
        """The S3 region of one of the two buckets; empty when nobody knows it."""
        return self.region if bucket == self.bucket else self.restic_region or self.region

    @property
    def _restic_host(self) -> str:
        region = self.restic_region
        if self.s3_url:
            return self.s3_url
        return f"s3-{region}.amazonaws.com" if region and not _is_chinese(region) else amazon_host(region)

    @property
    def restic_options(self) -> tuple[str, ...]:
        """Restic's `-o` options for this location."""
        storage_class = self.config.get("resticStorageClass", "")
        if self.provider == AZURE and storage_class:
            return (f"azure.access-tier={storage_class}",)
        if self.provider != AWS:
            return ()
        options = (f"s3.region={self.restic_region}",) if self.restic_region else ()
        options = (*options, f"s3.storage-class={storage_class}") if storage_class else options
        return (*options, "s3.bucket-lookup=path") if self.path_style else options

    @property
    def reserved_backup_names(self) -> frozenset[str]:
        """Names that no backup here may have, because something else lies there."""
        below = _below(self.prefix, self.restic_prefix) if self.restic_bucket == self.bucket else None
        return RESERVED_BACKUP_NAMES | ({below.partition("/")[0]} if below else frozenset())


def amazon_host(region: str) -> str:
    """Amazon's host for a region, or for any bucket; China has a domain of its own."""
    domain = "amazonaws.com.cn" if _is_chinese(region) else "amazonaws.com"
    return f"s3.{region}.{domain}" if region else f"s3.{domain}"


def _is_chinese(region: str) -> bool:
    return region.startswith("cn-")


def _one_form(identifier: str) -> str:
    """Amazon has several hosts for one bucket, and 0.9 kept the slash at the end of an `s3Url`."""
    return re.sub(r"(?<!:)/{2,}", "/", _AMAZON.sub(r"s3:amazonaws.com\1/", identifier))


def storage_location(provider: StorageProvider) -> StorageLocation:
    """The location that a Config's `backupStorageProvider` describes.

    Raises:
        LocationInvalidError: With the sentence for the Config's status.
    """
    config = dict(provider.config or {})
    bucket, prefix = provider.bucket or config.get("bucket", ""), provider.prefix.strip("/")
    default = "/".join(filter(None, (bucket, prefix, "restic")))
    restic_location = provider.restic_location.strip("/") or default
    region = config.get("region", "") if provider.name == AWS else ""
    location = StorageLocation(
        provider=provider.name,
        bucket=bucket,
        prefix=prefix,
        restic_location=restic_location,
        config=config,
        region=region,
        restic_region=region if config.get("s3Url") else "",
    )
    _check_provider(location)
    _check_bucket_name("bucket", location.bucket, location.provider)
    _check_bucket_name("the bucket of resticLocation", location.restic_bucket, location.provider)
    _check_path("prefix", location.prefix)
    _check_path("the path of resticLocation", location.restic_prefix)
    _check_apart(location)
    return location


def _check_provider(location: StorageLocation) -> None:
    if location.provider not in _LONGEST_BUCKET_NAME:
        known = f"{AWS}, {AZURE} or {GCP}"
        raise LocationInvalidError(f"backupStorageProvider.name is {location.provider!r}, it must be {known}")
    if location.provider == LOCAL and not location.config.get("path", "").startswith("/"):
        raise LocationInvalidError("backupStorageProvider.config.path of the local provider must be an absolute path")
    if any(character.isspace() for character in location.s3_url):
        raise LocationInvalidError(f"backupStorageProvider.config.s3Url {location.s3_url!r} is not an address")
    if location.checksum_algorithm not in ("", _CHECKSUM):
        raise LocationInvalidError(
            f"backupStorageProvider.config.checksumAlgorithm is {location.checksum_algorithm!r}, it must be {_CHECKSUM}"
            " or none"
        )


def _check_bucket_name(what: str, name: str, provider: str) -> None:
    if not name:
        raise LocationInvalidError(f"backupStorageProvider: {what} is missing")
    if not _SHORTEST_BUCKET_NAME <= len(name) <= _LONGEST_BUCKET_NAME[provider] or "/" in name or " " in name:
        raise LocationInvalidError(f"backupStorageProvider: {what} {name!r} is not a bucket's name")


def _check_path(what: str, path: str) -> None:
    if path and any(segment in ("", ".", "..") for segment in path.split("/")):
        raise LocationInvalidError(f"backupStorageProvider: {what} {path!r} has an empty, '.' or '..' segment")


def _check_apart(location: StorageLocation) -> None:
    if location.restic_bucket != location.bucket:
        return
    if _below(location.restic_prefix, location.prefix) is not None:
        raise LocationInvalidError(
            f"backupStorageProvider.resticLocation {location.restic_location!r} is where the backups lie: a backup"
            f" named like a namespace would own its repository; use another bucket or a path such as"
            f" {'/'.join(filter(None, (location.bucket, location.prefix, 'restic')))!r}"
        )


def _below(parent: str, path: str) -> str | None:
    """The rest of a path below its parent, empty for the parent itself; None when it is not below it."""
    if not parent:
        return path
    if path == parent:
        return ""
    return path.removeprefix(f"{parent}/") if path.startswith(f"{parent}/") else None
