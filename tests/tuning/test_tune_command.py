"""``fedaffect dp tune`` as it is typed."""

import json
from pathlib import Path

from command_line import call, refused

PEOPLE = (
    *("--clients", "4", "-o", "synthetic.people=8"),
    *("-o", "synthetic.sessions=2", "-o", "synthetic.session_s=240"),
)


def test_settings_are_written_and_simulate_takes_them(tmp_path: Path) -> None:
    file = tmp_path / "tuned.toml"
    said = call("dp", "tune", "--eps", "8", "--quick", *PEOPLE, "--out", file)
    assert said.code == 0, said
    assert "public only" in said.out
    assert f"train with:  fedaffect simulate --config {file}" in said.out
    assert "training 3 released numbers" in said.err
    record = json.loads(file.with_suffix(".json").read_text())
    best = record["candidates"][0]
    run = call("simulate", "--config", file, "--dry-run", "--json", "--clients", "4")
    assert run.code == 0, run
    config = run.document["config"]
    assert config["model"]["release"] == best["release"]
    assert config["federation"]["rounds"] == best["rounds"]
    assert config["dp"]["clip"] == best["clip"]
    assert config["dp"]["eps"] == 8
    assert run.document["forecast"]["noise_multiplier"] == best["z"]


def test_json_is_one_document_and_quiet_is_quiet() -> None:
    said = call(
        "dp", "tune", "--eps", "2", "--quick", *PEOPLE, "--release", "3", "--json", "--quiet"
    )
    assert said.code == 0, said
    assert said.err == ""
    assert {c["release"] for c in said.document["candidates"]} == {3}
    assert said.document["public_only"]["chance"] == 0.5


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    settings, record = tmp_path / "mine.toml", tmp_path / "old.json"
    settings.write_text("mine")
    record.write_text("old")
    tune = ("dp", "tune", "--eps", "2", "--quick", *PEOPLE, "--out")
    assert f"{settings} exists" in refused("E273", *tune, settings)
    assert f"{record} exists" in refused("E273", *tune, record.with_suffix(".toml"))
    assert "no such folder" in refused("E273", *tune, tmp_path / "nowhere" / "new.toml")
    for name in ("new.json", "new", ".toml", "."):
        assert "ends in .toml" in refused("E273", *tune, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == [settings, record]
    assert (settings.read_text(), record.read_text()) == ("mine", "old")


def test_refusals() -> None:
    refused("E220", "dp", "tune")
    refused("E201", "dp", "tune", "--eps", "much")
    refused("E380", "dp", "tune", "--eps", "2", "--backbone", "nowhere")
    refused("E229", "dp", "tune", "--eps", "2", *PEOPLE, "--release", "full")
    refused("E229", "dp", "tune", "--eps", "2", *PEOPLE, "--release", "adapter", "--quiet")
