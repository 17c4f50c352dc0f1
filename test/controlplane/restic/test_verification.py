"""Reading a part of a repository's data with the real restic: what it finds, and whom it disturbs."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.agent import read_password
from pkg.controllers.verification_plan import Part
from pkg.kube.refs import SECRETS
from pkg.kube.stop import StopToken
from pkg.objectstore.credentials import load_credentials
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError
from pkg.restic.locks import list_locks
from pkg.restic.maintenance import check_repository
from pkg.restic.password import Password
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, backup_volume
from pkg.testing.assets import binary
from pkg.testing.fakeapi import FakeApi
from pkg.testing.processes import wait_until

STOP = StopToken()
PARTS = 5


def capture(restic: Runner, environment: ResticEnvironment, volume: Path) -> None:
    (volume / "noise").write_bytes(os.urandom(2 << 20))
    backup_volume(restic, BackupRequest(directory=str(volume), tags={"ns": "shop"}), environment, STOP)


def spoil(repository: str) -> Part:
    """Changes a byte in the largest pack and returns the part that holds it."""
    pack = max((Path(repository) / "data").glob("*/*"), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[1000] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    return next(part for number in range(PARTS) if (part := Part(number=number + 1, of=PARTS)).holds(pack.name))


def test_damage_is_found_in_the_part_that_holds_it_and_in_no_other(
    restic: Runner, real: ResticEnvironment, volume: Path
) -> None:
    capture(restic, real, volume)
    broken = spoil(real.repository)
    check_repository(restic, real, STOP)  # the structure is sound: only reading tells
    others = [part for number in range(PARTS) if (part := Part(number=number + 1, of=PARTS)) != broken]
    check_repository(restic, real, STOP, part=str(others[0]), no_lock=True)
    for no_lock in (True, False):
        with pytest.raises(ResticError) as caught:
            check_repository(restic, real, STOP, part=str(broken), no_lock=no_lock)
        assert caught.value.reason is Reason.REPOSITORY_DAMAGED
        assert "1 errors in the repository, broken packs: " in caught.value.message
        assert "ciphertext verification failed" in caught.value.message
    assert list_locks(restic, real, STOP) == []


def test_it_goes_on_beside_a_backup_and_takes_no_lock(restic: Runner, real: ResticEnvironment, volume: Path) -> None:
    capture(restic, real, volume)
    words = [str(binary("restic")), "backup", "--stdin"]
    with subprocess.Popen(
        words, env=real.variables(os.environ), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as other:
        try:
            held = wait_until(lambda: list_locks(restic, real, STOP), timeout_seconds=60, what="the other's lock")
            check_repository(restic, real, STOP, part="1/1", no_lock=True)
            assert [one.id for one in list_locks(restic, real, STOP)] == [one.id for one in held]
            locked = Command(verb="check", arguments=("check", "--json"), answer_seconds=30)
            assert restic.run(locked, real, STOP).exit_code == 11, "with a lock it would have to wait"
        finally:
            other.communicate(b"the end of its input", timeout=30)


def test_a_newline_at_the_end_of_a_secret_is_no_part_of_it(
    restic: Runner, s3: ResticEnvironment, credentials_file: Path, tmp_path: Path
) -> None:
    """As `kubectl create secret --from-file` leaves it when an editor made the file."""
    init_repository(restic, with_password(s3, Password("chosen by a person")), STOP)
    api = FakeApi()
    data: JsonObject = {"repository-password": base64.b64encode(b"chosen by a person\n").decode()}
    api.add(SECRETS, {"metadata": {"name": "ark-restic-credentials", "namespace": "ark"}, "data": data})
    edited = tmp_path / "edited"
    edited.write_bytes(credentials_file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\n")
    cloud = load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(edited)})
    tolerant = ResticEnvironment(
        repository=s3.repository,
        password=read_password(api.client, "ark", 1),
        cloud=cloud.restic_environment(),
        cache_dir=s3.cache_dir,
        options=s3.options,
    )
    assert open_repository(restic, tolerant, STOP)


def with_password(environment: ResticEnvironment, password: Password) -> ResticEnvironment:
    return ResticEnvironment(
        repository=environment.repository,
        password=password,
        cloud=environment.cloud,
        cache_dir=environment.cache_dir,
        options=environment.options,
    )
