"""Every kind of store that Ark works with, in the form that Ark's users have it: a Config, a Secret, an environment.

The clouds' own host names lead through a proxy to emulators behind TLS with a certificate of the test's authority, so
both clients (obstore, restic) ask for exactly what they ask for in production.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa

from pkg.apis.ark import StorageProvider
from pkg.objectstore.credentials import CloudCredentials, load_credentials
from pkg.objectstore.location import StorageLocation, storage_location
from pkg.objectstore.region import Regions
from pkg.testing.azurite import Azurite
from pkg.testing.connectproxy import ConnectProxy
from pkg.testing.fakegcs import HOSTS, FakeGcs
from pkg.testing.identities import (
    AWS_ROLE,
    AZURE_CLIENT,
    AZURE_LOGIN,
    AZURE_TENANT,
    TOKEN,
    AwsTokens,
    azure_tokens,
)
from pkg.testing.minio import AMAZON_HOSTS, Minio
from pkg.testing.minio_signing import Account
from pkg.testing.pki import Authority
from pkg.testing.strict_s3 import StrictS3, amazon
from pkg.testing.tlsfront import Rule, TlsFront

S3_HOST, S3_REGION = "s3.example.test", "eu-test-2"
PREFIX = "some/prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One store and how it is configured.

    Attributes:
        name: What the tests call it.
        provider: Of the Config.
        config: Of the Config.
        environ: What the pod's environment holds: its Secret, the proxy, the certificates.
        refused: The same with credentials that are refused.
        make_bucket: Makes a bucket with this name and returns it.
        host: The name, or its end, that both clients ask the proxy for; empty where there is no proxy.
    """

    name: str
    provider: str
    config: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    refused: Mapping[str, str] = field(default_factory=dict, repr=False)
    make_bucket: Callable[[str], str]
    host: str = ""

    def location(self, bucket: str, **config: str) -> StorageLocation:
        """The location of a bucket; Amazon is asked for its region, as the environment of the process leads there."""
        merged = {**self.config, **config}
        provider = StorageProvider(name=self.provider, bucket=bucket, prefix=PREFIX, config=merged or None)
        return Regions()(storage_location(provider))

    def credentials(self) -> CloudCredentials:
        """What Ark makes of the environment."""
        return load_credentials(self.provider, self.environ)


class Backends:
    """All of them, started when first asked for.

    Args:
        workdir: For data, certificates and credentials.
        minio: The MinIO that two of them are.
    """

    def __init__(self, workdir: Path, minio: Minio) -> None:
        self.proxy = ConnectProxy()
        self.authority = Authority(workdir / "pki")
        self.gcs = FakeGcs()
        self.fronts: dict[str, TlsFront] = {}
        self._workdir = workdir
        self._minio = minio
        self._open = ExitStack()
        self._started: dict[str, Backend] = {}
        self._makers = {
            "local": self._local,
            "minio": self._plain_s3,
            "strict-s3": self._strict_s3,
            "amazon": self._amazon,
            "azure": self._azure,
            "gcs": self._gcs,
            "aws-identity": self._aws_identity,
            "azure-identity": self._azure_identity,
            "gcp-identity": self._gcp_identity,
        }

    def __getitem__(self, name: str) -> Backend:
        if name not in self._started:
            self._started[name] = self._makers[name]()
        return self._started[name]

    def seen(self, backend: Backend) -> int:
        """How often the proxy was asked to lead to a backend; a tunnel, which holds many requests, counts once."""
        hosts = self.proxy.seen.items()
        return sum(count for host, count in hosts if backend.host and host.endswith(backend.host))

    @property
    def around(self) -> dict[str, str]:
        """The environment that leads to the clouds: the proxy and the certificates."""
        return {"HTTPS_PROXY": self.proxy.url, "RESTIC_CACERT": str(self._bundle)}

    @property
    def _bundle(self) -> Path:
        """Two authorities in one file, as a company has them; ours is the second."""
        bundle = self._workdir / "bundle.pem"
        if not bundle.exists():
            other = Authority(self._workdir / "other-pki", "another-ca")
            bundle.write_bytes(other.ca_file.read_bytes() + self.authority.ca_file.read_bytes())
        return bundle

    def _local(self) -> Backend:
        root = self._workdir / "local"

        def make(name: str) -> str:
            (root / name).mkdir(parents=True)
            return name

        return Backend(name="local", provider="local", config={"path": str(root)}, make_bucket=make)

    def _plain_s3(self) -> Backend:
        return Backend(
            name="minio",
            provider="aws",
            config={"s3Url": self._minio.endpoint, "region": "us-east-1"},
            environ={"AWS_SHARED_CREDENTIALS_FILE": str(self._minio.write_credentials_file(self._workdir / "minio"))},
            refused=self._wrong_s3(),
            make_bucket=self._minio.make_bucket,
        )

    def _strict_s3(self) -> Backend:
        port = int(self._minio.endpoint.rpartition(":")[2])
        self._front("strict-s3", [S3_HOST, f"*.{S3_HOST}", "127.0.0.1"], port, StrictS3(host=S3_HOST, region=S3_REGION))
        file = self._minio.write_credentials_file(self._workdir / "strict-s3")
        return Backend(
            name="strict-s3",
            provider="aws",
            config={"s3Url": f"https://{S3_HOST}", "region": S3_REGION, "s3ForcePathStyle": "true"},
            environ={"AWS_SHARED_CREDENTIALS_FILE": str(file), **self.around},
            refused={**self._wrong_s3(), **self.around},
            make_bucket=self._minio.make_bucket,
            host=S3_HOST,
        )

    def _amazon(self) -> Backend:
        """Amazon's own names, with the bucket in front of them, and no region in the Config."""
        port = int(self._minio.endpoint.rpartition(":")[2])
        names = [*AMAZON_HOSTS, *(f"*.{host}" for host in AMAZON_HOSTS)]
        self._front("amazon", names, port, amazon)
        file = self._minio.write_credentials_file(self._workdir / "amazon")
        return Backend(
            name="amazon",
            provider="aws",
            environ={"AWS_SHARED_CREDENTIALS_FILE": str(file), **self.around},
            refused={**self._wrong_s3(), **self.around},
            make_bucket=self._minio.make_bucket,
            host="amazonaws.com",
        )

    def _wrong_s3(self) -> dict[str, str]:
        file = self._workdir / "wrong-s3"
        file.write_text(f"[default]\naws_access_key_id = {self._minio.access_key}\naws_secret_access_key = wrong-one\n")
        return {"AWS_SHARED_CREDENTIALS_FILE": str(file)}

    def _azure(self) -> Backend:
        azurite = self._open.enter_context(Azurite(self._workdir / "azurite", self.authority))
        self.proxy.routes[azurite.host] = azurite.port
        secret = {"AZURE_STORAGE_ACCOUNT_ID": azurite.account, "AZURE_STORAGE_KEY": azurite.key}
        # The Secret of 0.9 names a service principal too, for the snapshots of disks.
        secret |= {"AZURE_SUBSCRIPTION_ID": "s", "AZURE_TENANT_ID": "t", "AZURE_RESOURCE_GROUP": "g"}
        secret |= {"AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "of-the-principal"}
        return Backend(
            name="azure",
            provider="azure",
            config={"resticStorageClass": "Hot"},  # Azurite refuses the empty header that restic sends without a tier
            environ={**secret, **self.around},
            refused={**secret, "AZURE_STORAGE_KEY": "d3Jvbmc=", **self.around},
            make_bucket=azurite.make_bucket,
            host=azurite.host,
        )

    def _gcs(self) -> Backend:
        self._front("gcs", HOSTS, 0, self.gcs)
        file, wrong = self._workdir / "gcs", self._workdir / "wrong-gcs"
        file.write_text(self.gcs.service_account())
        wrong.write_text(self.gcs.service_account(key=rsa.generate_private_key(65537, 2048)))
        return Backend(
            name="gcs",
            provider="gcp",
            environ={"GOOGLE_APPLICATION_CREDENTIALS": str(file), **self.around},
            refused={"GOOGLE_APPLICATION_CREDENTIALS": str(wrong), **self.around},
            make_bucket=self.gcs.buckets.make_bucket,
            host=HOSTS[0],
        )

    def _aws_identity(self) -> Backend:
        """As on EKS, with IAM roles for service accounts."""
        minio = self._minio
        account = Account(endpoint=minio.endpoint, access_key=minio.access_key, secret_key=minio.secret_key)
        self._front("sts", [f"sts.{S3_REGION}.amazonaws.com"], 0, AwsTokens(account=account))
        pod = {"AWS_WEB_IDENTITY_TOKEN_FILE": self._token, "AWS_ROLE_ARN": AWS_ROLE, "AWS_REGION": S3_REGION}
        return self._keyless(self["strict-s3"], pod, {**pod, "AWS_ROLE_ARN": "arn:aws:iam::1:role/another"})

    def _azure_identity(self) -> Backend:
        """As on AKS, with workload identity; the account's name stays in the Secret."""
        self._front("login", [AZURE_LOGIN], 0, azure_tokens)
        key = self["azure"]
        pod = {
            "AZURE_STORAGE_ACCOUNT_ID": key.environ["AZURE_STORAGE_ACCOUNT_ID"],
            "AZURE_CLIENT_ID": AZURE_CLIENT,
            "AZURE_TENANT_ID": AZURE_TENANT,
            "AZURE_FEDERATED_TOKEN_FILE": self._token,
            "AZURE_AUTHORITY_HOST": f"https://{AZURE_LOGIN}/",
        }
        return self._keyless(key, pod, {**pod, "AZURE_CLIENT_ID": AZURE_TENANT})

    def _gcp_identity(self) -> Backend:
        """As on GKE: a metadata server and nothing else."""
        metadata = self._open.enter_context(TlsFront(0, None, self.gcs))
        other = self._open.enter_context(TlsFront(0, None, FakeGcs()))
        host = "GCE_METADATA_HOST"
        here, elsewhere = f"127.0.0.1:{metadata.port}", f"127.0.0.1:{other.port}"
        return self._keyless(self["gcs"], {host: here}, {host: elsewhere})

    @property
    def _token(self) -> str:
        file = self._workdir / "token"
        file.write_text(TOKEN)
        return str(file)

    def _keyless(self, backend: Backend, pod: dict[str, str], refused: dict[str, str]) -> Backend:
        """The backend for a pod that is who it is; what asks for tokens trusts what all programs trust."""
        around = {**self.around, "SSL_CERT_FILE": str(self._bundle)}
        name = f"{backend.provider}-identity"
        return dataclasses.replace(backend, name=name, environ={**pod, **around}, refused={**refused, **around})

    def _front(self, name: str, hosts: Sequence[str], upstream: int, rule: Rule) -> None:
        shown = self.authority.issue(name, common_name=name, hosts=hosts)
        front = self._open.enter_context(TlsFront(upstream, shown, rule))
        self.fronts[name] = front
        self.proxy.routes.update(dict.fromkeys(hosts, front.port))

    def __enter__(self) -> Self:
        self._open.enter_context(self.proxy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
