"""The recovery kit: one readable file with which a new cluster opens the repositories of one that is gone.

It holds what is nowhere in the bucket: the password of the restic repositories, in every generation, and where
everything lies. It does not hold the credentials of the object store. A digest over the whole document tells a kit
that was cut or changed from one that can be relied upon.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import yaml

from pkg.apis.ark import StorageProvider
from pkg.apis.meta import ApiStruct, JsonObject
from pkg.cli.failures import CliError

FORMAT = 1
HEADER = """\
# Ark recovery kit. THIS FILE IS SECRET: whoever has it and can read the bucket can read every volume of every backup.
# Keep it where it survives the cluster, and not in the bucket. It does not hold the credentials of the object store.
#
# Prove that it still fits:           ark recovery-kit verify FILE
# Bring a lost cluster's data back:   ark recovery-kit import FILE   (in the new cluster; see docs/recovery.md)
# Without Ark:                        RESTIC_PASSWORD=<passwords> restic -r <repositories.identifier> snapshots
"""


class KitRepository(ApiStruct, frozen=True, kw_only=True):
    """One restic repository."""

    name: str = ""
    volume_namespace: str = ""
    identifier: str = ""
    repository_id: str = msgspec.field(default="", name="repositoryID")
    password_generation: int = 0


class RecoveryKit(ApiStruct, frozen=True, kw_only=True):
    """What the file says.

    Attributes:
        location: `backupStorageProvider` of the Config.
        passwords: Key in the Secret to password, every generation.
        generated: Ark made the password, nobody chose it.
    """

    recovery_kit: int
    created_at: str
    ark_version: str
    cluster_id: str = msgspec.field(name="clusterID")
    namespace: str
    location: StorageProvider
    passwords: dict[str, str]
    generated: bool = False
    repositories: tuple[KitRepository, ...] = ()

    def __repr__(self) -> str:
        return f"RecoveryKit({self.cluster_id}, passwords={sorted(self.passwords)})"


def written(kit: RecoveryKit) -> str:
    """The file's text."""
    document: JsonObject = msgspec.to_builtins(kit)
    document["digest"] = _digest(document)
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    return f"{HEADER}\n{body}"


def parsed(text: str, where: str) -> RecoveryKit:
    """The kit that a text is.

    Raises:
        CliError: it is none, it is damaged, or a newer Ark wrote it; no content is shown.
    """
    try:
        document: object = yaml.safe_load(text)
    except yaml.YAMLError:
        # The parser quotes the line, which may be a password: neither repeat it nor chain it.
        raise CliError(f"{where} is no recovery kit, or it is damaged: it is not YAML") from None
    version = document.get("recoveryKit") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(version, int):
        raise CliError(f"{where} is no recovery kit, or it is damaged: the line `recoveryKit: {FORMAT}` is missing")
    if version > FORMAT:
        raise CliError(f"{where} was written by a newer Ark (format {version}, this one reads {FORMAT}): use that one")
    digest = document.pop("digest", None)
    if digest != _digest(document):
        raise CliError(f"{where} is damaged: its content does not fit its digest; use another copy, or export it anew")
    return _converted(document, where)


def read_kit(path: str, stdin_text: str | None = None) -> RecoveryKit:
    """The kit in a file.

    Raises:
        CliError: it cannot be read, or is no kit.
    """
    if stdin_text is not None:
        return parsed(stdin_text, "standard input")
    try:
        return parsed(Path(path).read_text(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path} cannot be read: {error}") from error


def _converted(document: JsonObject, where: str) -> RecoveryKit:
    try:
        kit = msgspec.convert(document, RecoveryKit)
    except msgspec.ValidationError as error:
        raise CliError(f"{where} is no recovery kit: {error}") from None
    if not kit.passwords or not all(kit.passwords.values()):
        raise CliError(f"{where} is no recovery kit: it holds no password")
    return kit


def _digest(document: JsonObject) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
