"""obstore's clients for a location: deadlines, addressing style, certificates.

A dead endpoint must be known in seconds (restic takes 15 minutes to say so), a slow one must not be cut off in the
middle of a large object: so the deadline is on connecting and on silence, not on the whole request.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.errors import BucketMissingError, CredentialsInvalidError
from pkg.objectstore.location import StorageLocation, amazon_host

if TYPE_CHECKING:  # typing-only names of obstore, absent at run time
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig, S3Config

Client: TypeAlias = S3Store | AzureStore | GCSStore | LocalStore
DEFAULT_REGION = "us-east-1"
CONNECT_SECONDS, SILENCE_SECONDS, WHOLE_REQUEST = 4, 60, "6h"
PROBE_SECONDS = 3  # two tries and the pause between them stay below 10 s


def open_client(
    location: StorageLocation, credentials: CloudCredentials, *, bucket: str, prefix: str, quick: bool = False
) -> Client:
    """A client for one bucket.

    Args:
        location: Where.
        credentials: Who.
        bucket: Its bucket, or the restic location's.
        prefix: What its keys are relative to.
        quick: With the short deadlines of a probe.
    """
    options, retry = _client_options(location, credentials, quick=quick), _retry(quick=quick)
    below = prefix or None
    match location.provider:
        case "aws":
            config = _s3_config(location, credentials, location.region_of(bucket))
            return S3Store(bucket, prefix=below, config=config, client_options=options, retry_config=retry)
        case "azure":
            azure = _azure_config(credentials)
            return AzureStore(bucket, prefix=below, config=azure, client_options=options, retry_config=retry)
        case "gcp":
            gcs = _gcs_config(credentials)
            return GCSStore(bucket, prefix=below, config=gcs, client_options=options, retry_config=retry)
        case _:
            return _local(location, bucket, prefix)


def _s3_config(location: StorageLocation, credentials: CloudCredentials, region: str) -> S3Config:
    values = credentials.store
    config: S3Config = {
        "region": region or DEFAULT_REGION,
        "virtual_hosted_style_request": not location.path_style and not location.s3_url,
        "conditional_put": "etag",
        "disable_bulk_delete": True,  # not every S3 has it, and we delete a handful of known keys
    }
    if values:
        config["access_key_id"], config["secret_access_key"] = values["access_key_id"], values["secret_access_key"]
    if "session_token" in values:
        config["session_token"] = values["session_token"]
    if location.s3_url:
        config["endpoint"] = location.s3_url if "://" in location.s3_url else f"https://{location.s3_url}"
    elif region.startswith("cn-"):  # obstore knows one domain only; with an endpoint it wants paths
        config["endpoint"], config["virtual_hosted_style_request"] = f"https://{amazon_host(region)}", False
    if algorithm := location.checksum_algorithm:
        config["checksum_algorithm"] = algorithm
    if kms_key := location.config.get("kmsKeyId"):
        config["server_side_encryption"], config["sse_kms_key_id"] = "aws:kms", kms_key
    return config


def _azure_config(credentials: CloudCredentials) -> AzureConfig:
    config: AzureConfig = {"account_name": credentials.store["account_name"]}
    if "account_key" in credentials.store:
        config["account_key"] = credentials.store["account_key"]
    if "endpoint" in credentials.store:
        config["endpoint"] = credentials.store["endpoint"]
    return config


def _gcs_config(credentials: CloudCredentials) -> GCSConfig:
    if "application_credentials" in credentials.store:
        return {"application_credentials": credentials.store["application_credentials"]}
    return {}


def _client_options(location: StorageLocation, credentials: CloudCredentials, *, quick: bool) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": location.s3_url.startswith("http://"),
        "connect_timeout": datetime.timedelta(seconds=PROBE_SECONDS if quick else CONNECT_SECONDS),
        "read_timeout": datetime.timedelta(seconds=PROBE_SECONDS if quick else SILENCE_SECONDS),
        "timeout": datetime.timedelta(seconds=PROBE_SECONDS) if quick else WHOLE_REQUEST,
        "user_agent": "ark",
    }
    if credentials.ca_file:
        try:
            options["root_certificate"] = Path(credentials.ca_file).read_bytes()
        except OSError as error:
            raise CredentialsInvalidError(f"the CA file {credentials.ca_file} cannot be read") from error
    return options


def _retry(*, quick: bool) -> RetryConfig:
    return {
        "max_retries": 1 if quick else 5,
        "retry_timeout": datetime.timedelta(seconds=5),  # no new try after that long
        "backoff": {
            "init_backoff": datetime.timedelta(milliseconds=100),
            "max_backoff": datetime.timedelta(seconds=1),
            "base": 2,
        },
    }


def _local(location: StorageLocation, bucket: str, prefix: str) -> LocalStore:
    root = Path(location.config["path"]) / bucket
    if not root.is_dir():
        raise BucketMissingError(f"bucket {bucket!r} at {location.endpoint} does not exist")
    return LocalStore(root / prefix if prefix else root, mkdir=True)
