"""What obstore is told of a location beyond its name."""

from __future__ import annotations

import pytest
from obstore.store import S3Store

from pkg.apis.ark import StorageProvider
from pkg.objectstore.clients import open_client
from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.location import storage_location


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"region": "eu-west-1"}, "SHA256", id="Amazon wants a checksum in a bucket with object lock"),
        pytest.param({"s3Url": "https://s3.example"}, None, id="another store may refuse the header"),
        pytest.param(
            {"s3Url": "https://s3.example", "checksumAlgorithm": "sha256"}, "SHA256", id="another store may want it"
        ),
        pytest.param({"region": "eu-west-1", "checksumAlgorithm": "none"}, None, id="nobody has to send one"),
    ],
)
def test_uploads_carry_a_checksum_where_it_is_needed(config: dict[str, str], expected: str | None) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="backups", config=config))
    client = open_client(location, CloudCredentials(provider="aws"), bucket="backups", prefix="")
    assert isinstance(client, S3Store)
    assert client.config.get("checksum_algorithm") == expected
