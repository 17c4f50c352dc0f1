"""The page of a repository."""

from __future__ import annotations

from pkg.apis.meta import JsonObject
from pkg.cli.describe_repository import describe_repository

MOMENT = "2026-05-04T10:00:00Z"
RUN: JsonObject = {"verb": "verify", "phase": "Completed", "message": "part 7/100 was read", "startTimestamp": MOMENT}
DAMAGED: JsonObject = {
    "type": "Damaged",
    "status": "True",
    "message": "1 errors in the repository",
    "lastTransitionTime": MOMENT,
}


def page(status: JsonObject) -> str:
    spec: JsonObject = {"volumeNamespace": "shop", "resticIdentifier": "s3:http://minio/backups/restic/shop"}
    return describe_repository({"metadata": {"name": "shop", "namespace": "ark"}, "spec": spec, "status": status})


def test_a_repository_that_is_damaged_says_so_first() -> None:
    verification: JsonObject = {
        "message": "all data read in 100 days at this rate",
        "part": 7,
        "parts": 100,
        "readBytes": 3 << 20,
        "readAt": MOMENT,
        "suspect": "8/100",
        "runs": [RUN],
    }
    text = page({"phase": "Ready", "repositoryID": "r", "conditions": [DAMAGED], "verification": verification})
    assert "Phase:    Ready (damaged)" in text
    assert "Damaged:  1 errors in the repository (since 2026-05-04 10:00:00 +0000 UTC)" in text
    assert "all data read in 100 days at this rate" in text
    assert "7 of 100 (3.0 MiB)" in text
    assert "part 8/100" in text
    assert "part 7/100 was read" in text


def test_what_was_there_before_is_told() -> None:
    before: JsonObject = {"id": "old-id", "replacedAt": MOMENT, "message": "its snapshots are lost"}
    text = page({"phase": "Ready", "repositoryID": "new-id", "replaced": [before]})
    assert "old-id, until 2026-05-04 10:00:00 +0000 UTC: its snapshots are lost" in text


def test_an_object_that_nobody_looked_at_has_a_page_too() -> None:
    text = page({})
    assert "Phase:  New" in text
    assert "nothing was read yet" in text
    assert "Last prune:           <never>" in text
