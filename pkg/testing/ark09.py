"""A bucket as Ark 0.9 wrote it, from the readable files of test/fixtures/ark09.

The tarball has 0.9's form: regular files of mode 0755 in the order of its backup, no directories. The repository is
of restic's format 1, as the restic of 2018 made it, under the one password that every Ark 0.9 had.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pkg.objectstore.layout import backup_keys
from pkg.objectstore.store import ObjectStore
from pkg.testing.assets import binary
from pkg.testing.processes import HarnessError

FIXTURES = Path(__file__).resolve().parent.parent.parent / "test" / "fixtures" / "ark09"
PASSWORD = "static-passw0rd"
BACKUP, FAILED_BACKUP = "shop-20180901070000", "disks"
BACKUP_UID = "5f2b0d7c-adb6-11e8-9b24-0242ac110002"
NAMESPACE = "shop-09"
WRITTEN_AT = 1535785200  # 2018-09-01T07:00:00Z


def backup_files(name: str, words: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The files of one backup by key.

    Args:
        name: A directory of the fixtures.
        words: What stands for `@word@` in the objects.
    """
    keys, directory = backup_keys(name), FIXTURES / name
    return {
        keys.metadata: (directory / "ark-backup.json").read_bytes(),
        keys.tarball: _tarball(directory, words or {}),
        keys.log: gzip.compress(b'time="2018-09-01T07:00:00Z" level=info msg="Starting backup"\n'),
    }


def write_backups(store: ObjectStore, words: Mapping[str, str] | None = None) -> None:
    """Writes all backups of the fixtures into a bucket."""
    for name in (BACKUP, FAILED_BACKUP):
        for key, content in backup_files(name, words).items():
            store.put(key, content)


def api_objects() -> dict[str, dict[str, object]]:
    """What 0.9's command line and server create in the API, by the names of the files."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((FIXTURES / "objects").glob("*.json"))}


def _tarball(directory: Path, words: Mapping[str, str]) -> bytes:
    paths = sorted((directory / "resources").rglob("*.json"))
    return tarball({str(path.relative_to(directory)): _filled(path.read_bytes(), words) for path in paths})


def tarball(files: Mapping[str, bytes]) -> bytes:
    """A tarball in 0.9's form with these files, such as `resources/pods/namespaces/shop/web.json`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o755, WRITTEN_AT
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _filled(text: bytes, words: Mapping[str, str]) -> bytes:
    for word, value in words.items():
        text = text.replace(f"@{word}@".encode(), value.encode())
    compact: bytes = msgspec.json.encode(json.loads(text))
    return compact


@dataclass(frozen=True, slots=True, kw_only=True)
class Ark09Repository:
    """A restic repository of 0.9's; `environment` carries the store's credentials.

    Attributes:
        address: As 0.9 built it, such as `s3:http://127.0.0.1:9000/restic-bucket/shop`.
    """

    address: str
    environment: Mapping[str, str]

    def initialize(self) -> None:
        """Makes it, in format 1."""
        self._restic("init", "--repository-version", "1")

    def back_up(self, directory: Path, volume: str) -> str:
        """Captures a directory as 0.9 did; returns the 8 digits that 0.9 kept of the snapshot's id."""
        tags = {
            **{"backup": BACKUP, "backup-uid": BACKUP_UID, "ns": NAMESPACE},
            **{"pod": "web", "pod-uid": "6c1f4a52-adb6-11e8-9b24-0242ac110002", "volume": volume},
        }
        tagged = [f"--tag={key}={value}" for key, value in tags.items()]
        self._restic("backup", ".", *tagged, "--host=ark", directory=directory)
        found = json.loads(self._restic("snapshots", "--json", f"--tag=volume={volume}"))
        return str(found[0]["short_id"])

    def _restic(self, *arguments: str, directory: Path | None = None) -> str:
        own = {"RESTIC_REPOSITORY": self.address, "RESTIC_PASSWORD": PASSWORD}
        done = subprocess.run(
            [binary("restic"), *arguments, "--no-cache"],
            cwd=directory,
            env={**os.environ, **self.environment, **own},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise HarnessError(f"restic {arguments[0]}: exit {done.returncode}\n{done.stderr}")
        return done.stdout
