"""Puts the watch over the recovery kit together."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pkg.apis.core import Secret
from pkg.apis.names import CREDENTIALS_SECRET
from pkg.controllers.recovery_kit import RecoveryKitReconciler, without_passwords
from pkg.kube.clock import Clock
from pkg.kube.refs import SECRETS
from pkg.manager.manager import Manager


def add_recovery_kit(
    manager: Manager, *, namespace: str, registry: CollectorRegistry, clock: Clock
) -> RecoveryKitReconciler:
    """Adds the controller; what it returns tells each Backup its condition."""
    secrets = manager.factory.informer(
        SECRETS,
        Secret,
        namespace=namespace,
        field_selector=f"metadata.name={CREDENTIALS_SECRET}",
        transform=without_passwords,
    )
    reconciler = RecoveryKitReconciler(secrets.lister, namespace, registry, clock)
    manager.controller("recovery-kit", reconciler).watch(secrets)
    return reconciler
