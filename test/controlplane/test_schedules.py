"""A schedule on a real API server: its runs become real backups, and each is in the bucket."""

import datetime
import secrets

from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until


def backups(installation: Installation, schedule: str) -> list[dict[str, object]]:
    return installation.objects("backups", selector=f"ark-schedule={schedule}")


def completed(installation: Installation, schedule: str) -> list[str]:
    found = []
    for one in backups(installation, schedule):
        status, metadata = one.get("status"), one["metadata"]
        if isinstance(status, dict) and isinstance(metadata, dict) and status.get("phase") == "Completed":
            found.append(str(metadata["name"]))
    return sorted(found)


def status(installation: Installation, schedule: str) -> dict[str, object]:
    found = installation.get("schedule", schedule).get("status")
    return found if isinstance(found, dict) else {}


def test_a_schedule_makes_real_backups(installation: Installation) -> None:
    name = f"often-{secrets.token_hex(3)}"
    flags = ("--include-namespaces", "kube-public", "--include-resources", "configmaps", "--ttl", "1h")
    installation.ark("schedule", "create", name, "--schedule", "@every 8s", *flags)
    wait_until(lambda: len(completed(installation, name)) >= 2, timeout_seconds=120, what="two runs")
    installation.ark("schedule", "pause", name)
    wait_until(
        lambda: status(installation, name).get("reason") == "Paused", timeout_seconds=60, what="the pause to be seen"
    )
    made = completed(installation, name)
    created = datetime.datetime.fromisoformat(str(metadata_of(installation, name)["creationTimestamp"]))
    moments = [datetime.datetime.strptime(one[-14:], "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC) for one in made]
    assert moments[0] == created + datetime.timedelta(seconds=8), "the first run is one interval after the creation"
    assert {(moment - created).total_seconds() % 8 for moment in moments} == {0.0}
    described = installation.ark("schedule", "describe", name)
    assert made[-1] in described.stdout or sorted(names(installation, name))[-1] in described.stdout
    wait_until(lambda: not unfinished(installation, name), timeout_seconds=90, what="the last backup to end")
    assert status(installation, name)["lastBackupName"] == sorted(names(installation, name))[-1]
    installation.ark("schedule", "delete", name)
    assert len(names(installation, name)) >= len(made), "its backups stay"


def test_a_line_that_does_not_parse_is_told_in_the_object(installation: Installation) -> None:
    name = f"broken-{secrets.token_hex(3)}"
    schedule = {
        "apiVersion": "ark.heptio.com/v1",
        "kind": "Schedule",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"schedule": "61 * * * *", "template": {"ttl": "1h0m0s"}},
    }
    installation.access.apply(schedule)
    wait_until(
        lambda: status(installation, name).get("phase") == "FailedValidation", timeout_seconds=60, what="the refusal"
    )
    assert "minute 61 is not between 0 and 59" in str(status(installation, name)["validationErrors"])
    installation.ark("schedule", "delete", name)


def names(installation: Installation, schedule: str) -> list[str]:
    return [
        str(one["metadata"]["name"]) for one in backups(installation, schedule) if isinstance(one["metadata"], dict)
    ]


def unfinished(installation: Installation, schedule: str) -> bool:
    return len(names(installation, schedule)) > len(completed(installation, schedule))


def metadata_of(installation: Installation, schedule: str) -> dict[str, object]:
    found = installation.get("schedule", schedule)["metadata"]
    assert isinstance(found, dict)
    return found
