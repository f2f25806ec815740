"""``fedaffect pretrain`` as it is typed."""

import json
from pathlib import Path

import pytest
from command_line import call, refused

from fedaffect.models.backbone import load_backbone

SMALL = (
    *("-o", "synthetic.people=6", "-o", "synthetic.sessions=2", "-o", "synthetic.session_s=120"),
    *("--epochs", "1"),
)


def test_a_backbone_says_whose_it_is_and_what_it_does(tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    said = call("pretrain", *SMALL, "--people", "odd", "--out", out, "--json")
    assert said.code == 0, said.err
    card = said.document["card"]
    assert card["public_data"][0]["people"] == ["P0002", "P0004", "P0006"]
    typed = "fedaffect pretrain --data synthetic --people odd --epochs 1"
    assert card["command"] == " ".join([typed, *SMALL[:6], "--out mine.safetensors"])
    assert set(said.document["identity_not_run"]) == {"public", "subject"}  # one person left out
    read = load_backbone(str(out))
    assert json.loads(read.card.model_dump_json()) == card
    assert set(read.weights) == {"public", "subject"}


def test_figures_come_with_chance_and_people(tmp_path: Path) -> None:
    said = call("pretrain", *SMALL, "--out", tmp_path / "a.safetensors")
    assert said.code == 0, said.err
    assert "6 simulated people, " in said.out
    assert "nothing protects these people" in said.out
    assert said.out.count("balanced accuracy on 2 people") == 2
    assert said.out.count("chance 0.500 (") == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("E271", ("--objective", "stres=1")),
        ("E271", ("--objective", "stress=0")),
        ("E272", ("--width", "4", "--model", "stress_identity_cnn")),
        ("E384", ("-o", "synthetic.people=2")),
        ("E215", ("--data", "stress_predict")),
        ("E210", ("--model", "compact")),
        ("E211", ("-o", "synthetic.peple=4")),
    ],
)
def test_what_cannot_be_done_is_refused(code: str, words: tuple[str, ...], tmp_path: Path) -> None:
    refused(code, "pretrain", *words, "--out", tmp_path / "new.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    out.write_bytes(b"mine")
    refused("E273", "pretrain", "--out", out)
    assert out.read_bytes() == b"mine"
    refused("E273", "pretrain", "--out", tmp_path / "nowhere" / "mine.safetensors")
