"""Opening and making a repository; Ready means that `cat config` answers with the id that is pinned.

restic 0.19.1 asks a missing bucket again and again for 15 minutes, and its `init` makes the bucket: so both are
called only after a preflight of the store, and `init` only on the word of the caller that knows it may. Opening has
60 s.
"""

from __future__ import annotations

import msgspec

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticFailedError
from pkg.restic.finished import Finished
from pkg.restic.messages import RepositoryConfig
from pkg.restic.runner import ResticRunner


def open_repository(
    runner: ResticRunner, environment: ResticEnvironment, stop: StopToken, *, no_lock: bool = True
) -> str:
    """The id of the repository; proves that address, credentials and password fit.

    Raises:
        ResticError: RepositoryMissingError, WrongPasswordError, CancelledError …
    """
    finished = runner.run(command.cat_config(no_lock=no_lock, options=environment.options), environment, stop)
    if finished.exit_code:
        raise error_from(finished)
    try:
        return msgspec.json.decode(finished.stdout, type=RepositoryConfig).id
    except msgspec.DecodeError as error:
        raise unexpected_answer(finished, "its configuration") from error


def init_repository(runner: ResticRunner, environment: ResticEnvironment, stop: StopToken) -> str:
    """Makes the repository and returns its id; never over an existing one, which restic refuses.

    Raises:
        ResticError: When it could not be made.
    """
    finished = runner.run(command.init(options=environment.options), environment, stop)
    if finished.exit_code:
        raise error_from(finished)
    if finished.initialized is None or not finished.initialized.id:
        raise unexpected_answer(finished, "the new repository's id")
    return finished.initialized.id


def unexpected_answer(finished: Finished, what: str) -> ResticFailedError:
    """The error for a call that ended well and did not say what it must."""
    said = f"; what it wrote is no JSON: {finished.noise[0]}" if finished.noise else ""
    return ResticFailedError(
        verb=finished.verb,
        repository=finished.repository,
        exit_code=finished.exit_code,
        reason=Reason.INTERNAL,
        message=f"ended well, but did not tell {what}{said}",
        stderr_tail=finished.stderr_tail,
    )
