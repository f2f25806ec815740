"""Certificates against a real TLS handshake, as OpenSSL checks them."""

import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from fedaffect.deployment.authority import (
    CA_CERTIFICATE,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    Authority,
    read_certificate,
    refuse_expired,
)
from fedaffect.errors import NetworkError, StorageError, UsageError


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "certs", "Two hospitals", 30)


def shakes_hands(server: Path, trusts: Path, host: str) -> str:
    """Connect over TLS; return the version, or what the client finds wrong."""
    listening = socket.create_server(("127.0.0.1", 0))
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(server / SERVER_CERTIFICATE, server / SERVER_KEY)

    def answer() -> None:
        raw, _ = listening.accept()
        try:
            with there.wrap_socket(raw, server_side=True) as secure:
                secure.recv(1)
        except OSError:  # the client did not like what it saw
            raw.close()

    thread = threading.Thread(target=answer)
    thread.start()
    here = ssl.create_default_context(cafile=trusts)
    here.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with (
            socket.create_connection(listening.getsockname(), 10) as raw,
            here.wrap_socket(raw, server_hostname=host) as secure,
        ):
            secure.send(b"x")
            return str(secure.version())
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        thread.join()
        listening.close()


@pytest.mark.parametrize("host", ["10.77.0.1", "fl.hospital.org", "::1"])
def test_client_that_trusts_the_authority_knows_the_server(authority: Authority, host: str) -> None:
    authority.issue_server(("10.77.0.1", "FL.Hospital.org", "::1"), 10)
    folder = authority.folder
    assert shakes_hands(folder, folder / CA_CERTIFICATE, host) == "TLSv1.3"
    assert "mismatch" in shakes_hands(folder, folder / CA_CERTIFICATE, "fl.other.org")


def test_other_authority_vouches_for_nobody_here(authority: Authority, tmp_path: Path) -> None:
    authority.issue_server(("localhost",), 10)
    other = Authority.create(tmp_path / "other", "Two hospitals", 30)  # the same name
    why = shakes_hands(authority.folder, other.folder / CA_CERTIFICATE, "localhost")
    assert "signature failure" in why or "unable to get local issuer" in why


def test_server_may_not_vouch_for_others(authority: Authority) -> None:
    certificate = authority.issue_server(("localhost",), 10)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and not constraints.value.ca
    certificate.verify_directly_issued_by(authority.certificate)


def test_ended_certificate_is_refused(authority: Authority) -> None:
    issued = authority.issue_server(("localhost",), 10)
    ended = datetime.now(UTC) - timedelta(hours=1)
    key = Authority.open(authority.folder).key
    old = x509.CertificateBuilder(
        issuer_name=issued.issuer,
        subject_name=issued.subject,
        public_key=issued.public_key(),
        serial_number=issued.serial_number,
        not_valid_before=ended - timedelta(days=1),
        not_valid_after=ended,
        extensions=list(issued.extensions),
    ).sign(key, hashes.SHA384())
    path = authority.folder / SERVER_CERTIFICATE
    path.write_bytes(old.public_bytes(Encoding.PEM))
    assert "expired" in shakes_hands(
        authority.folder, authority.folder / CA_CERTIFICATE, "localhost"
    )
    with pytest.raises(NetworkError, match=f"ended on {ended:%Y-%m-%d %H:%M} UTC") as caught:
        refuse_expired(read_certificate(path), path)
    assert caught.value.code == "E502"


def test_server_does_not_outlive_its_authority(authority: Authority) -> None:
    certificate = authority.issue_server(("localhost",), 365)
    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert certificate.not_valid_before_utc < datetime.now(UTC)  # for clocks that are behind


def test_keys_are_their_owners_alone(authority: Authority) -> None:
    authority.issue_server(("localhost",), 10)
    assert authority.folder.stat().st_mode & 0o077 == 0
    for name in ("ca.key", SERVER_KEY):
        assert (authority.folder / name).stat().st_mode & 0o777 == 0o600
    (authority.folder / "ca.key").chmod(0o644)
    with pytest.raises(NetworkError, match="can be read by other users") as caught:
        Authority.open(authority.folder)
    assert caught.value.code == "E503" and "chmod 600" in caught.value.do


def test_issued_again_the_old_key_is_gone(authority: Authority) -> None:
    first = authority.issue_server(("localhost",), 10)
    second = Authority.open(authority.folder).issue_server(("localhost",), 10)
    assert first.serial_number != second.serial_number
    assert first.public_key() != second.public_key()
    folder = authority.folder
    assert shakes_hands(folder, folder / CA_CERTIFICATE, "localhost") == "TLSv1.3"


def test_addresses_are_addresses_and_names_are_names(authority: Authority) -> None:
    certificate = authority.issue_server(("10.0.0.7", "a.org"), 10)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.0.0.7")]
    assert names.get_values_for_type(x509.DNSName) == ["a.org"]


@pytest.mark.parametrize(
    "host", ["", "a b", "host:8000", "https://a.org", "-a.org", "a..org", "10.0.0.300", "ä.org"]
)
def test_what_is_no_host_is_refused(authority: Authority, host: str) -> None:
    with pytest.raises(UsageError, match="neither an address nor a host name"):
        authority.issue_server((host,), 10)
    assert not (authority.folder / SERVER_KEY).exists()


def test_authority_is_not_written_over(authority: Authority) -> None:
    key = (authority.folder / "ca.key").read_bytes()
    with pytest.raises(StorageError, match="holds an authority already"):
        Authority.create(authority.folder, "Other", 30)
    assert (authority.folder / "ca.key").read_bytes() == key


def test_files_that_do_not_belong_together_are_refused(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "other", "Other", 30)
    key = authority.folder / "ca.key"
    key.write_bytes((other.folder / "ca.key").read_bytes())
    with pytest.raises(NetworkError, match=r"is not the key of ca\.crt"):
        Authority.open(authority.folder)
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----\n")
    with pytest.raises(NetworkError, match="is no private key"):
        Authority.open(authority.folder)
    key.unlink()
    with pytest.raises(NetworkError, match="No such file"):
        Authority.open(authority.folder)
    (authority.folder / CA_CERTIFICATE).write_text("<html>")
    with pytest.raises(NetworkError, match="is no certificate"):
        Authority.open(authority.folder)
