"""Nothing is restored into a claim that a running application uses.

What runs would find its files changed under it; and where its controller has as many pods as it wants, it deletes the
restored one as surplus in the middle of the transfer and goes on with a claim that is half one thing, half the other.
"""

from __future__ import annotations

from collections.abc import Collection

from pkg.apis.core import Pod
from pkg.apis.names import RESTORE_UID_LABEL
from pkg.kube.errors import ApiStatusError
from pkg.kube.refs import PODS
from pkg.restore.fields import texts_at
from pkg.restore.job import RestoreApi
from pkg.volumes.selection import claim_of


def claim_in_use(api: RestoreApi, namespace: str, pod: str, claims: Collection[str], *, restore_uid: str) -> str:
    """Why a pod cannot be restored over claims that were there before, as a sentence; empty where it can.

    Args:
        api: The cluster.
        namespace: Of the pod, in the cluster.
        pod: Its name; one of that name that exists is found at its creation.
        claims: Those of its claims that existed before this restore.
        restore_uid: The pods of this restore do not stand in its way, nor does what came after them.
    """
    found = _user(api.list(PODS, namespace, Pod), pod, claims, restore_uid) if claims else None
    if found is None or _is_own(api, namespace, pod, restore_uid):
        return ""
    claim, user = found
    return (
        f"not restored: PersistentVolumeClaim {namespace}/{claim} is in use by pod {user}, and nothing is restored "
        "under a running application: delete it with its controller (one that is only scaled down would delete the "
        "restored pod), and restore again"
    )


def _user(pods: Collection[Pod], pod: str, claims: Collection[str], restore_uid: str) -> tuple[str, str] | None:
    for one in pods:
        ended = one.status.phase in ("Succeeded", "Failed") or one.metadata.deletion_timestamp is not None
        if ended or one.metadata.name == pod or one.metadata.label(RESTORE_UID_LABEL) == restore_uid:
            continue
        for volume in one.spec.volumes or ():
            if (claim := claim_of(one, volume)) in claims:
                return claim, one.metadata.name
    return None


def _is_own(api: RestoreApi, namespace: str, pod: str, restore_uid: str) -> bool:
    """Whether an earlier attempt of this restore made the pod already."""
    try:
        live = api.get_raw(PODS, namespace, pod)
    except ApiStatusError:
        return False
    return texts_at(live, "metadata", "labels").get(RESTORE_UID_LABEL) == restore_uid
