"""A command line on an API server in memory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import pytest

from pkg.cli.ark import run
from pkg.cli.client import Connection
from pkg.cli.flags import ClusterFlags
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

Ark = Callable[..., tuple[int, str, str]]


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    for namespace in ("heptio-ark", "other"):
        made.add(refs.NAMESPACES, {"metadata": {"name": namespace}})
    return made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(automatic=True)


@pytest.fixture
def forwarded() -> list[tuple[str, int]]:
    """What port-forward leads to: the last address; asked-for pods are appended before it is given out."""
    return []


@pytest.fixture
def cluster(api: FakeApi, clock: FakeClock, forwarded: list[tuple[str, int]]) -> ClusterFlags:
    """Flags that lead to the API server in memory."""

    @contextlib.contextmanager
    def forward(pod: str, port: int) -> Iterator[tuple[str, int]]:
        yield forwarded[0]

    def execute(pod: str, command: Sequence[str], on_output: Callable[[int, bytes], None]) -> int:
        raise AssertionError(f"nothing runs in pod {pod}")

    def connector(flags: ClusterFlags) -> Connection:
        namespace = flags.namespace or "heptio-ark"
        return Connection(client=api.client, namespace=namespace, forward=forward, execute=execute, clock=clock)

    return ClusterFlags(connector=connector)


@pytest.fixture
def ark(cluster: ClusterFlags, capsysbinary: pytest.CaptureFixture[bytes]) -> Ark:
    """Runs a command line; gives exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments, dataclasses.replace(cluster))
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return call
