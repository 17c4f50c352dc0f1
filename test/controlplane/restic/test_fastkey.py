"""The cheap key with the real restic and a real store."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from pathlib import Path

import pytest

from pkg.apis.ark import StorageProvider
from pkg.kube.stop import StopToken
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.restic.environment import ResticEnvironment
from pkg.restic.fastkey import FastKeyError, ensure_fast_key
from pkg.restic.keyfile import read_key_file
from pkg.restic.password import Password
from pkg.restic.repository import open_repository
from pkg.restic.runner import Runner

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


@pytest.fixture
def store(real: ResticEnvironment) -> ObjectStore:
    place = Path(real.repository).parent
    provider = StorageProvider(name="local", bucket=place.name, config={"path": str(place.parent)})
    return open_store(storage_location(provider), load_credentials("local", {}))


def ensure(store: ObjectStore, environment: ResticEnvironment, restic: Runner) -> str:
    return ensure_fast_key(store, "repository", environment, runner=restic, now=NOW, stop=StopToken())


def keys(environment: ResticEnvironment) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (Path(environment.repository) / "keys").iterdir()}


def test_restic_opens_the_repository_with_the_cheap_key_and_the_normal_one_stays(
    real: ResticEnvironment, restic: Runner, store: ObjectStore
) -> None:
    before = keys(real)
    key_id = ensure(store, real, restic)
    added = keys(real)[key_id]
    assert keys(real) == {**before, key_id: added}
    assert hashlib.sha256(added).hexdigest() == key_id
    assert read_key_file(added).is_cheap
    assert open_repository(restic, real.with_key_hint(key_id), StopToken()) == open_repository(
        restic, real, StopToken()
    )


def test_it_is_made_once(real: ResticEnvironment, restic: Runner, store: ObjectStore) -> None:
    first = ensure(store, real, restic)
    before = keys(real)
    assert ensure(store, real, restic) == first
    assert keys(real) == before


def test_a_wrong_password_makes_none(real: ResticEnvironment, restic: Runner, store: ObjectStore) -> None:
    before = keys(real)
    with pytest.raises(FastKeyError, match="none of the repository's 1 keys is of the password"):
        ensure(store, dataclasses.replace(real, password=Password("another")), restic)
    assert keys(real) == before


def test_a_file_that_is_not_what_its_name_says_is_passed_over(
    real: ResticEnvironment, restic: Runner, store: ObjectStore
) -> None:
    (Path(real.repository) / "keys" / ("0" * 64)).write_bytes(b"{}")
    assert ensure(store, real, restic) != "0" * 64
