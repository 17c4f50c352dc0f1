"""What is wrong with a Backup is said before anything is read or written."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.ark import Backup
from pkg.backup.validation import reserved_names, validate_backup
from pkg.kube.discovery import discover
from pkg.testing.fakeapi import FakeApi

DISCOVERY = discover(FakeApi().client)


def problems(
    spec: dict[str, object] | None = None,
    *,
    name: str = "nightly",
    restic_location: str = "",
    prefix: str = "",
    labels: dict[str, str] | None = None,
) -> list[str]:
    backup = msgspec.convert({"metadata": {"name": name, "labels": labels}, "spec": spec or {}}, Backup)
    return validate_backup(
        backup,
        discovery=DISCOVERY,
        namespaces={"shop", "default"},
        restic_location=restic_location,
        prefix=prefix,
    )


def test_an_empty_spec_is_a_backup_of_everything() -> None:
    assert problems() == []


def test_a_full_spec_may_be_right() -> None:
    spec: dict[str, object] = {
        "includedNamespaces": ["shop"],
        "excludedNamespaces": ["not-there"],
        "includedResources": ["Pod", "persistentvolumeclaims", "daemonsets.apps"],
        "excludedResources": ["secrets"],
        "labelSelector": {"matchLabels": {"app": "shop"}},
        "ttl": "720h0m0s",
    }
    assert problems(spec) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {"includedResources": ["*", "pods"]},
            "Invalid included/excluded resource lists: includes list must either contain '*' only, "
            "or a non-empty list of items",
            id="a star beside names of resources",
        ),
        pytest.param(
            {"excludedNamespaces": ["*"]},
            "Invalid included/excluded namespace lists: excludes list cannot contain '*'",
            id="every namespace excluded",
        ),
        pytest.param(
            {"includedNamespaces": ["shop"], "excludedNamespaces": ["shop"]},
            "Invalid included/excluded namespace lists: "
            "excludes list cannot contain an item in the includes list: shop",
            id="a namespace on both lists",
        ),
        pytest.param(
            {"includedNamespaces": ["shop", "shpo"]},
            'Invalid included/excluded namespace lists: there is no namespace "shpo"',
            id="a namespace that does not exist",
        ),
        pytest.param(
            {"includedResources": ["pdos"]},
            'Invalid included/excluded resource lists: the server has no resource "pdos"',
            id="an unknown resource",
        ),
        pytest.param(
            {"excludedResources": ["pdos"]},
            'Invalid included/excluded resource lists: the server has no resource "pdos"',
            id="an unknown resource excluded",
        ),
        pytest.param(
            {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
            'Invalid label selector: "Near" is not an operator: use In, NotIn, Exists or DoesNotExist',
            id="an operator that is none",
        ),
        pytest.param({"ttl": "30d"}, 'Invalid ttl: invalid duration "30d"', id="a ttl that is no duration"),
        pytest.param({"ttl": "-1h"}, 'Invalid ttl "-1h": it is negative; 0 means never', id="a negative ttl"),
        pytest.param({"maxFreeze": "0s"}, 'Invalid maxFreeze "0s": it must be more than 0', id="no time to freeze"),
        pytest.param({"maxFreeze": "-1m"}, 'Invalid maxFreeze "-1m"', id="a negative time to freeze"),
        pytest.param({"maxFreeze": "soon"}, 'Invalid maxFreeze: invalid duration "soon"', id="a freeze of no duration"),
        pytest.param(
            {"snapshotVolumes": True}, "Server is not configured for PV snapshots", id="disk snapshots, as in 0.9"
        ),
        pytest.param(
            {"hooks": {"resources": [{"name": "h", "pre": [{"exec": {"container": "c"}}]}]}},
            'Invalid hook "h": it has no command',
            id="a hook without a command",
        ),
        pytest.param(
            {"hooks": {"resources": [{"name": "h", "post": [{"exec": {"command": ["x"], "timeout": "1"}}]}]}},
            'Invalid timeout of hook "h": ',
            id="a hook with a time limit that is none",
        ),
        pytest.param(
            {
                "hooks": {
                    "resources": [
                        {"name": "h", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}
                    ]
                }
            },
            'Invalid hook "h": label selector: "Near"',
            id="a hook with a selector that is none",
        ),
        pytest.param({"location": "other"}, 'there is no storage location "other"', id="another location"),
    ],
)
def test_each_mistake_has_one_sentence(spec: dict[str, object], problem: str) -> None:
    (found,) = problems(spec)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("included", "refused"),
    [
        pytest.param(["shop", "gone"], False, id="one of them went away"),
        pytest.param(["gone"], True, id="the only one went away"),
    ],
)
def test_a_namespace_that_went_away_does_not_end_the_backups_of_a_schedules_others(
    included: list[str], refused: bool
) -> None:
    found = problems({"includedNamespaces": included}, labels={"ark-schedule": "nightly"})
    assert bool(found) is refused


def test_a_name_is_as_long_as_its_files_in_the_bucket_allow() -> None:
    assert problems(name="b" * 239) == []
    (found,) = problems(name="b" * 240)
    assert "too long" in found


@pytest.mark.parametrize("name", ["restic", "backups", "restores", "metadata", "repos"])
def test_reserved_names_are_refused(name: str) -> None:
    (found,) = problems(name=name, restic_location="bucket/repos/ark")
    assert f'"{name}" is reserved' in found


@pytest.mark.parametrize(
    ("restic_location", "prefix", "reserved"),
    [
        pytest.param("bucket", "", set(), id="repositories at the top of another bucket"),
        pytest.param("bucket/repos/ark", "", {"repos"}, id="the first segment"),
        pytest.param("bucket/cluster-a/volumes", "cluster-a", {"volumes"}, id="the first segment below the prefix"),
        pytest.param("bucket/cluster-ab/volumes", "cluster-a", {"cluster-ab"}, id="a longer name is not the prefix"),
    ],
)
def test_what_the_restic_location_reserves(restic_location: str, prefix: str, reserved: set[str]) -> None:
    assert reserved_names(restic_location, prefix) - reserved_names("", "") == reserved
