"""Files of private keys: written for their owner alone, refused where others can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fedaffect.errors import NetworkError

LONGEST = 64 * 1024  # bytes of a key file


def written_key(
    key: ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8
) -> bytes:
    """Return a private key as it is written to its file."""
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def read_private(path: Path) -> bytes:
    """Return the file of a private key.

    Raises:
        NetworkError: E501 there is none, or it is not a plain file; E503 others can read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NetworkError("E501", f"{path} is not a plain file", do="give the key's file")
            if status.st_mode & 0o077:
                raise NetworkError(
                    "E503", f"{path} can be read by other users", do=f"chmod 600 {path}"
                )
            return file.read(LONGEST)
    except OSError as error:
        raise NetworkError(
            "E501",
            f"cannot read {path}: {error.strerror}",
            do="make it with fedaffect certs, or give the right folder",
        ) from error
