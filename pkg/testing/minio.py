"""A real MinIO server with credentials of its own and buckets on demand."""

import base64
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing.assets import binary
from pkg.testing.minio_signing import Account, ask
from pkg.testing.minio_sts import assume_role
from pkg.testing.ports import free_port
from pkg.testing.processes import Process, wait_until

READY_SECONDS = 30
KMS_KEY = "ark-key"
AMAZON_REGION = "eu-west-1"
AMAZON_HOSTS = tuple(
    f"s3{region}.amazonaws.com"
    for region in ("", f".{AMAZON_REGION}", f"-{AMAZON_REGION}", f".dualstack.{AMAZON_REGION}")
)
"""Hosts below which a bucket's name is a part of the name, as at Amazon."""
RETENTION = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>COMPLIANCE</Mode><Days>{days}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)
PROBE = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"


class Minio:
    """One server with one drive; may be stopped and started again where it was.

    Args:
        workdir: holds the data and the log.
        bind_address: where it listens.
        prefix: command words put before the server, such as `nsenter --net=…`.
        port: where it listens; by default a free one.
    """

    def __init__(
        self,
        workdir: Path,
        bind_address: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        *,
        port: int | None = None,
    ) -> None:
        self.endpoint = f"http://{bind_address}:{port or free_port(bind_address)}"
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        self.data = workdir / "data"
        self._prefix = tuple(prefix)
        self.data.mkdir(parents=True, exist_ok=True)
        address = self.endpoint.removeprefix("http://")
        console = f"{bind_address}:{free_port(bind_address)}"
        self.process = Process(
            "minio",
            [binary("minio"), "server", "--address", address, "--console-address", console, self.data],
            log=workdir / "minio.log",
            prefix=prefix,
            environment=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
        return {
            **outside,
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_DOMAIN": ",".join(AMAZON_HOSTS),
            "MINIO_KMS_SECRET_KEY": f"{KMS_KEY}:{base64.b64encode(KMS_KEY.encode().ljust(32)).decode()}",
        }

    def start(self) -> Self:
        """Start the server and wait until it takes requests."""
        try:
            self.process.start()
            wait_until(
                self._is_ready,
                timeout_seconds=READY_SECONDS,
                what="MinIO to be ready",
                watched=[self.process],
            )
        except BaseException:
            self.stop()
            raise
        return self

    def _is_ready(self) -> bool:
        url = f"{self.endpoint}/minio/health/ready"
        if self._prefix:
            command = [*self._prefix, sys.executable, "-c", PROBE, url]
            return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def stop(self) -> None:
        """Stop the server; its data stay."""
        self.process.stop()

    def make_bucket(self, name: str) -> str:
        """Make a bucket, also before the start, and return its name: to MinIO it is a directory."""
        (self.data / name).mkdir(exist_ok=True)
        return name

    def write_credentials_file(self, path: Path) -> Path:
        """Write the root credentials as the AWS tools' INI file; returns its path."""
        path.touch(mode=0o600)
        path.write_text(
            f"[default]\naws_access_key_id = {self.access_key}\naws_secret_access_key = {self.secret_key}\n"
        )
        return path

    def restricted_credentials(self, policy: object, path: Path) -> Path:
        """Write credentials that may do no more than an AWS policy allows, as an INI file; returns its path.

        The server must run; the credentials last for some hours.
        """
        return assume_role(self._account(), policy).write(path)

    def make_locked_bucket(self, name: str, *, days: int = 1) -> str:
        """Make a bucket with versions whose objects nobody may remove for some days, and return its name.

        A deletion there hides an object behind a marker, as in a bucket with versioning alone. The server must run.
        """
        account = self._account()
        ask(account, "PUT", f"/{name}", b"", headers={"x-amz-bucket-object-lock-enabled": "true"})
        ask(account, "PUT", f"/{name}", RETENTION.format(days=days).encode(), query="object-lock")
        return name

    def _account(self) -> Account:
        return Account(endpoint=self.endpoint, access_key=self.access_key, secret_key=self.secret_key)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
