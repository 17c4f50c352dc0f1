"""Say what happens and how long each step took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Numbers the steps and remembers their seconds."""

    def __init__(self) -> None:
        self._taken: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce one step, and its time when it is over or has failed."""
        heading = f"{len(self._taken) + 1}. {title}"
        say(f"\n\033[1m{heading}\033[0m" if sys.stdout.isatty() else f"\n{heading}")
        started = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - started
            self._taken.append((title, seconds))
            say(f"   {seconds:.1f} s")

    def table(self) -> str:
        """One line per step, and the sum."""
        rows = [*self._taken, ("all together", sum(seconds for _, seconds in self._taken))]
        return "\n".join(f"  {title:<64}{seconds:>8.1f} s" for title, seconds in rows)


def say(text: str) -> None:
    """Print at once, so that lines of child processes come in order."""
    print(text, flush=True)


def show(text: str) -> None:
    """Print the output of a command, indented."""
    say("\n".join(f"   {line}" for line in text.rstrip().splitlines()))
