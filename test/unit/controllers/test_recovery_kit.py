"""Whether a recovery kit was verified: known from digests, told to Backups, metrics and the log."""

from __future__ import annotations

import base64

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from pkg.apis.ark import BackupStatus
from pkg.apis.core import Secret
from pkg.apis.meta import Condition, ObjectMeta
from pkg.controllers.backup import with_condition
from pkg.controllers.recovery_kit import KitState, RecoveryKitReconciler, kit_state, without_passwords
from pkg.restic.password import passwords_digest
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE, NAME, UID = "heptio-ark", "ark-restic-credentials", "secret-uid"
VERIFIED = "ark.heptio.com/recovery-kit-verified"


def secret(*, verified: str = "", **passwords: str) -> Secret:
    data = {key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in passwords.items()}
    annotations = {VERIFIED: verified} if verified else None
    return Secret(metadata=ObjectMeta(name=NAME, namespace=NAMESPACE, uid=UID, annotations=annotations), data=data)


def digest(**passwords: str) -> str:
    return passwords_digest({key.replace("_", "-"): text for key, text in passwords.items()}, UID)


ONE = digest(repository_password="a")
STATES = {
    "no Secret": (None, KitState.NOTHING_TO_SAVE),
    "a Secret without a password": (secret(other="x"), KitState.NOTHING_TO_SAVE),
    "never verified": (secret(repository_password="a"), KitState.UNVERIFIED),
    "verified": (secret(repository_password="a", verified=ONE), KitState.VERIFIED),
    "another key beside it changes nothing": (secret(repository_password="a", other="x", verified=ONE), "Verified"),
    "a generation was added": (
        secret(repository_password="a", repository_password_2="b", verified=ONE),
        KitState.OUTDATED,
    ),
    "the password was changed": (secret(repository_password="b", verified=ONE), KitState.OUTDATED),
    "a value that is no text": (
        Secret(metadata=ObjectMeta(name=NAME, namespace=NAMESPACE, uid=UID), data={"repository-password": "/w=="}),
        KitState.UNVERIFIED,
    ),
}


@pytest.mark.parametrize("row", STATES)
def test_the_state_of_a_kit(row: str) -> None:
    found, expected = STATES[row]
    assert kit_state(without_passwords(found) if found else None) == expected


def test_no_cache_holds_a_password() -> None:
    kept = without_passwords(secret(repository_password="a-password"))
    assert base64.b64encode(b"a-password").decode() not in (kept.data or {}).values()
    assert "a-password" not in str(kept.data)
    assert without_passwords(kept) == kept


def test_two_secrets_with_one_password_have_different_digests() -> None:
    assert passwords_digest({"k": "a"}, "one") != passwords_digest({"k": "a"}, "two")


def reconciler(lister: FakeLister[Secret], registry: CollectorRegistry | None = None) -> RecoveryKitReconciler:
    return RecoveryKitReconciler(lister, NAMESPACE, registry or CollectorRegistry(), FakeClock())


def test_a_backup_says_that_no_kit_was_verified_and_how_to_make_one() -> None:
    condition = reconciler(FakeLister([without_passwords(secret(repository_password="a"))])).condition()
    assert condition is not None
    assert (condition.type, condition.status, condition.reason) == ("RecoveryKitUnverified", "True", "NeverVerified")
    assert "ark recovery-kit export FILE" in condition.message


@pytest.mark.parametrize("row", ["no Secret", "verified"])
def test_a_backup_says_nothing_where_all_is_well(row: str) -> None:
    found = STATES[row][0]
    assert reconciler(FakeLister([without_passwords(found)] if found else [])).condition() is None


def test_the_series_follows_the_secret() -> None:
    registry, lister = CollectorRegistry(), FakeLister[Secret]([])
    reconciler(lister, registry)
    seen = []
    for one in (secret(repository_password="a"), secret(repository_password="a", verified=ONE)):
        seen.append(registry.get_sample_value("ark_recovery_kit_unverified"))
        lister.put(without_passwords(one))
    seen.append(registry.get_sample_value("ark_recovery_kit_unverified"))
    assert seen == [0.0, 1.0, 0.0]


def test_the_log_says_it_once_and_again_after_a_rotation() -> None:
    lister = FakeLister([without_passwords(secret(repository_password="a"))])
    watch, key = reconciler(lister), Key(NAMESPACE, NAME)
    with capture_logs() as logs:
        watch.reconcile(key)
        watch.reconcile(key)
        lister.put(without_passwords(secret(repository_password="a", verified=ONE)))
        watch.reconcile(key)
        lister.put(without_passwords(secret(repository_password="b", verified=ONE)))
        watch.reconcile(key)
    assert [(entry["log_level"], entry.get("reason")) for entry in logs] == [
        ("warning", "NeverVerified"),
        ("info", None),
        ("warning", "PasswordRotated"),
    ]


def test_the_condition_of_a_backup_stands_beside_those_that_it_has() -> None:
    condition = reconciler(FakeLister([without_passwords(secret(repository_password="a"))])).condition()
    status = with_condition({"phase": "Completed", "conditions": [{"type": "Other", "status": "True"}]}, condition)
    assert msgspec.convert(status, BackupStatus).conditions == (Condition(type="Other", status="True"), condition)
    assert with_condition(status, None) == status
