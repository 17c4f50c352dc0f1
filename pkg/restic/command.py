"""A restic call as a value, built by one pure function per verb; repository and secrets are not in it.

A volume is backed up as `restic backup .` in its directory, so the snapshot's root is the volume's root and a parent
fits although every pod has another path. restic 0.19.1 refuses to make a snapshot of nothing, so an empty volume is
captured as one marker file from standard input, which no restore ever writes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pkg.apis.names import RESTIC_HOST

EMPTY_MARKER = ".ark-empty-volume"
# Never worth a backup: the file system's own, and snapshots that a server shows inside the volume (operators.md 27).
ALWAYS_EXCLUDED = ("/lost+found", "/.snapshot", "/.zfs/snapshot")
SELINUX_LABEL = "security.selinux"
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_LOCKING = frozenset({"backup", "restore", "forget", "prune", "check"})
_GLOB_CHARACTERS = "\\*?["
# 0.19.1 repeats a refused, unreachable or missing backend for 15 minutes before it says so.
_OPEN_SECONDS, _LIST_SECONDS, _LOCAL_SECONDS = 60.0, 300.0, 10.0
# These report no progress, and a prune that repacks takes hours; the Job that runs them has the last word.
_MAINTENANCE_SECONDS = 4 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One call of restic.

    Attributes:
        verb: For messages and metrics.
        arguments: restic's arguments, the verb first.
        directory: Where it runs; None for anywhere.
        stdin: What it reads; nothing by default.
        lock_wait_seconds: How long restic may wait for a lock, during which it reports nothing.
        answer_seconds: For calls that report no progress: how long they may take; None for those that do.
        slow_seconds: How much longer than others nothing may move in it, because its bandwidth is limited.
    """

    verb: str
    arguments: tuple[str, ...]
    directory: str | None = None
    stdin: bytes = b""
    lock_wait_seconds: float = 0.0
    answer_seconds: float | None = None
    slow_seconds: float = 0.0

    @property
    def takes_lock(self) -> bool:
        """Whether restic writes a lock into the repository for it."""
        return self.verb in _LOCKING and "--no-lock" not in self.arguments

    def with_lock_wait(self, seconds: int) -> Command:
        """The same with another patience; it must have one."""
        at = self.arguments.index("--retry-lock") + 1
        arguments = (*self.arguments[:at], f"{seconds}s", *self.arguments[at + 1 :])
        return dataclasses.replace(self, arguments=arguments, lock_wait_seconds=seconds)


def backup(
    *,
    directory: str,
    tags: Mapping[str, str],
    parent: str = "",
    unless_unchanged: bool = False,
    excludes: tuple[str, ...] = (),
    exclude_caches: bool = True,
    options: tuple[str, ...] = (),
    lock_wait_seconds: int = 0,
) -> Command:
    """Captures a directory.

    Args:
        directory: The volume's root; absolute.
        tags: The snapshot's tags.
        parent: Full id of the snapshot to compare with; empty lets restic look for one.
        unless_unchanged: No snapshot is made where everything is as in the parent.
        excludes: restic's patterns; one that begins with a slash is meant from the volume's root, any other anywhere
            below it.
        exclude_caches: Directories with a CACHEDIR.TAG stay out.
        options: Backend options.
        lock_wait_seconds: How long to wait for a lock.
    """
    patterns = [_from_root(directory, pattern) for pattern in (*ALWAYS_EXCLUDED, *excludes)]
    arguments = (
        *_start("backup", options, lock_wait_seconds=lock_wait_seconds),
        *_host_and_tags(tags),
        *(("--parent", parent) if parent else ()),
        *(("--skip-if-unchanged",) if unless_unchanged else ()),
        *(argument for pattern in patterns for argument in ("--exclude", pattern)),
        *(("--exclude-caches",) if exclude_caches else ()),
        ".",
    )
    return Command(verb="backup", arguments=arguments, directory=directory, lock_wait_seconds=lock_wait_seconds)


def backup_of_nothing(
    *, directory: str, tags: Mapping[str, str], options: tuple[str, ...] = (), lock_wait_seconds: int = 0
) -> Command:
    """Makes a snapshot of an empty directory."""
    arguments = (
        *_start("backup", options, lock_wait_seconds=lock_wait_seconds),
        *_host_and_tags(tags),
        *("--stdin", "--stdin-filename", EMPTY_MARKER),
    )
    return Command(
        verb="backup",
        arguments=arguments,
        directory=directory,
        stdin=b"this volume was empty\n",
        lock_wait_seconds=lock_wait_seconds,
    )


def restore(
    *,
    snapshot_id: str,
    target: str,
    no_lock: bool = False,
    keep_labels: bool = True,
    options: tuple[str, ...] = (),
    lock_wait_seconds: int = 0,
) -> Command:
    """Writes a snapshot's content into a directory; files that are there already and not in it stay.

    SELinux labels belong to the node and the new pod, not to the data; setting one may be refused and removing one
    always is. restic before 0.18 cannot leave them as they are.

    Raises:
        ValueError: the id has not all its 64 digits; `latest` or `id:folder` would mean something else to restic.
    """
    if not _FULL_ID.fullmatch(snapshot_id):
        raise ValueError(f'only a full snapshot id is restored, not "{snapshot_id}"')
    wait = 0 if no_lock else lock_wait_seconds
    arguments = (
        *_start("restore", options, no_lock=no_lock, lock_wait_seconds=wait),
        *("--target", ".", "--sparse", "--exclude", f"/{EMPTY_MARKER}"),
        *(("--exclude-xattr", SELINUX_LABEL) if keep_labels else ()),
        snapshot_id,
    )
    return Command(verb="restore", arguments=arguments, directory=target, lock_wait_seconds=wait)


def init(*, options: tuple[str, ...] = ()) -> Command:
    """Makes a repository; on S3 it would make the bucket too, so preflight first."""
    return Command(verb="init", arguments=_start("init", options), answer_seconds=_OPEN_SECONDS)


def cat_config(*, no_lock: bool = False, options: tuple[str, ...] = ()) -> Command:
    """Reads the repository's configuration, its id among it."""
    verb, *rest = _start("cat", options, no_lock=no_lock)
    return Command(verb="cat config", arguments=(verb, "config", *rest), answer_seconds=_OPEN_SECONDS)


def key_list(*, options: tuple[str, ...] = ()) -> Command:
    """Lists the repository's keys, the one that was used among them."""
    verb, *rest = _start("key", options, no_lock=True)
    return Command(verb="key list", arguments=(verb, "list", *rest), answer_seconds=_OPEN_SECONDS)


def snapshots(
    *, tags: Mapping[str, str], ids: Sequence[str] = (), no_lock: bool = False, options: tuple[str, ...] = ()
) -> Command:
    """Lists the snapshots that have all these tags, or those with these ids, of which the first digits will do."""
    selection = ("--tag", ",".join(_tags(tags))) if tags else ()
    arguments = (*_start("snapshots", options, no_lock=no_lock), *selection, *ids)
    return Command(verb="snapshots", arguments=arguments, answer_seconds=_LIST_SECONDS)


def forget(snapshot_ids: Sequence[str], *, options: tuple[str, ...] = (), lock_wait_seconds: int = 0) -> Command:
    """Removes exactly these snapshots, never by a policy; needs the repository for itself.

    Raises:
        ValueError: An id has not all its 64 digits, or there is none: without one restic would apply a policy.
    """
    if not snapshot_ids or not all(_FULL_ID.fullmatch(one) for one in snapshot_ids):
        raise ValueError(f"only full snapshot ids are forgotten, not {list(snapshot_ids)[:5]}")
    arguments = (*_start("forget", options, lock_wait_seconds=lock_wait_seconds), *snapshot_ids)
    return _maintenance("forget", arguments, lock_wait_seconds)


def prune(
    *,
    max_unused: str,
    max_repack_size: str,
    repack_cacheable_only: bool = False,
    options: tuple[str, ...] = (),
    lock_wait_seconds: int = 0,
) -> Command:
    """Removes data that no snapshot needs; needs the repository for itself."""
    arguments = (
        *_start("prune", options, lock_wait_seconds=lock_wait_seconds),
        *("--max-unused", max_unused, "--max-repack-size", max_repack_size),
        *(("--repack-cacheable-only",) if repack_cacheable_only else ()),
    )
    return _maintenance("prune", arguments, lock_wait_seconds)


def check(
    *, part: str = "", no_lock: bool = False, options: tuple[str, ...] = (), lock_wait_seconds: int = 0
) -> Command:
    """Verifies the repository's structure; needs the repository for itself.

    Args:
        part: Which of its data is read too, such as `7/100`; empty for none.
        no_lock: Goes on beside others, whose changes may then look like errors.
        options: Backend options.
        lock_wait_seconds: How long to wait for a lock.
    """
    wait = 0 if no_lock else lock_wait_seconds
    data = ("--read-data-subset", part) if part else ()
    arguments = (*_start("check", options, no_lock=no_lock, lock_wait_seconds=wait), *data)
    return _maintenance("check", arguments, wait)


def list_locks(*, options: tuple[str, ...] = ()) -> Command:
    """Lists the ids of the locks; takes none."""
    verb, *rest = _start("list", options, no_lock=True)
    return Command(verb="list locks", arguments=(verb, "locks", *rest), answer_seconds=_LIST_SECONDS)


def cat_lock(lock_id: str, *, options: tuple[str, ...] = ()) -> Command:
    """Reads one lock; takes none."""
    verb, *rest = _start("cat", options, no_lock=True)
    return Command(verb="cat lock", arguments=(verb, "lock", lock_id, *rest), answer_seconds=_OPEN_SECONDS)


def version() -> Command:
    """Asks restic for its version; touches no repository."""
    return Command(verb="version", arguments=("version", "--json"), answer_seconds=_LOCAL_SECONDS)


def _maintenance(verb: str, arguments: tuple[str, ...], lock_wait_seconds: int) -> Command:
    return Command(
        verb=verb, arguments=arguments, lock_wait_seconds=lock_wait_seconds, answer_seconds=_MAINTENANCE_SECONDS
    )


def _start(
    verb: str, options: tuple[str, ...], *, no_lock: bool = False, lock_wait_seconds: int = 0
) -> tuple[str, ...]:
    backend = tuple(argument for option in options for argument in ("-o", option))
    locking = ("--no-lock",) if no_lock else ()
    waiting = ("--retry-lock", f"{lock_wait_seconds}s") if lock_wait_seconds else ()
    return (verb, "--json", *backend, *locking, *waiting)


def _host_and_tags(tags: Mapping[str, str]) -> tuple[str, ...]:
    return ("--host", RESTIC_HOST, *(argument for tag in _tags(tags) for argument in ("--tag", tag)))


def _tags(tags: Mapping[str, str]) -> list[str]:
    """`key=value`, sorted; restic splits a tag at commas, so none may have one."""
    made = sorted(f"{key}={value}" for key, value in tags.items())
    if any("," in tag for tag in made):
        raise ValueError(f"a restic tag cannot have a comma: {made}")
    return made


def _from_root(directory: str, pattern: str) -> str:
    """Restic matches every pattern against the whole path on the host.

    Were a relative one left as it is, `mount` would exclude the whole of a volume that lies below a directory `mount`.
    """
    negation = "!" if pattern.startswith("!") else ""
    inside = pattern.removeprefix("!")
    escaped = "".join(f"\\{character}" if character in _GLOB_CHARACTERS else character for character in directory)
    anywhere = "" if inside.startswith("/") else "/**/"
    return f"{negation}{escaped.rstrip('/')}{anywhere}{inside}"
