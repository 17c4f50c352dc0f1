"""Every offer and every reading of a file of the bucket is an Event, because a tarball holds Secrets (operators.md 28).

It stands at the Backup or Restore whose file it is, where people look, and names the DownloadRequest by which it went;
whose request that was is in the API server's audit log only. A presigned address is read past us, so the offer of it
is an Event of its own.
"""

from __future__ import annotations

from typing import Protocol

from pkg.apis.ark import Backup, DownloadRequest, Restore
from pkg.apis.meta import Object
from pkg.informers.lister import Lister

OFFERED = "FileOffered"
READ = "FileRead"


class Recorder(Protocol):
    """What records Events; an EventRecorder is one."""

    def event(self, obj: Object, reason: str, message: str) -> None:
        """Says something about an object."""
        ...


class DownloadEvents:
    """Says who is offered which file, and who read it."""

    def __init__(self, recorder: Recorder, backups: Lister[Backup], restores: Lister[Restore]) -> None:
        self._recorder = recorder
        self._backups = backups
        self._restores = restores

    def offered(self, request: DownloadRequest) -> None:
        """An address and a token are about to be given to whoever reads the request."""
        self._say(request, OFFERED, "is offered for ten minutes")

    def read(self, request: DownloadRequest) -> None:
        """Somebody with the token reads the file through the port-forward."""
        self._say(request, READ, "is read through the server")

    def _say(self, request: DownloadRequest, reason: str, what: str) -> None:
        target = request.spec.target
        message = f"{target.kind} of {target.name} {what}, asked for by DownloadRequest {request.metadata.name}"
        self._recorder.event(self._about(request), reason, message)

    def _about(self, request: DownloadRequest) -> Object:
        """The object that the file is of; the request, where the cluster has none."""
        namespace, name = request.metadata.namespace, request.spec.target.name
        of_restore = request.spec.target.kind.startswith("Restore")
        found: Object | None = self._restores.get(namespace, name) if of_restore else self._backups.get(namespace, name)
        return found or request
