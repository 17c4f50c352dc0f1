"""`ark restic repo maintain` against a server that is not there, or answers at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.names import MAINTAIN_ANNOTATION
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

Ark = Callable[..., tuple[int, str, str]]


@pytest.fixture
def repository(api: FakeApi) -> None:
    api.add(refs.RESTIC_REPOSITORIES, {"metadata": {"name": "shop", "namespace": "heptio-ark"}, "status": {}})


def annotation(api: FakeApi) -> str:
    found = api.get(refs.RESTIC_REPOSITORIES, "heptio-ark", "shop")
    assert found is not None
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    annotations = metadata["annotations"]
    assert isinstance(annotations, dict)
    return str(annotations[MAINTAIN_ANNOTATION])


@pytest.mark.parametrize(
    ("flags", "verbs"),
    [
        pytest.param([], "forget,prune,check", id="without a verb the three of maintenance are meant"),
        pytest.param(["--verify"], "verify", id="a part of the data"),
        pytest.param(["--prune"], "prune", id="one verb"),
        pytest.param(["--check", "--forget"], "forget,check", id="two, in the order of the work"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_the_wish_is_an_annotation(ark: Ark, api: FakeApi, flags: list[str], verbs: str) -> None:
    code, out, _ = ark("restic", "repo", "maintain", "shop", *flags)
    assert code == 0
    assert annotation(api).partition("@")[0] == verbs
    assert "requested" in out


def test_a_repository_that_is_not_there_is_one_sentence(ark: Ark) -> None:
    code, _, err = ark("restic", "repo", "maintain", "nowhere")
    assert (code, err) == (
        1,
        'An error occurred: there is no restic repository "nowhere": ark restic repo get lists them\n',
    )


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        pytest.param("Completed", 0, id="a run that was completed"),
        pytest.param("Failed", 1, id="a run that failed"),
        pytest.param("Interrupted", 1, id="a run that gave way"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_waiting_ends_with_the_run(ark: Ark, api: FakeApi, clock: FakeClock, phase: str, code: int) -> None:
    request = f"prune@{clock.now().isoformat()}"
    run: JsonObject = {"verb": "prune", "phase": phase, "message": "prune: removed 3 blobs"}
    status: JsonObject = {"maintenanceRequest": request, "maintenance": [run]}
    api.client.patch_raw(refs.RESTIC_REPOSITORIES, "heptio-ark", "shop", {"status": status}, subresource="status")
    found, out, _ = ark("restic", "repo", "maintain", "shop", "--prune", "--wait")
    assert (found, out.splitlines()[-1]) == (code, f"{phase}: prune: removed 3 blobs")


@pytest.mark.usefixtures("repository")
def test_waiting_has_an_end(ark: Ark) -> None:
    code, _, err = ark("restic", "repo", "maintain", "shop", "--wait", "--timeout", "10s")
    assert code == 124
    assert "timed out after 10 s" in err
