"""Start a stand-in node in a mount namespace of its own, and join processes to it."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing.processes import Process, wait_until

READY_SECONDS = 30
OWN_USER = ("--user", "--map-root-user")


class StandInNode:
    """One stand-in node; a context manager.

    Without root it runs in a user namespace too, where one user id exists: owners of files cannot be restored
    there. Root needs none and gets none unless asked.

    Args:
        workdir: holds the pods' directory, the volumes' data and the log.
        kubeconfig: of an administrator.
        name: of the Node.
        backing: the volumes' data; nodes that share volumes share this directory.
        user_namespace: whether to run in a user namespace as well.
    """

    def __init__(
        self,
        workdir: Path,
        kubeconfig: Path,
        name: str,
        *,
        backing: Path | None = None,
        user_namespace: bool | None = None,
    ) -> None:
        self.name = name
        self.pods_directory = workdir / "pods"
        self.backing = backing or workdir / "backing"
        self._has_user = os.geteuid() != 0 if user_namespace is None else user_namespace
        places: list[str | Path] = ["--pods-dir", self.pods_directory, "--backing-dir", self.backing]
        self.process = Process(
            f"stand-in {name}",
            [sys.executable, "-m", "pkg.testing.standin", "--kubeconfig", kubeconfig, "--node", name, *places],
            log=workdir / f"{name}.log",
            prefix=["unshare", *(OWN_USER if self._has_user else ()), "--mount", "--propagation", "private"],
        )

    @property
    def prefix(self) -> tuple[str, ...]:
        """Command words that start a process where the volumes are seen, as an agent with propagation sees them."""
        user = ("--user", "--preserve-credentials") if self._has_user else ()
        return ("nsenter", f"--target={self.process.pid}", *user, "--mount", f"--wd={Path.cwd()}")

    def volumes(self, pod_uid: str) -> Path:
        """Return the directory of a pod's volumes."""
        return self.pods_directory / pod_uid / "volumes"

    def start(self) -> Self:
        """Start it and wait until its Node is ready."""
        said = self.process.log.stat().st_size if self.process.log.exists() else 0
        try:
            self.process.start()
            wait_until(
                lambda: "ready\n" in self.process.log.read_text()[said:],
                timeout_seconds=READY_SECONDS,
                what=f"node {self.name}",
                watched=[self.process],
            )
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it; its namespace ends with the last process in it, its Node and pods stay as they are."""
        self.process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
