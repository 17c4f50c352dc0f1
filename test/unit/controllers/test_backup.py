"""What the Backup's reconciler adds to its engine."""

from __future__ import annotations

from pkg.apis.ark import Backup, BackupStatus
from pkg.controllers.backup import final_status
from pkg.controllers.status import patch_status
from pkg.kube.refs import BACKUPS
from pkg.testing.fakeapi import FakeApi


def test_a_completed_backup_does_not_say_that_it_is_committing() -> None:
    api = FakeApi()
    metadata = {"name": "nightly", "namespace": "heptio-ark"}
    api.add(BACKUPS, {"metadata": {**metadata}, "status": {"phase": "InProgress", "message": "committing"}})
    seen = api.client.get(BACKUPS, "heptio-ark", "nightly", Backup)
    finished = patch_status(api.client, BACKUPS, seen, final_status(BackupStatus(phase="Completed")))
    assert (finished.status.phase, finished.status.reason, finished.status.message) == ("Completed", "", "")


def test_what_the_engine_says_goes_into_the_status_as_it_is() -> None:
    status = BackupStatus(phase="PartiallyFailed", reason="ItemErrors", message="2 items", errors=2)
    assert final_status(status) == {
        "phase": "PartiallyFailed",
        "reason": "ItemErrors",
        "message": "2 items",
        "errors": 2,
    }
