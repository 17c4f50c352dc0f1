"""Certificates that Go's TLS stack and Python's accept, with the names in them that were asked for."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from pkg.testing.pki import Authority, Credentials, signing_key_pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def context(purpose: int, own: Credentials, trusted: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(purpose)
    made.load_cert_chain(own.certificate_file, own.key_file)
    made.load_verify_locations(trusted)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, hostname: str) -> None:
    """Connect the two over a socket pair; raises what the client raises."""
    left, right = socket.socketpair()
    with left, right:
        thread = threading.Thread(target=_serve, args=(server, left), name="tls-server")
        thread.start()
        try:
            client.wrap_socket(right, server_hostname=hostname).close()
        finally:
            right.close()
            thread.join(10)


def _serve(server: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        server.wrap_socket(connection, server_side=True).close()
    except (ssl.SSLError, OSError):
        return


@pytest.mark.parametrize("hostname", ["127.0.0.1", "kubernetes.default"])
def test_a_server_is_trusted_under_each_of_its_names(authority: Authority, hostname: str) -> None:
    serving = authority.issue("serving", common_name="x", hosts=["127.0.0.1", "kubernetes.default"])
    client = authority.issue("client", common_name="jane")
    handshake(
        context(ssl.PROTOCOL_TLS_SERVER, serving, authority.ca_file),
        context(ssl.PROTOCOL_TLS_CLIENT, client, authority.ca_file),
        hostname,
    )


def test_a_server_of_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    serving = other.issue("serving", common_name="x", hosts=["127.0.0.1"])
    client = authority.issue("client", common_name="jane")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(
            context(ssl.PROTOCOL_TLS_SERVER, serving, other.ca_file),
            context(ssl.PROTOCOL_TLS_CLIENT, client, authority.ca_file),
            "127.0.0.1",
        )


def test_a_client_certificate_names_user_and_groups(authority: Authority) -> None:
    issued = authority.issue("node", common_name="system:node:node1", organizations=["system:nodes", "more"])
    subject = x509.load_pem_x509_certificate(issued.certificate_file.read_bytes()).subject
    assert [part.value for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["system:node:node1"]
    groups = [part.value for part in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ["system:nodes", "more"]


def test_only_the_owner_reads_a_key(authority: Authority) -> None:
    issued = authority.issue("client", common_name="jane")
    for file in (issued.key_file, authority.credentials.key_file):
        assert file.stat().st_mode & 0o777 == 0o600


def test_both_halves_of_a_signing_key_belong_together(tmp_path: Path) -> None:
    key_file, public_file = signing_key_pair(tmp_path, "service-accounts")
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public == public_file.read_bytes()
