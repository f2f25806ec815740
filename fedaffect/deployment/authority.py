"""A certificate authority in a folder: by its certificate, clients know their server.

Made with ``cryptography``. X.509 as in RFC 5280; keys on the curve P-384.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedaffect.atomic_file import write_bytes_atomic
from fedaffect.deployment.private_keys import read_private, written_key
from fedaffect.errors import NetworkError, StorageError, UsageError

CA_CERTIFICATE, CA_KEY = "ca.crt", "ca.key"
SERVER_CERTIFICATE, SERVER_KEY = "server.crt", "server.key"  # what nodes see
LINK_CERTIFICATE, LINK_KEY = "superlink.crt", "superlink.key"  # behind it, on the same machine
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
SKEW = timedelta(minutes=10)  # by which the clocks of machines may differ
WARN = timedelta(days=30)  # before the end
DNS_NAME = re.compile(r"(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]+", re.A)


@dataclass(frozen=True)
class Authority:
    """The key and the certificate that vouch for servers.

    Args:
        folder: Where they lie.
        key: Signs; it never leaves this machine.
        certificate: Given to everyone who is to know the server.
    """

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, folder: Path, name: str, days: int) -> Authority:
        """Make a new authority in ``folder``.

        Args:
            folder: Absent, or without an authority.
            name: What people call it, up to 64 characters.
            days: Days until it ends.

        Raises:
            UsageError: E203 the name is empty or too long.
            StorageError: E801 there is one already; E803 it cannot be written.
        """
        if not 1 <= len(name) <= 64 or not name.isprintable():
            raise UsageError(
                "E203", f"--name {name!r} is no name", do="1 to 64 characters that print"
            )
        if (folder / CA_KEY).exists() or (folder / CA_CERTIFICATE).exists():
            raise StorageError(
                "E801", f"{folder} holds an authority already", do="use it, or give a new folder"
            )
        make_folder(folder)
        key = ec.generate_private_key(ec.SECP384R1())
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        draft = (
            _draft(named, named, key.public_key(), datetime.now(UTC) + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        made = cls(folder, key, draft.sign(key, hashes.SHA384()))
        write_bytes_atomic(folder / CA_KEY, written_key(key))
        write_bytes_atomic(folder / CA_CERTIFICATE, made.certificate.public_bytes(Encoding.PEM))
        return made

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Return the authority in ``folder``.

        Raises:
            NetworkError: E501 there is none, or its files are not what they should be; E503 its
                key can be read by others.
        """
        certificate = read_certificate(folder / CA_CERTIFICATE)
        path = folder / CA_KEY
        try:
            key = load_pem_private_key(read_private(path), None)
        except ValueError as error:
            raise NetworkError("E501", f"{path} is no private key", do="restore it") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or (
            key.public_key() != certificate.public_key()
        ):
            raise NetworkError(
                "E501", f"{path} is not the key of {CA_CERTIFICATE} beside it", do="restore both"
            )
        return cls(folder, key, certificate)

    def issue_server(self, hosts: tuple[str, ...], days: int) -> x509.Certificate:
        """Make new keys and certificates of the server; those that were there are replaced.

        One is for the ``hosts`` by which nodes reach it, the other for the SuperLink, which only
        programs on the same machine reach.

        Args:
            hosts: Addresses and names by which clients reach it.
            days: Days until they end; not after the authority does.

        Returns:
            The certificate that nodes see.

        Raises:
            UsageError: E250 none, or what is neither an address nor a host name.
            NetworkError: E502 the authority has ended.
            StorageError: E803 they cannot be written.
        """
        if not hosts:
            raise UsageError("E250", "a server without a host", do="give its address or name")
        names = [_general_name(host) for host in hosts]
        refuse_expired(self.certificate, self.folder / CA_CERTIFICATE)
        inside = [_general_name(host) for host in THIS_MACHINE]
        self._issue("superlink", inside, days, LINK_CERTIFICATE, LINK_KEY)
        return self._issue(hosts[0][:64], names, days, SERVER_CERTIFICATE, SERVER_KEY)

    def _issue(
        self, called: str, names: list[x509.GeneralName], days: int, file: str, key_file: str
    ) -> x509.Certificate:
        ends = min(datetime.now(UTC) + timedelta(days=days), self.certificate.not_valid_after_utc)
        key = ec.generate_private_key(ec.SECP384R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        draft = (
            _draft(subject, self.certificate.subject, key.public_key(), ends)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(by, critical=False)
        )
        certificate = draft.sign(self.key, hashes.SHA384())
        write_bytes_atomic(self.folder / key_file, written_key(key))
        write_bytes_atomic(self.folder / file, certificate.public_bytes(Encoding.PEM))
        return certificate


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the addresses and names that a server's certificate is good for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in names)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, for people to compare."""
    return certificate.fingerprint(hashes.SHA256()).hex(":")


def read_certificate(path: Path) -> x509.Certificate:
    """Return the certificate at ``path``.

    Raises:
        NetworkError: E501 there is none.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise NetworkError(
            "E501",
            f"cannot read {path}: {error.strerror}",
            do="make it with fedaffect certs, or give the right folder",
        ) from error
    except ValueError as error:
        raise NetworkError("E501", f"{path} is no certificate (PEM)", do="restore it") from error


def refuse_expired(certificate: x509.Certificate, path: Path) -> None:
    """Refuse a certificate that has ended.

    Raises:
        NetworkError: E502 it has.
    """
    ended = certificate.not_valid_after_utc
    if ended <= datetime.now(UTC):
        raise NetworkError(
            "E502", f"{path} ended on {ended:%Y-%m-%d %H:%M} UTC", do="issue a new one"
        )


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone can look into, if there is none.

    Raises:
        StorageError: E803 it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "E803", f"cannot make {folder}: {error.strerror}", do="give another folder"
        ) from error


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - SKEW)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not DNS_NAME.fullmatch(host.lower()) or host.rsplit(".", 1)[-1].isdigit():
        raise UsageError(
            "E250",
            f"{host!r} is neither an address nor a host name",
            do="such as 10.77.0.1 or fl.hospital.org, without a port",
        )
    return x509.DNSName(host.lower())
