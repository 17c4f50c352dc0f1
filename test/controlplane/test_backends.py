"""What a store that is of no use is called, on every cloud; and that proxies and certificates reach the client."""

import secrets
import tempfile
from collections.abc import Mapping

import pytest

from pkg.objectstore.cloud import PART_BYTES, open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.errors import (
    BucketMissingError,
    CredentialsRefusedError,
    LocationInvalidError,
    StoreError,
    StoreUnreachableError,
)
from pkg.objectstore.preflight import preflight
from pkg.objectstore.store import ObjectStore
from pkg.testing.backends import S3_HOST, Backend, Backends
from pkg.testing.minio import KMS_KEY, Minio

ABROAD = ("strict-s3", "amazon", "azure", "gcs")
IDENTITIES = ("aws-identity", "azure-identity", "gcp-identity")


@pytest.fixture(params=ABROAD)
def backend(request: pytest.FixtureRequest, backends: Backends) -> Backend:
    made: Backend = backends[request.param]
    return made


def opened(
    backend: Backend,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    environ: Mapping[str, str] | None = None,
    *,
    config: Mapping[str, str] | None = None,
) -> ObjectStore:
    """The backend's store, in a process with this environment."""
    environ = backend.environ if environ is None else environ
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return open_store(backend.location(bucket, **(config or {})), load_credentials(backend.provider, environ))


def test_a_missing_bucket_is_named(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BucketMissingError, match="'not-there'"):
        preflight(opened(backend, "not-there", monkeypatch))


def test_refused_credentials_are_told_from_all_else(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    with pytest.raises(CredentialsRefusedError, match=bucket):
        preflight(opened(backend, bucket, monkeypatch, backend.refused))


@pytest.mark.parametrize("backend", ["strict-s3", "azure", "gcs"], indirect=True)
def test_a_certificate_that_nobody_vouches_for_is_told_from_all_else(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    environ = {name: value for name, value in backend.environ.items() if name != "RESTIC_CACERT"}
    with pytest.raises(StoreUnreachableError, match="certificate") as caught:
        preflight(opened(backend, bucket, monkeypatch, environ))
    assert "RESTIC_CACERT" in str(caught.value)


@pytest.mark.parametrize("backend", IDENTITIES, indirect=True)
def test_a_pod_that_is_who_it_is_needs_no_key(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(backend, backend.make_bucket(f"test-{secrets.token_hex(4)}"), monkeypatch)
    store.put("a", b"x")
    assert store.get("a") == b"x"


@pytest.mark.parametrize("backend", IDENTITIES, indirect=True)
def test_a_pod_whose_identity_may_nothing_is_refused(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    with pytest.raises(CredentialsRefusedError, match=bucket):
        preflight(opened(backend, bucket, monkeypatch, backend.refused))


def test_past_its_proxy_nothing_is_reached(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backends["strict-s3"]
    environ = {**backend.environ, "NO_PROXY": f"other.test,{backend.host}"}
    with pytest.raises(StoreUnreachableError, match="name is not known"):
        preflight(opened(backend, "never-there", monkeypatch, environ))


def test_every_request_goes_through_the_proxy(
    backend: Backend, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(backend, backend.make_bucket(f"test-{secrets.token_hex(4)}"), monkeypatch)
    before = backends.seen(backend)
    store.put("a", b"x")
    assert backends.seen(backend) > before


def test_an_authority_is_also_taken_from_where_all_programs_look_for_it(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {**backend.environ, "SSL_CERT_FILE": backend.environ["RESTIC_CACERT"]}
    del environ["RESTIC_CACERT"]
    store = opened(backend, backend.make_bucket(f"test-{secrets.token_hex(4)}"), monkeypatch, environ)
    store.put("a", b"x")


def test_what_no_proxy_names_is_asked_for_directly(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, seen = backends["strict-s3"], backends.proxy.seen
    here = f"https://127.0.0.1:{backends.fronts['strict-s3'].port}"
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    opened(backend, bucket, monkeypatch, config={"s3Url": here}).put("a", b"through the proxy")
    through = seen["127.0.0.1"]
    assert through
    environ = {**backend.environ, "NO_PROXY": f"127.0.0.1,{S3_HOST}"}
    opened(backend, bucket, monkeypatch, environ, config={"s3Url": here}).put("b", b"past it")
    assert seen["127.0.0.1"] == through


def test_a_strict_s3_sees_nothing_that_nobody_configured(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backends["strict-s3"]
    store = opened(backend, backend.make_bucket(f"test-{secrets.token_hex(4)}"), monkeypatch)
    asked_before = len(backends.fronts["strict-s3"].asked)  # other tests do configure something
    with tempfile.TemporaryFile() as large:
        large.write(secrets.token_bytes(PART_BYTES + 1))
        large.seek(0)
        store.put("in-parts", large)
    sent = {name.lower() for asked in backends.fronts["strict-s3"].asked[asked_before:] for name in asked.headers}
    assert sent.isdisjoint({"x-amz-trailer", "x-amz-checksum-sha256", "x-amz-storage-class"})


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        pytest.param({"region": "us-east-1"}, LocationInvalidError, id="another region"),
        pytest.param({"checksumAlgorithm": "SHA256"}, StoreError, id="a checksum that this one does not know"),
        pytest.param({"kmsKeyId": "not-there"}, StoreError, id="a key that is not there"),
    ],
)
def test_what_is_configured_is_sent(
    config: dict[str, str], kind: type[StoreError], backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backends["strict-s3"]
    store = opened(backend, backend.make_bucket(f"test-{secrets.token_hex(4)}"), monkeypatch, config=config)
    with pytest.raises(kind):
        store.put("a", b"x")


@pytest.mark.parametrize("name", ["minio", "strict-s3"])
def test_objects_are_encrypted_with_the_key_that_is_named(
    name: str, backends: Backends, minio: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backends[name]
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    store = opened(backend, bucket, monkeypatch, config={"kmsKeyId": KMS_KEY})
    store.put("a", b"in the clear" * 100)
    assert store.get("a") == b"in the clear" * 100
    files = [path for path in (minio.data / bucket / "some" / "prefix" / "a").rglob("*") if path.is_file()]
    assert files
    assert not any(b"in the clear" in path.read_bytes() for path in files)
