"""The `restic-wait` init container: holds a restored pod back until its volumes are filled.

It waits on markers that the node's agent writes into an emptyDir of Ark's own, never in user data: the file
`<restore uid>.<volume>.done` lets go of one volume, `<restore uid>.<volume>.failed` holds the reason why it was not
filled. What no agent can write stands in an annotation of the pod, which a second volume shows. It exits 0 when every
volume is done and 1, printing the reason, when one has failed, was given up, or did not come in the time it was given:
an application never starts on half of its data. Only the standard library, so that it starts in a blink beside a user's
pod.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

MARKER_DIRECTORY = "/ark-restore"
MARKER_DIRECTORY_VARIABLE = "ARK_MARKER_DIR"
GIVEN_UP_FILE = "/ark-restore-given-up/given-up"
GIVEN_UP_FILE_VARIABLE = "ARK_GIVEN_UP_FILE"
TIMEOUT_VARIABLE = "ARK_RESTORE_TIMEOUT_SECONDS"
POLL_SECONDS = 1
DONE, FAILED, USAGE, STOPPED = 0, 1, 64, 143
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_REASON_LIMIT = 4096


class MarkerDirectoryError(Exception):
    """The marker directory cannot be read."""


def failures(directory: str, restore_uid: str, volumes: Sequence[str]) -> dict[str, str]:
    """The volumes that will not be filled, with the reasons; a `done` beside a `failed` outweighs it."""
    found = {}
    for volume in volumes:
        path = os.path.join(directory, f"{restore_uid}.{volume}.failed")
        if _exists(path) and not _is_done(directory, restore_uid, volume):
            found[volume] = _read(path)
    return found


def unfinished(directory: str, restore_uid: str, volumes: Sequence[str]) -> list[str]:
    """The volumes whose contents are not there yet."""
    return [volume for volume in volumes if not _is_done(directory, restore_uid, volume)]


def given_up(path: str, restore_uid: str) -> dict[str, str]:
    """The volumes that the server will not have filled, with the reasons; what is not there or unreadable is none."""
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict) or told.get("restore") != restore_uid or not isinstance(told.get("volumes"), dict):
        return {}
    return {str(volume): str(reason) for volume, reason in told["volumes"].items()}


def wait(
    directory: str,
    restore_uid: str,
    volumes: Sequence[str],
    *,
    pause: Callable[[], bool],
    out: TextIO,
    err: TextIO,
    told: Callable[[], dict[str, str]] = dict,
    is_late: Callable[[], bool] = lambda: False,
) -> int:
    """Waits for every marker and returns the exit code.

    Args:
        directory: Where the markers appear.
        restore_uid: Whose markers count.
        volumes: The volumes that must be filled.
        pause: Waits a moment; returns True when the process was asked to stop.
        out: Where progress goes, one line per change.
        err: Where the reason of a failure goes.
        told: What the pod's annotation says was given up.
        is_late: Whether it has waited for as long as it may.
    """
    said, left = "", list(volumes)
    while True:
        try:
            left = unfinished(directory, restore_uid, volumes)
            failed = {**_among(told(), left), **failures(directory, restore_uid, volumes)}
        except MarkerDirectoryError as error:
            said = _say(f"waiting: {error}", said, err)
        else:
            if failed or not left:
                return _ended(failed, out, err)
            said = _say(f"waiting for the volumes {', '.join(left)} of restore {restore_uid}", said, out)
        if is_late():
            print(f"gave up waiting for the volumes {', '.join(left)} of restore {restore_uid}", file=err, flush=True)
            return FAILED
        if pause():
            print("asked to stop before the volumes were restored", file=err, flush=True)
            return STOPPED


def _among(reasons: dict[str, str], volumes: Sequence[str]) -> dict[str, str]:
    return {volume: reason for volume, reason in reasons.items() if volume in volumes}


def _ended(failed: dict[str, str], out: TextIO, err: TextIO) -> int:
    for volume, reason in failed.items():
        print(f"volume {volume} was not restored: {reason}", file=err, flush=True)
    if not failed:
        print("all volumes are restored", file=out, flush=True)
    return FAILED if failed else DONE


def main() -> NoReturn:
    """Runs the program and leaves with its exit code."""
    arguments = sys.argv[1:]
    if len(arguments) < 2 or any("/" in argument or not argument for argument in arguments):
        sys.stderr.write("usage: ark-restic-restore-helper RESTORE_UID VOLUME [VOLUME...]\n")
        sys.exit(USAGE)
    # As process 1 of a container an unhandled SIGTERM would be ignored, so it is waited for.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    directory = os.environ.get(MARKER_DIRECTORY_VARIABLE) or MARKER_DIRECTORY
    told_in = os.environ.get(GIVEN_UP_FILE_VARIABLE) or GIVEN_UP_FILE
    code = wait(
        directory,
        arguments[0],
        arguments[1:],
        pause=_pause,
        out=sys.stdout,
        err=sys.stderr,
        told=lambda: given_up(told_in, arguments[0]),
        is_late=_deadline(os.environ.get(TIMEOUT_VARIABLE, "")),
    )
    sys.exit(code)


def _deadline(text: str) -> Callable[[], bool]:
    """Whether as many seconds have passed; never, where the text is no number above 0."""
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = 0.0
    end = time.monotonic() + seconds
    return lambda: seconds > 0 and time.monotonic() >= end


def _pause() -> bool:
    return signal.sigtimedwait(_STOP_SIGNALS, POLL_SECONDS) is not None


def _say(sentence: str, said: str, stream: TextIO) -> str:
    if sentence != said:
        print(sentence, file=stream, flush=True)
    return sentence


def _is_done(directory: str, restore_uid: str, volume: str) -> bool:
    return _exists(os.path.join(directory, f"{restore_uid}.{volume}.done"))


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MarkerDirectoryError(f"cannot read {path}: {error.strerror}") from error
    return True


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_REASON_LIMIT).strip() or "no reason was given"
    except OSError as error:
        raise MarkerDirectoryError(f"cannot read {path}: {error.strerror}") from error


if __name__ == "__main__":
    main()
