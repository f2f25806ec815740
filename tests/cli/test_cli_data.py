import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedaffect import registry
from fedaffect.cli.data import app
from fedaffect.errors import StorageError, UsageError


def call(*words: str | Path, code: int = 0) -> str:
    """Run a command; return its standard output."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("e4") / "sample"
    call("make", "e4", "--out", root, "--seed", "5")
    return root


def test_list_names_every_data_set_with_its_terms() -> None:
    document = json.loads(call("list", "--json"))
    assert [row["name"] for row in document["datasets"]] == sorted(registry.DATASETS)
    text = call("list")
    for row in document["datasets"]:
        assert f"\n{row['name']} " in text
        assert row["licence"] in text
        assert row["signals"] in text
        needs = next(x for x in text.splitlines() if x.startswith(row["name"] + " "))
        assert ("--data-root" in needs) == row["needs_root"]


def test_made_sample_passes_its_check(sample: Path) -> None:
    text = call("check", "e4", "--data-root", sample)
    assert "e4: 6 simulated people, 12 sessions, 1.0 h" in text
    assert text.endswith("e4: 0 errors, 0 warnings\n")


def test_check_prints_one_json_document(sample: Path) -> None:
    document = json.loads(call("check", "e4", "--data-root", sample, "--json"))
    assert document["ok"] is True
    assert document["dataset"] == "e4"
    assert {"level", "what", "details"} == set(document["findings"][0])


def test_check_of_damaged_files_exits_with_3(tmp_path: Path) -> None:
    call("make", "e4", "--out", tmp_path)
    (tmp_path / "P01/01/EDA.csv").write_text("1700000000\n8\n1\n")
    (tmp_path / "P02/02/BVP.csv").unlink()
    text = call("check", "e4", "--data-root", tmp_path, code=3)
    assert "error   E345" in text
    assert "error   E341" in text
    assert text.endswith("e4: 2 errors, 0 warnings\n")
    document = json.loads(call("check", "e4", "--data-root", tmp_path, "--json", code=3))
    assert document["ok"] is False
    assert [f["details"]["code"] for f in document["findings"]] == ["E345", "E341"]


def test_check_without_a_root_says_what_is_needed() -> None:
    text = call("check", "stress_predict", code=3)
    assert "E340" in text
    assert "--data-root" in text


def test_make_says_what_comes_next(tmp_path: Path) -> None:
    text = call("make", "synthetic", "--out", tmp_path / "new")
    assert f"next: fedaffect data check e4 --data-root {tmp_path / 'new'}" in text
    assert call("check", "e4", "--data-root", tmp_path / "new").endswith("0 warnings\n")


def test_make_depends_on_the_seed(sample: Path, tmp_path: Path) -> None:
    call("make", "e4", "--out", tmp_path / "same", "--seed", "5")
    call("make", "e4", "--out", tmp_path / "other", "--seed", "6")
    name = "P01/01/BVP.csv"
    assert (tmp_path / "same" / name).read_bytes() == (sample / name).read_bytes()
    assert (tmp_path / "other" / name).read_bytes() != (sample / name).read_bytes()


@pytest.mark.parametrize("what", ["folder with a file", "file"])
def test_make_leaves_what_is_there(tmp_path: Path, what: str) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    with pytest.raises(StorageError) as caught:
        call("make", "e4", "--out", tmp_path if what == "folder with a file" else kept)
    assert (caught.value.code, caught.value.exit_code) == ("E801", 8)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]
    assert kept.read_text() == "mine"


def test_make_below_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        call("make", "e4", "--out", tmp_path / "file" / "sample")


def test_unknown_names_and_modalities(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean") as caught:
        call("check", "wesat")
    assert caught.value.code == "E210"
    for name, modality in (("e4", "chest"), ("wesad", "nose")):
        with pytest.raises(UsageError) as caught:
            call("make", name, "--out", tmp_path / "x", "--modality", modality)
        assert caught.value.code == "E227"
    assert not (tmp_path / "x").exists()


def test_no_command_shows_help() -> None:
    result = CliRunner().invoke(app, [])
    assert all(word in result.output for word in ("list", "check", "make"))
