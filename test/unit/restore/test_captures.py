"""What a volume list says of a pod's volumes: what restic holds, and what it should and does not."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.restore.captures import captures_of_list
from pkg.testing.fakerestore import RestoreWorld, captured
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry

CAPTURED = captured("shop", "web", "data", claim="data")


def entry(reason: Reason, state: EntryState = EntryState.FAILED, *, message: str = "", claim: str = "") -> LedgerEntry:
    made = LedgerEntry(namespace="shop", pod="web", volume="data", claim_name=claim, opted_in_by_name=True)
    return msgspec.structs.replace(made, state=state, reason=reason.value, message=message)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            entry(Reason.NO_PROGRESS, message="20 min"),
            "volume data was not captured by the backup (NoProgress: 20 min)",
            id="a transfer that failed",
        ),
        pytest.param(
            entry(Reason.NOT_RUNNING, EntryState.SKIPPED),
            "volume data was not captured by the backup (NotRunning)",
            id="a pod that did not run",
        ),
        pytest.param(
            msgspec.structs.replace(CAPTURED, reason="UnreadFiles", message="2 files could not be read"),
            "volume data is restored without what the backup could not read (UnreadFiles: 2 files could not be read)",
            id="files that could not be read",
        ),
    ],
)
def test_what_made_the_backup_incomplete_is_said_of_the_pod(found: LedgerEntry, text: str) -> None:
    assert captures_of_list(Ledger(entries=(found,))).lacking == {("shop", "web"): (text,)}


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([CAPTURED], id="a capture"),
        pytest.param([entry(Reason.NOT_SELECTED, EntryState.SKIPPED)], id="nobody asked for it"),
        pytest.param(
            [
                entry(Reason.NOT_RUNNING, EntryState.SKIPPED, claim="data"),
                msgspec.structs.replace(CAPTURED, pod="other"),
            ],
            id="captured through another pod",
        ),
    ],
)
def test_nothing_is_lacking(entries: list[LedgerEntry]) -> None:
    assert captures_of_list(Ledger(entries=tuple(entries))).lacking == {}


def test_a_restore_warns_of_scratch_space_that_the_backup_lacks() -> None:
    world = RestoreWorld()
    spec: JsonObject = {"containers": [{"name": "c"}], "volumes": [{"name": "data", "emptyDir": {}}]}
    metadata: JsonObject = {"name": "web", "namespace": "shop"}
    pod: JsonObject = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    world.store_backup(pod, volumes=[entry(Reason.NO_AGENT)])
    assert world.restore().warnings == 1
    (text,) = (world.results().warnings.namespaces or {})["shop"]
    assert text == "pods shop/web: volume data was not captured by the backup (NoAgent)"
