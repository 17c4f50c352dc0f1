"""Whether somebody outside this cluster holds what opens the repositories.

The password is nowhere but in one Secret, so backups of volumes are worth nothing once the cluster is gone, unless a
recovery kit was saved. Until one was verified every Backup says so, a series does, and the log does once. A rotated
password makes the answer no again, because what was verified is compared by a digest of all generations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Gauge

from pkg.apis.core import Secret
from pkg.apis.meta import Condition
from pkg.apis.names import CREDENTIALS_SECRET, RECOVERY_KIT_CONDITION, RECOVERY_KIT_VERIFIED_ANNOTATION
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock
from pkg.manager.reconciler import Result, done
from pkg.restic.password import passwords_digest
from pkg.restic.password_secret import passwords_of
from pkg.workqueue.key import Key

SAVE_COMMAND = "ark recovery-kit export FILE"
VERIFY_COMMAND = "ark recovery-kit verify FILE"
IMPORT_COMMAND = "ark recovery-kit import FILE"
_DIGEST, _UNREADABLE = "digest", "unreadable"

log = structlog.get_logger()

BackupCondition = Callable[[], Condition | None]


class KitState(StrEnum):
    """What is known of a kit; there is nothing to save before there is a password."""

    NOTHING_TO_SAVE = "NothingToSave"
    UNVERIFIED = "NeverVerified"
    OUTDATED = "PasswordRotated"
    VERIFIED = "Verified"


def without_passwords(secret: Secret) -> Secret:
    """The Secret with a digest in the place of its data, so that no cache holds a password."""
    if set(secret.data or {}) == {_DIGEST}:
        return secret
    try:
        digest = passwords_digest(passwords_of(secret.data), secret.metadata.uid)
    except ValueError:
        digest = _UNREADABLE
    return msgspec.structs.replace(secret, data={_DIGEST: digest})


def kit_state(secret: Secret | None) -> KitState:
    """What a Secret without passwords tells."""
    digest = ((secret.data if secret else None) or {}).get(_DIGEST, "")
    if secret is None or not digest:
        return KitState.NOTHING_TO_SAVE
    verified = secret.metadata.annotation(RECOVERY_KIT_VERIFIED_ANNOTATION)
    if not verified:
        return KitState.UNVERIFIED
    return KitState.VERIFIED if verified == digest else KitState.OUTDATED


class RecoveryKitReconciler:
    """Watches the one Secret; tells Backups, the metrics and the log.

    Args:
        lister: Of Secrets `without_passwords`.
        namespace: Ark's.
        registry: Gets the series.
        clock: Gives the condition its time.
    """

    def __init__(self, lister: Lister[Secret], namespace: str, registry: CollectorRegistry, clock: Clock) -> None:
        self._lister = lister
        self._namespace = namespace
        self._clock = clock
        self._lock = threading.Lock()
        self._said: KitState | None = None
        gauge = Gauge(
            "ark_recovery_kit_unverified",
            "1 while no recovery kit with the repository passwords in use was verified.",
            registry=registry,
        )
        gauge.set_function(lambda: float(self.state() in (KitState.UNVERIFIED, KitState.OUTDATED)))

    def state(self) -> KitState:
        """What is known now."""
        return kit_state(self._lister.get(self._namespace, CREDENTIALS_SECRET))

    def condition(self) -> Condition | None:
        """What a Backup that ends now must say; None where all is well."""
        state = self.state()
        if state in (KitState.NOTHING_TO_SAVE, KitState.VERIFIED):
            return None
        return Condition(
            type=RECOVERY_KIT_CONDITION,
            status="True",
            reason=state.value,
            message=f"no recovery kit with the passwords in use was verified; if this cluster is lost its volumes "
            f"cannot be restored: {SAVE_COMMAND}, then {VERIFY_COMMAND}",
            last_transition_time=self._clock.now().replace(microsecond=0),
        )

    def reconcile(self, key: Key) -> Result:
        """Says it once for each state."""
        if key.name != CREDENTIALS_SECRET:
            return done()
        state = self.state()
        with self._lock:
            before, self._said = self._said, state
        if state == before:
            return done()
        if state is KitState.VERIFIED:
            log.info("Recovery kit verified", secret=str(key))
        elif state is not KitState.NOTHING_TO_SAVE:
            log.warning(
                "Recovery kit not verified; without one no volume can be restored once this cluster is gone",
                secret=str(key),
                reason=state.value,
                save=SAVE_COMMAND,
                prove=VERIFY_COMMAND,
            )
        return done()
