"""The repository password: kept where it is, made only where nothing could need another."""

from __future__ import annotations

import base64

import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.repository_password import ensure_password, find_repositories
from pkg.kube.errors import ForbiddenError, KubeError, ServerError, TransportError
from pkg.kube.refs import SECRETS
from pkg.objectstore.errors import StoreUnreachableError
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakestore import FakeStore

NAMESPACE = "heptio-ark"
NAME = "ark-restic-credentials"


def add_secret(api: FakeApi, **data: str) -> None:
    encoded: dict[str, Json] = {
        key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()
    }
    api.add(SECRETS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": encoded})


def stored(api: FakeApi) -> JsonObject:
    found = api.get(SECRETS, NAMESPACE, NAME)
    assert found is not None
    return found


def ensure(api: FakeApi, store: FakeStore | None = None, generation: int = 1) -> str:
    return ensure_password(api.client, NAMESPACE, store or FakeStore(), generation).reveal()


def test_an_existing_password_is_used_and_nothing_is_written_or_listed() -> None:
    api, store = FakeApi(), FakeStore()
    add_secret(api, repository_password="static-passw0rd\n")
    assert ensure(api, store) == "static-passw0rd"
    assert api.count("POST") == 0
    assert store.calls == []


def test_the_first_use_of_an_empty_location_makes_a_random_password_and_says_so() -> None:
    first, second = FakeApi(), FakeApi()
    made = ensure(first)
    assert len(made) >= 43
    assert made != ensure(second)
    assert made == ensure(first)
    metadata = stored(first)["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["annotations"] == {"ark.heptio.com/generated": "true"}


def test_a_location_with_repositories_never_gets_a_new_password() -> None:
    api, store = FakeApi(), FakeStore()
    store.objects = {"shop/config": b"x", "shop/keys/1": b"x"}
    with pytest.raises(VolumeFailure, match=r"shop.*ark recovery-kit import FILE.*kubectl") as raised:
        ensure(api, store)
    assert raised.value.reason is Reason.PASSWORD_MISSING
    assert api.list(SECRETS) == []


def test_what_is_no_repository_does_not_count_as_one() -> None:
    store = FakeStore()
    store.objects = {"notes/readme": b"x", "shop/config": b"x", "config": b"x"}
    assert find_repositories(store) == ["shop"]


def test_a_location_that_cannot_be_listed_makes_no_password() -> None:
    api, store = FakeApi(), FakeStore()

    def refuse(verb: str, key: str) -> None:
        raise StoreUnreachableError("no answer")

    store.before = refuse
    with pytest.raises(StoreUnreachableError):
        ensure(api, store)
    assert api.list(SECRETS) == []


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ForbiddenError("no", code=403), id="forbidden"),
        pytest.param(ServerError("ill", code=500), id="the API is ill"),
        pytest.param(TransportError("refused"), id="the API does not answer"),
    ],
)
def test_a_secret_that_could_not_be_read_is_not_taken_for_missing(error: KubeError) -> None:
    api = FakeApi()
    api.fail_next(error, method="GET", ref=SECRETS)
    with pytest.raises(type(error)):
        ensure(api)
    assert api.list(SECRETS) == []


def test_a_secret_without_the_key_is_left_as_it_is() -> None:
    api = FakeApi()
    add_secret(api, other="x")
    before = stored(api)
    with pytest.raises(VolumeFailure, match="repository-password") as raised:
        ensure(api)
    assert raised.value.reason is Reason.PASSWORD_MISSING
    assert stored(api) == before


def test_each_generation_has_its_key_and_a_later_one_is_never_made() -> None:
    api = FakeApi()
    add_secret(api, repository_password="one", repository_password_2="two")
    assert (ensure(api, generation=1), ensure(api, generation=2)) == ("one", "two")
    with pytest.raises(VolumeFailure, match="repository-password-3"):
        ensure(api, generation=3)
    empty = FakeApi()
    with pytest.raises(VolumeFailure, match="missing"):
        ensure(empty, generation=2)
    assert empty.list(SECRETS) == []


def test_a_password_that_another_made_meanwhile_is_used() -> None:
    api, store = FakeApi(), FakeStore()

    def meanwhile(verb: str, key: str) -> None:
        if api.get(SECRETS, NAMESPACE, NAME) is None:
            add_secret(api, repository_password="theirs")

    store.before = meanwhile
    assert ensure(api, store) == "theirs"


def test_a_password_that_came_with_the_first_repository_of_another_namespace_is_used() -> None:
    api, store = FakeApi(), FakeStore()

    def meanwhile(verb: str, key: str) -> None:
        if "shop/config" not in store.objects:
            add_secret(api, repository_password="theirs")
            store.objects["shop/config"] = b"x"

    store.before = meanwhile
    assert ensure(api, store) == "theirs"
