"""Azurite behind TLS, under the name that Azure gives a storage account."""

from __future__ import annotations

import base64
import datetime
import hmac
import http.client
import os
import secrets
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing.assets import binary
from pkg.testing.pki import Authority
from pkg.testing.ports import free_port
from pkg.testing.processes import HarnessError, Process, wait_until

READY_SECONDS = 60
API_VERSION = "2021-08-06"


class Azurite:
    """One storage account on a port of the loopback; clients reach it by its name through a proxy.

    Args:
        workdir: Holds the data and the log.
        authority: Whose certificate it shows.
    """

    def __init__(self, workdir: Path, authority: Authority) -> None:
        self.account = f"ark{secrets.token_hex(4)}"
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.host = f"{self.account}.blob.core.windows.net"
        self.port = free_port()
        self._trust = ssl.create_default_context(cafile=authority.ca_file)
        self._trust.check_hostname = False  # we ask for it by its address
        shown = authority.issue("azurite", common_name="azurite", hosts=[self.host])
        options: Mapping[str, str | Path] = {
            "--blobHost": "127.0.0.1",
            "--blobPort": str(self.port),
            "--location": workdir / "data",
            "--cert": shown.certificate_file,
            "--key": shown.key_file,
            "--oauth": "basic",
        }
        words = [word for option in options.items() for word in option]
        self.process = Process(
            "azurite",
            # restic's client speaks a newer version than any Azurite knows of
            [binary("azurite"), *words, "--disableTelemetry", "--skipApiVersionCheck", "--silent"],
            log=workdir / "azurite.log",
            environment={**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.key}"},
        )

    def start(self) -> Self:
        """Start the server and wait until it takes requests."""
        try:
            self.process.start()
            wait_until(self._listens, timeout_seconds=READY_SECONDS, what="Azurite", watched=[self.process])
        except BaseException:
            self.process.stop()
            raise
        return self

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True

    def make_bucket(self, name: str) -> str:
        """Make a container and return its name."""
        now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"Host": self.host, "x-ms-date": now, "x-ms-version": API_VERSION}
        signed = f"x-ms-date:{now}\nx-ms-version:{API_VERSION}\n/{self.account}/{name}\nrestype:container"
        digest = hmac.digest(base64.b64decode(self.key), ("PUT" + "\n" * 12 + signed).encode(), "sha256")
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self._trust)
        try:
            connection.request("PUT", f"/{name}?restype=container", headers=headers)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.CREATED:
                raise HarnessError(f"making the container {name}: {answer.status} {answer.read().decode()}")
        finally:
            connection.close()
        return name

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()
