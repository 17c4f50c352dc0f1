"""A second key file with a cheap scrypt beside the normal one, so that starting restic costs 0.2 s and not 0.7 s.

It is made only for a password that is ours and has 256 random bits, where a dear scrypt protects nothing; whoever
calls this knows that it is (docs/decisions/0003-fast-key.md). The normal key always stays. Found again by content,
so making it twice, or dying in between, leaves one; it counts only after restic itself has opened it.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable

import msgspec
import structlog

from pkg.kube.stop import StopToken
from pkg.objectstore.errors import PreconditionFailedError
from pkg.objectstore.store import ObjectStore
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.environment import ResticEnvironment
from pkg.restic.keyfile import KeyFile, KeyFileError, MasterKey, open_key_file, read_key_file
from pkg.restic.messages import Key
from pkg.restic.password import Password
from pkg.restic.runner import ResticRunner

MOST_KEYS = 10  # restic tries 20

log = structlog.get_logger()


class FastKeyError(Exception):
    """There is no cheap key, and none could be made; the repository can be used without."""


def ensure_fast_key(
    store: ObjectStore,
    directory: str,
    environment: ResticEnvironment,
    *,
    runner: ResticRunner,
    now: datetime.datetime,
    stop: StopToken,
) -> str:
    """The id of the repository's cheap key, made where there is none; blocks for a second or two.

    Args:
        store: Where the repository lies.
        directory: The repository's place in it.
        environment: How restic reaches it, with the password.
        runner: Starts restic, which must open the repository with the key before it counts.
        now: The time that the key file gets.
        stop: Ends restic.

    Raises:
        FastKeyError: there is none and none can be made.
        StoreError: the store refuses.
        ResticError: restic could not be asked.
    """
    files = _key_files(store, directory)
    if known := next((key_id for key_id, file in files.items() if _is_ours(file, environment)), ""):
        _prove(known, environment, runner, stop)
        return known
    if len(files) >= MOST_KEYS:
        raise FastKeyError(f"the repository has {len(files)} keys already")
    data = _master(files, environment.password).sealed(environment.password, now=now)
    made = hashlib.sha256(data).hexdigest()
    _add(store, f"{directory}/keys/{made}", data, lambda: _prove(made, environment, runner, stop))
    log.info("Cheap key added", repository=environment.repository, key=made)
    return made


def _key_files(store: ObjectStore, directory: str) -> dict[str, KeyFile]:
    """The key files that are what their names say."""
    found = {}
    for info in store.list(f"{directory}/keys"):
        name, data = info.key.rpartition("/")[2], store.get(info.key)
        if hashlib.sha256(data).hexdigest() != name:
            continue
        try:
            found[name] = read_key_file(data)
        except KeyFileError as error:
            log.warning("Key file not readable", key=info.key, error=str(error))
    return found


def _is_ours(file: KeyFile, environment: ResticEnvironment) -> bool:
    """Whether a key is cheap and of our password."""
    if not file.is_cheap:
        return False
    try:
        open_key_file(file, environment.password)
    except KeyFileError:
        return False
    return True


def _master(files: dict[str, KeyFile], password: Password) -> MasterKey:
    for file in files.values():
        try:
            return open_key_file(file, password)
        except KeyFileError:
            continue
    raise FastKeyError(f"none of the repository's {len(files)} keys is of the password")


def _add(store: ObjectStore, place: str, data: bytes, prove: Callable[[], None]) -> None:
    """Writes a key file that stays only if it is proven."""
    try:
        store.put(place, data, if_none_match=True)
    except PreconditionFailedError as error:
        raise FastKeyError(f"{place} exists already") from error
    try:
        prove()
    except FastKeyError:
        store.delete([place])
        raise


def _prove(key_id: str, environment: ResticEnvironment, runner: ResticRunner, stop: StopToken) -> None:
    """Lets restic open the repository with the key."""
    hinted = environment.with_key_hint(key_id)
    finished = runner.run(command.key_list(options=hinted.options), hinted, stop)
    if finished.exit_code:
        raise error_from(finished)
    try:
        keys = msgspec.json.decode(finished.stdout, type=tuple[Key, ...])
    except msgspec.DecodeError as error:
        raise FastKeyError(f"restic does not tell its keys: {error}") from error
    if key_id not in {key.id for key in keys if key.current}:
        raise FastKeyError("restic does not open the repository with the cheap key")
