"""The keys in the bucket: Ark 0.9's, and ours beside them, which 0.9 ignores.

A backup's files are these keys and no others; whoever deletes a backup deletes this list.
"""

from __future__ import annotations

from dataclasses import dataclass

CLUSTER_KEY = "ark-cluster.json"
METADATA_FILE = "ark-backup.json"
CLAIM_FILE = "ark-claim.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKeys:
    """Where the files of a backup lie.

    Attributes:
        metadata: The Backup with its final status; what makes a backup exist, so it is written last.
        claim: Which Backup of which cluster owns the name.
    """

    metadata: str
    tarball: str
    log: str
    volumes: str
    claim: str

    @property
    def in_deletion_order(self) -> tuple[str, ...]:
        """All keys, the one that makes the backup exist first and the claim on its name last."""
        return (self.metadata, self.tarball, self.volumes, self.log, self.claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreKeys:
    """Where the files of a restore lie: in its backup's directory."""

    log: str
    results: str

    @property
    def in_deletion_order(self) -> tuple[str, ...]:
        """All keys."""
        return (self.results, self.log)


def backup_keys(name: str) -> BackupKeys:
    """The keys of a backup's files."""
    directory = _segment(name)
    return BackupKeys(
        metadata=f"{directory}/{METADATA_FILE}",
        tarball=f"{directory}/{name}.tar.gz",
        log=f"{directory}/{name}-logs.gz",
        volumes=f"{directory}/{name}-volumes.json.gz",
        claim=f"{directory}/{CLAIM_FILE}",
    )


def restore_keys(backup: str, restore: str) -> RestoreKeys:
    """The keys of a restore's files."""
    stem = f"{_segment(backup)}/restore-{_segment(restore)}"
    return RestoreKeys(log=f"{stem}-logs.gz", results=f"{stem}-results.gz")


def _segment(name: str) -> str:
    """The name, if it is one path segment.

    Raises:
        ValueError: When it is not; API names always are.
    """
    if name in ("", ".", "..") or "/" in name:
        raise ValueError(f"{name!r} cannot be a directory in the bucket")
    return name
