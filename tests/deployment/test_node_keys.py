"""Keys of nodes: read by Flower's own SuperNode, listed by fingerprint, shut out for good."""

import argparse
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fedaffect.deployment.node_keys import NodeKeys
from fedaffect.errors import NetworkError, StorageError, UsageError


def flowers_reading(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key that Flower's SuperNode takes out of a private key's file."""
    from flwr.supernode.cli.flower_supernode import _try_setup_client_authentication

    given = argparse.Namespace(auth_supernode_private_key=str(path), auth_supernode_public_key=None)
    found = _try_setup_client_authentication(given)
    assert found is not None
    return found[1]


def test_flower_reads_the_key_and_it_is_the_one_on_the_list(tmp_path: Path) -> None:
    node, path = NodeKeys(tmp_path).create("clinic-a", 30)
    public = flowers_reading(path).public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert public.decode() == node.public_key
    assert path.with_suffix(".pub").read_text().strip() == node.public_key
    assert NodeKeys(tmp_path).nodes == (node,)
    assert path.stat().st_mode & 0o777 == 0o600
    listed = (tmp_path / "nodes.json").read_text()
    assert "PRIVATE" not in listed
    secret = path.read_text().splitlines()[3]
    assert secret not in listed


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_key_that_a_node_made_itself_is_listed_under_its_fingerprint(tmp_path: Path) -> None:
    made = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-C", "me@home"]
    subprocess.run([*made, "-f", str(tmp_path / "own")], check=True)
    node = NodeKeys(tmp_path).register("clinic-b", tmp_path / "own.pub", 30)
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(tmp_path / "own.pub")], capture_output=True, text=True
    )
    assert node.fingerprint in said.stdout
    assert "me@home" not in (tmp_path / "nodes.json").read_text()  # comments name people
    assert flowers_reading(tmp_path / "own") is not None


def test_key_is_listed_once(tmp_path: Path) -> None:
    keys = NodeKeys(tmp_path)
    _, path = keys.create("a", 30)
    with pytest.raises(NetworkError, match="is the key of node a") as caught:
        keys.register("b", path.with_suffix(".pub"), 30)
    assert caught.value.code == "E505"
    keys.revoke("a")
    with pytest.raises(NetworkError, match="node a, which was shut out"):
        keys.register("b", path.with_suffix(".pub"), 30)


def test_who_may_join(tmp_path: Path) -> None:
    keys = NodeKeys(tmp_path)
    keys.create("a", 30)
    keys.create("b", 30)
    now = datetime.now(UTC)
    assert [n.may_join(now) for n in keys.nodes] == [True, True]
    assert [n.may_join(now + timedelta(days=31)) for n in keys.nodes] == [False, False]
    first = keys.revoke("a").revoked
    again = NodeKeys(tmp_path)
    assert again.revoke("a").revoked == first  # for good, since then
    assert [n.may_join(now) for n in again.nodes] == [False, True]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "-a", "a b", "a\n", "ä", "a" * 65])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a node"):
        NodeKeys(tmp_path).create(name, 30)
    assert not list(tmp_path.iterdir())


def test_name_is_taken_once(tmp_path: Path) -> None:
    keys = NodeKeys(tmp_path)
    keys.create("a", 30)
    with pytest.raises(UsageError, match="is listed already"):
        keys.create("a", 30)
    with pytest.raises(UsageError, match="no node is called 'b'"):
        keys.revoke("b")
    (tmp_path / "nodes.json").unlink()
    with pytest.raises(StorageError, match="exists"):
        NodeKeys(tmp_path).create("a", 30)  # no private key is written over


def test_what_is_no_public_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pub"
    keys = NodeKeys(tmp_path)
    small = ec.generate_private_key(ec.SECP256R1()).public_key()
    for content in (
        b"",
        b"ssh-rsa AAAA",
        b"\xff" * 200,
        small.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    ):
        file.write_bytes(content)
        with pytest.raises(NetworkError, match="holds no public key for a node"):
            keys.register("x", file, 30)
    _, private = keys.create("y", 30)
    with pytest.raises(NetworkError, match="holds no public key for a node"):
        keys.register("x", private, 30)  # the wrong one of the two
    with pytest.raises(NetworkError, match="No such file"):
        keys.register("x", tmp_path / "none.pub", 30)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"version": 99},
        lambda said: {"nodes": said["nodes"]},
        lambda said: said | {"nodes": [{"name": "a"}]},
        lambda said: said | {"nodes": [said["nodes"][0] | {"public_key": "x"}]},
        lambda said: said | {"nodes": [said["nodes"][0] | {"expires": "soon"}]},
        lambda said: [said],
    ],
)
def test_list_that_cannot_be_read_lets_nobody_in(tmp_path: Path, change) -> None:  # type: ignore
    NodeKeys(tmp_path).create("a", 30)
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(NetworkError) as caught:
        NodeKeys(tmp_path)
    assert caught.value.code == "E504"
