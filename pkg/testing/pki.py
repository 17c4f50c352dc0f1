"""A certificate authority for one test control plane.

Keys are on the P-256 curve: making all of a cluster's takes milliseconds, so nothing is cached between runs
and no key outlives its directory.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A certificate and its private key, as PEM files."""

    certificate_file: Path
    key_file: Path


class Authority:
    """Issues certificates into one directory: `<name>.crt` and `<name>.key`; its own name is `ca`."""

    def __init__(self, directory: Path, name: str = "ark-test-ca") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        unsigned = self._builder(self._name, self._key.public_key())
        signed = unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = signed.add_extension(_usage(is_authority=True), critical=True)
        self.credentials = self._write("ca", self._certificate, self._key)

    @property
    def ca_file(self) -> Path:
        """The certificate that clients and servers trust."""
        return self.credentials.certificate_file

    def issue(
        self, name: str, *, common_name: str, organizations: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> Credentials:
        """Issue a certificate good for both ends of a connection.

        Args:
            name: of the files.
            common_name: for a client, the Kubernetes user.
            organizations: for a client, the Kubernetes groups.
            hosts: for a server, the names and addresses it is reached by.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_subject(common_name, organizations), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(is_authority=False), critical=True)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return self._write(name, builder, key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + LIFETIME)
        )

    def _write(self, name: str, unsigned: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Credentials:
        certificate_file = self._directory / f"{name}.crt"
        signed = unsigned.sign(self._key, hashes.SHA256())
        certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return Credentials(certificate_file=certificate_file, key_file=_write_key(self._directory / f"{name}.key", key))


def signing_key_pair(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a key pair without a certificate, for service-account tokens; returns private and public file."""
    key = ec.generate_private_key(ec.SECP256R1())
    public_file = directory / f"{name}.pub"
    public_file.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return _write_key(directory / f"{name}.key", key), public_file


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return file


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
