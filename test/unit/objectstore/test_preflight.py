import pytest

from pkg.kube.clock import RealClock
from pkg.objectstore.errors import StoreUnreachableError
from pkg.objectstore.preflight import CachedPreflight
from pkg.objectstore.store import supports_conditional_put
from pkg.testing.fakestore import FakeStore


class SteppedClock(RealClock):
    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def unreachable(verb: str, key: str) -> None:
    raise StoreUnreachableError("down")


def test_a_good_answer_holds_for_a_minute_per_store() -> None:
    clock, store = SteppedClock(), FakeStore()
    preflight = CachedPreflight(clock=clock)
    preflight.check("one", store)
    clock.seconds = 59
    preflight.check("one", store)
    assert len(store.calls) == 1
    preflight.check("two", store)
    clock.seconds = 61
    preflight.check("one", store)
    assert len(store.calls) == 3


def test_a_bad_answer_is_not_remembered() -> None:
    clock, store = SteppedClock(), FakeStore()
    preflight = CachedPreflight(clock=clock)
    store.before = unreachable
    with pytest.raises(StoreUnreachableError):
        preflight.check("one", store)
    store.before = lambda verb, key: None
    preflight.check("one", store)


class ForgetfulStore(FakeStore):
    """A store that takes every put, whatever the condition."""

    def put(self, key: str, data: object, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        return super().put(key, b"x")


def test_a_store_that_ignores_conditions_is_found_out() -> None:
    store = ForgetfulStore()
    assert not supports_conditional_put(store)
    assert store.objects == {}


def test_a_store_that_honours_them_passes_and_keeps_nothing() -> None:
    store = FakeStore()
    assert supports_conditional_put(store)
    assert store.objects == {}
