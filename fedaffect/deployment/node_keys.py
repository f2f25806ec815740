"""The keys by which a server knows its nodes: who may join, until when, and who may no longer.

A node signs with a private key on the curve P-384, in OpenSSH's format as Flower's SuperNode
reads it. The list holds public keys only, so a node may make its key itself and send the public
part.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)

from fedaffect.atomic_file import write_bytes_atomic, write_json_atomic
from fedaffect.deployment.authority import make_folder
from fedaffect.deployment.private_keys import LONGEST, written_key
from fedaffect.errors import NetworkError, StorageError, UsageError

LIST_NAME = "nodes.json"
FOLDER_NAME = "nodes"
VERSION = 1
NODE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class NodeKey:
    """A node that was let in.

    Args:
        name: What people call it.
        public_key: Its public key, a line of OpenSSH's format without a comment.
        created: When it was listed, ISO 8601 in UTC.
        expires: When it ends.
        revoked: When it was shut out; ``None`` where it was not.
    """

    name: str
    public_key: str
    created: str
    expires: str
    revoked: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key, as ``ssh-keygen -l`` prints it."""
        blob = base64.b64decode(self.public_key.split()[1])
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"

    @property
    def ends(self) -> datetime:
        """When it ends."""
        return datetime.fromisoformat(self.expires)

    def may_join(self, now: datetime) -> bool:
        """Return whether a server lets it in at ``now``."""
        return self.revoked is None and now < self.ends


class NodeKeys:
    """The list of nodes in a folder. One process at a time changes it.

    Args:
        folder: The folder of the certificates.

    Raises:
        NetworkError: E504 the list cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LIST_NAME
        self.nodes: tuple[NodeKey, ...] = _read(self.path) if self.path.exists() else ()

    def create(self, name: str, days: int) -> tuple[NodeKey, Path]:
        """Make a key for a node and list it; return it and the file of its private part.

        Raises:
            UsageError: E251 not a name for a node, or one that is taken.
            StorageError: E801 there is such a file already; E803 it cannot be written.
        """
        self._refuse_name(name)
        path = self.folder / FOLDER_NAME / f"{name}.key"
        if path.exists():
            raise StorageError("E801", f"{path} exists", do="give another name, or remove it")
        make_folder(path.parent)
        key = ec.generate_private_key(ec.SECP384R1())
        write_bytes_atomic(path, written_key(key, PrivateFormat.OpenSSH))
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        write_bytes_atomic(path.with_suffix(".pub"), public + b"\n")
        return self._add(name, public.decode("ascii"), days), path

    def register(self, name: str, file: Path, days: int) -> NodeKey:
        """List the public key that a node has made itself.

        Args:
            name: What people call it.
            file: Its public key in OpenSSH's format.
            days: Days until it ends.

        Raises:
            UsageError: E251 not a name for a node, or one that is taken.
            NetworkError: E501 the file cannot be read, or holds no key of the right kind; E505
                the key is listed already.
        """
        self._refuse_name(name)
        public = _public_key(file)
        known = [node for node in self.nodes if node.public_key == public]
        if known:
            shut = ", which was shut out" if known[0].revoked else ""
            raise NetworkError(
                "E505", f"{file} is the key of node {known[0].name}{shut}", do="make a new key"
            )
        return self._add(name, public, days)

    def revoke(self, name: str) -> NodeKey:
        """Shut a node out for good; one that already is stays as it is.

        Raises:
            UsageError: E251 no such node.
        """
        found = next((node for node in self.nodes if node.name == name), None)
        if found is None:
            listed = ", ".join(node.name for node in self.nodes) or "none"
            raise UsageError("E251", f"no node is called {name!r}", do=f"listed: {listed}")
        if found.revoked is None:
            ended = replace(found, revoked=_stamp(datetime.now(UTC)))
            self._write(tuple(ended if node is found else node for node in self.nodes))
            return ended
        return found

    def _refuse_name(self, name: str) -> None:
        if not NODE_NAME.fullmatch(name):
            raise UsageError(
                "E251",
                f"{name!r} is no name for a node",
                do="letters, digits, _ . - ; at most 64, no . or - first",
            )
        if any(node.name == name for node in self.nodes):
            raise UsageError(
                "E251", f"a node {name} is listed already", do="give another name, such as the next"
            )

    def _add(self, name: str, public: str, days: int) -> NodeKey:
        now = datetime.now(UTC)
        node = NodeKey(name, public, _stamp(now), _stamp(now + timedelta(days=days)))
        self._write((*self.nodes, node))
        return node

    def _write(self, nodes: tuple[NodeKey, ...]) -> None:
        rows = [asdict(node) for node in nodes]
        write_json_atomic(self.path, {"version": VERSION, "nodes": rows})
        self.nodes = nodes


def _read(path: Path) -> tuple[NodeKey, ...]:
    try:
        said = json.loads(path.read_bytes())
        if said["version"] > VERSION:
            raise NetworkError(
                "E504", f"{path} was written by a newer version", do="upgrade fedaffect"
            )
        nodes = tuple(NodeKey(**row) for row in said["nodes"])
        for node in nodes:
            node.ends, node.fingerprint  # noqa: B018 - both can be read
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise NetworkError(
            "E504", f"{path} cannot be read: {type(error).__name__}", do="restore it from a backup"
        ) from error
    return nodes


def _public_key(file: Path) -> str:
    """Return the public key in ``file`` as one line without a comment."""
    try:
        with file.open("rb") as stream:
            text = stream.read(LONGEST)
    except OSError as error:
        raise NetworkError(
            "E501", f"cannot read {file}: {error.strerror}", do="give the node's .pub file"
        ) from error
    try:
        key = load_ssh_public_key(text.strip())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise NetworkError(
            "E501",
            f"{file} holds no public key for a node",
            do='make one with: ssh-keygen -t ecdsa -b 384 -N "" -f NAME, and give NAME.pub',
        )
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="seconds")
