"""``fedaffect certs`` as people type it."""

from pathlib import Path

from command_line import call, refused

from fedaffect.deployment.node_keys import NodeKeys


def test_from_nothing_to_nodes_that_may_join(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    said = call("certs", "ca", folder, "--name", "Two hospitals")
    assert said.code == 0 and "secret: keep it here" in said.out and "SHA-256 " in said.out
    assert call("certs", "server", folder, "10.77.0.1", "fl.hospital.org").code == 0
    assert call("certs", "node", folder, "clinic-a").code == 0
    made_there = NodeKeys(tmp_path).create("own", 1)[1].with_suffix(".pub")
    assert call("certs", "node", folder, "clinic-b", "--public-key", made_there).code == 0
    assert not (folder / "nodes" / "clinic-b.key").exists()
    assert call("certs", "revoke", folder, "clinic-a").code == 0
    shown = call("certs", "list", folder).out
    assert "10.77.0.1, fl.hospital.org" in shown
    assert "SHUT OUT" in shown and "clinic-a" in shown and "clinic-b" in shown
    document = call("certs", "list", folder, "--json").document
    assert document["server"]["hosts"] == ["10.77.0.1", "fl.hospital.org"]
    assert [(n["name"], n["may_join"]) for n in document["nodes"]] == [
        ("clinic-a", False),
        ("clinic-b", True),
    ]


def test_end_that_is_near_is_said(tmp_path: Path) -> None:
    call("certs", "ca", tmp_path, "--days", "20")
    call("certs", "node", tmp_path, "a", "--days", "40")
    shown = call("certs", "list", tmp_path).out
    assert "ENDS IN 19 DAYS" in shown.splitlines()[0]
    assert shown.count("ENDS IN") == 1
    assert "none: fedaffect certs server" in shown


def test_mistakes_are_told(tmp_path: Path) -> None:
    assert "fedaffect certs" in refused("E501", "certs", "server", tmp_path / "none", "a.org")
    refused("E501", "certs", "node", tmp_path / "none", "a")
    call("certs", "ca", tmp_path)
    refused("E801", "certs", "ca", tmp_path)
    refused("E250", "certs", "server", tmp_path, "a.org:8000")
    refused("E251", "certs", "revoke", tmp_path, "nobody")
    refused("E251", "certs", "node", tmp_path, "../up")
    refused("E203", "certs", "ca", tmp_path / "new", "--name", "")
    (tmp_path / "ca.key").chmod(0o640)
    assert "chmod 600" in refused("E503", "certs", "server", tmp_path, "a.org")
