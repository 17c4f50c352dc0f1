"""One contract for every store, and what only a real S3 can show: conditional puts, refusals, dead endpoints."""

import dataclasses
import io
import itertools
import resource
import secrets
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pkg.apis.ark import StorageProvider
from pkg.objectstore.cloud import open_restic_store, open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.errors import (
    BucketMissingError,
    ConditionalPutUnsupportedError,
    CredentialsRefusedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnreachableError,
)
from pkg.objectstore.location import StorageLocation, storage_location
from pkg.objectstore.preflight import preflight
from pkg.objectstore.store import ObjectStore, supports_conditional_put
from pkg.testing.backends import Backends
from pkg.testing.fakestore import FakeStore
from pkg.testing.minio import Minio

AT_MOST_SECONDS = 30  # two tries of 3 s, and what a stalled machine adds; not the minutes of patient clients
CLOUDS = ("minio", "strict-s3", "amazon", "azure", "gcs")
BACKENDS = ("local", *CLOUDS)


@pytest.fixture
def location(minio: Minio, bucket: str) -> StorageLocation:
    config = {"s3Url": minio.endpoint, "region": "us-east-1"}
    return storage_location(StorageProvider(name="aws", bucket=bucket, prefix="some/prefix", config=config))


@pytest.fixture
def minio_store(location: StorageLocation, credentials_file: Path) -> ObjectStore:
    return open_store(location, load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(credentials_file)}))


@pytest.fixture
def local_store(tmp_path: Path) -> ObjectStore:
    (tmp_path / "bucket").mkdir()
    provider = StorageProvider(name="local", bucket="bucket", prefix="some/prefix", config={"path": str(tmp_path)})
    return open_store(storage_location(provider), load_credentials("local", {}))


@pytest.fixture(params=["fake", *BACKENDS])
def store(request: pytest.FixtureRequest, backends: Backends, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "fake":
        return FakeStore()
    backend = backends[request.param]
    for name, value in backend.environ.items():
        monkeypatch.setenv(name, value)
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    return open_store(backend.location(bucket), backend.credentials())


comparing = pytest.mark.parametrize("store", ["fake", *CLOUDS], indirect=True)
signing = pytest.mark.parametrize("store", CLOUDS, indirect=True)


def test_what_was_put_is_got(store: ObjectStore) -> None:
    etag = store.put("one/file", b"content")
    assert store.get("one/file") == b"content"
    info = store.head("one/file")
    assert info is not None
    assert (info.key, info.size_bytes, info.etag) == ("one/file", 7, etag)


def test_a_put_replaces_what_was_there(store: ObjectStore) -> None:
    first = store.put("one/file", b"first")
    second = store.put("one/file", b"second")
    assert first != second
    assert store.get("one/file") == b"second"


def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    assert store.head("no/file") is None
    with pytest.raises(ObjectNotFoundError, match="no/file"):
        store.get("no/file")
    with pytest.raises(ObjectNotFoundError, match="no/file"):
        store.get_to_file("no/file", io.BytesIO())


def test_a_listing_names_all_objects_below_a_directory_and_no_others(store: ObjectStore) -> None:
    for key in ("a/1", "a/deep/2", "ab/3", "top"):
        store.put(key, key.encode())
    assert {info.key for info in store.list()} == {"a/1", "a/deep/2", "ab/3", "top"}
    assert {info.key for info in store.list("a")} == {"a/1", "a/deep/2"}
    assert list(store.list("nothing/here")) == []


def test_directories_are_listed_one_level_deep_without_slashes(store: ObjectStore) -> None:
    for key in ("b/1", "a/deep/2", "a/other/3", "top"):
        store.put(key, b"")
    assert store.list_directories() == ["a", "b"]
    assert store.list_directories("a") == ["a/deep", "a/other"]
    assert store.list_directories("nothing") == []


def test_only_the_named_objects_are_deleted(store: ObjectStore) -> None:
    for key in ("b/1", "b/10", "b/2"):
        store.put(key, b"")
    store.delete(["b/1", "b/never-there"])
    assert {info.key for info in store.list("b")} == {"b/10", "b/2"}


def test_an_object_is_created_only_where_there_is_none(store: ObjectStore) -> None:
    store.put("claim", b"mine", if_none_match=True)
    with pytest.raises(PreconditionFailedError, match="claim"):
        store.put("claim", b"theirs", if_none_match=True)
    assert store.get("claim") == b"mine"


@comparing
def test_an_object_is_replaced_only_by_who_read_it(store: ObjectStore) -> None:
    first = store.put("claim", b"1")
    second = store.put("claim", b"2", if_match=first)
    with pytest.raises(PreconditionFailedError):
        store.put("claim", b"3", if_match=first)
    assert store.get("claim") == b"2"
    store.put("claim", b"4", if_match=second)
    with pytest.raises((PreconditionFailedError, ObjectNotFoundError)):
        store.put("never-there", b"5", if_match=second)
    assert store.head("never-there") is None


@comparing
def test_every_cloud_supports_conditional_puts_and_keeps_no_probe(store: ObjectStore) -> None:
    assert supports_conditional_put(store)
    assert list(store.list()) == []


def test_a_directory_does_not_support_conditional_replacement(local_store: ObjectStore) -> None:
    assert not supports_conditional_put(local_store)
    assert list(local_store.list()) == []
    etag = local_store.put("claim", b"1")
    with pytest.raises(ConditionalPutUnsupportedError):
        local_store.put("claim", b"2", if_match=etag)


def test_keys_are_relative_to_the_prefix(minio: Minio, minio_store: ObjectStore, location: StorageLocation) -> None:
    minio_store.put("a/b", b"x")
    assert (minio.data / location.bucket / "some" / "prefix" / "a" / "b").exists()


def test_the_restic_store_lists_repositories(location: StorageLocation, credentials_file: Path) -> None:
    credentials = load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(credentials_file)})
    restic, backups = open_restic_store(location, credentials), open_store(location, credentials)
    backups.put("restic/shop/config", b"x")
    assert restic.list_directories() == ["shop"]


def test_a_large_file_goes_up_and_down_with_bounded_memory(minio_store: ObjectStore) -> None:
    block, blocks = secrets.token_bytes(1 << 20), 300
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        for number in range(blocks):
            source.write(block[number:] + block[:number])
        source.seek(0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        minio_store.put("large", source)
        assert minio_store.get_to_file("large", target) == blocks << 20
        grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert target.tell() == blocks << 20
        source.seek(0)
        target.seek(0)
        assert all(source.read(1 << 20) == target.read(1 << 20) for _ in range(blocks))
    assert grown_mib < 150


def test_a_presigned_address_serves_the_object_and_no_other(minio_store: ObjectStore) -> None:
    minio_store.put("logs/x.gz", b"log")
    minio_store.put("logs/y.gz", b"other")
    address = minio_store.presign("logs/x.gz", 60)
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.read() == b"log"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address.replace("x.gz", "y.gz"), timeout=30)


def test_a_directory_has_no_addresses(local_store: ObjectStore) -> None:
    with pytest.raises(StoreError, match="no addresses"):
        local_store.presign("a", 60)


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def full_endpoint() -> Iterator[str]:
    """A server whose queue is full, so that connecting hangs as it does to a dead address."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as filler:
        filler.setblocking(False)
        extra = [socket.socket() for _ in range(3)]
        for client in (filler, *extra):
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for client in extra:
            client.close()


@pytest.mark.parametrize(
    ("changes", "keys", "kind", "sentence"),
    [
        pytest.param({"bucket": "not-there"}, {}, BucketMissingError, "'not-there'", id="a missing bucket"),
        pytest.param({}, {"key": "wrong"}, CredentialsRefusedError, "InvalidAccessKeyId", id="an unknown access key"),
        pytest.param({}, {"secret": "wrong"}, CredentialsRefusedError, "SignatureDoesNotMatch", id="a wrong secret"),
        pytest.param({"url": "http://127.0.0.1:1"}, {}, StoreUnreachableError, "127.0.0.1:1", id="a closed port"),
        pytest.param({"url": "http://nohost.invalid:9"}, {}, StoreUnreachableError, "nohost", id="an unknown host"),
        pytest.param({"url": "silent_endpoint"}, {}, StoreUnreachableError, "does not answer", id="a silent server"),
        pytest.param({"url": "full_endpoint"}, {}, StoreUnreachableError, "does not answer", id="a dead address"),
    ],
)
def test_a_preflight_says_in_seconds_what_is_wrong(
    changes: dict[str, str],
    keys: dict[str, str],
    kind: type[StoreError],
    sentence: str,
    location: StorageLocation,
    minio: Minio,
    request: pytest.FixtureRequest,
) -> None:
    url = changes.get("url", minio.endpoint)
    url = url if "://" in url else request.getfixturevalue(url)
    wrong = dataclasses.replace(location, bucket=changes.get("bucket", location.bucket), config={"s3Url": url})
    environ = {
        "AWS_ACCESS_KEY_ID": keys.get("key", minio.access_key),
        "AWS_SECRET_ACCESS_KEY": keys.get("secret", minio.secret_key),
    }
    store = open_store(wrong, load_credentials("aws", environ))
    started = time.monotonic()
    with pytest.raises(kind, match=sentence) as caught:
        preflight(store)
    assert time.monotonic() - started < AT_MOST_SECONDS
    message = str(caught.value)
    assert wrong.bucket in message
    assert url in message
    assert "\n" not in message
    assert minio.secret_key not in message


@pytest.mark.parametrize("verb", ["get", "put", "head", "list", "list_directories", "delete"])
@pytest.mark.parametrize(
    ("bucket_name", "secret", "url", "kind"),
    [
        pytest.param("not-there", "", "", BucketMissingError, id="a missing bucket"),
        pytest.param("", "wrong", "", CredentialsRefusedError, id="a wrong secret"),
        pytest.param("", "", "http://127.0.0.1:1", StoreUnreachableError, id="a closed port"),
    ],
)
def test_every_verb_names_what_is_wrong(
    verb: str,
    bucket_name: str,
    secret: str,
    url: str,
    kind: type[StoreError],
    location: StorageLocation,
    minio: Minio,
) -> None:
    config = {"s3Url": url or minio.endpoint}
    wrong = dataclasses.replace(location, bucket=bucket_name or location.bucket, config=config)
    environ = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": secret or minio.secret_key}
    store = open_store(wrong, load_credentials("aws", environ))
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: store.get("a"),
        "put": lambda: store.put("a", b"x"),
        "head": lambda: store.head("a"),
        "list": lambda: list(store.list("a")),
        "list_directories": lambda: store.list_directories("a"),
        "delete": lambda: store.delete(["a"]),
    }
    started = time.monotonic()
    with pytest.raises(kind):
        calls[verb]()
    assert time.monotonic() - started < AT_MOST_SECONDS


def test_a_thousand_and_more_objects_are_listed(minio_store: ObjectStore) -> None:
    names = [f"{number:04}" for number in range(1050)]
    for name in names:
        minio_store.put(f"many/{name}/x", b"")
    assert minio_store.list_directories("many") == [f"many/{name}" for name in names]
    assert sum(1 for _ in itertools.islice(minio_store.list("many"), 2000)) == 1050
