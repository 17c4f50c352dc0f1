"""Becoming restic: the process that was asked for a read-only call turns into it, so nothing lies in between.

Standard output and error are restic's own from then on, however much comes, and what ends the one ends the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

from pkg.restic.environment import ResticEnvironment
from pkg.restic.read_only import check_read_only


def become_read_only(words: Sequence[str], environment: ResticEnvironment, base: Mapping[str, str]) -> NoReturn:
    """Replaces this process by restic, without a lock.

    Args:
        words: The verb and what follows it.
        environment: Of which repository.
        base: Our environment, from which restic's is picked by allow-list.

    Raises:
        NotReadOnlyError: the call is not allowed.
        OSError: there is no restic.
    """
    check_read_only(words)
    backend = [argument for option in environment.options for argument in ("-o", option)]
    os.execvpe("restic", ["restic", words[0], "--no-lock", *backend, *words[1:]], environment.variables(base))
