"""``fedaffect compare`` as it is typed, on records whose differences are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import call, refused
from simulated import simulated
from sweep_sample import three_settings

from fedaffect.record import RunRecord
from fedaffect.sweeping import sweep_folder

SMALL = {"synthetic.people": 8, "federation.clients": 4, "federation.rounds": 1}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> dict[str, Any]:
    """The record of a real run, with four held-out people."""
    run = simulated(tmp_path_factory.mktemp("compared") / "run", SMALL)
    return run.record.model_dump(mode="json")


def written(folder: Path, record: dict[str, Any], **changes: Any) -> Path:
    """Write a record with another id and changes (dotted keys, ``__`` for the dot)."""
    values = json.loads(json.dumps(record))
    values["provenance"]["run_id"] = folder.name
    for dotted, value in changes.items():
        *path, last = dotted.split("__")
        place = values
        for part in path:
            place = place[part]
        place[last] = value
    RunRecord.model_validate(values)
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(values))
    return folder


def shifted(record: dict[str, Any], by: float) -> list[dict[str, Any]]:
    """Return the people of a record, everyone's stress figure set to .25 + ``by``."""
    return [
        {**p, "stress_balanced_accuracy": 0.25 + by if p["stress_accuracy"] is not None else None}
        for p in record["figures"]["per_person"]
    ]


def figure(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(f for f in document["figures"] if f["name"].startswith(name))


def test_a_planted_difference_is_found_pair_by_pair(first, tmp_path):
    a = written(tmp_path / "a", first, figures__per_person=shifted(first, 0.0))
    b = written(tmp_path / "b", first, figures__per_person=shifted(first, 0.125))
    (difference,) = figure(call("compare", a, b, "--json").document, "stress bal")["differences"]
    assert difference["how"] == "paired"
    assert difference["value"] == pytest.approx(0.125)
    assert (difference["low"], difference["high"]) == pytest.approx((0.125, 0.125))
    assert difference["n_people"] == 4


def test_a_run_does_not_differ_from_its_repetition(first, tmp_path):
    a, b = written(tmp_path / "a", first), written(tmp_path / "b", first)
    said = call("compare", a, b, "--json").document
    assert said["settings"] == []
    for compared in said["figures"]:
        (difference,) = compared["differences"]
        assert difference["value"] == pytest.approx(0)
        assert difference["low"] <= 0 <= difference["high"]
    assert "Settings that differ\n  none\n" in call("compare", a, b).out


def test_settings_that_differ_are_told_and_no_others(first, tmp_path):
    a = written(tmp_path / "a", first)
    b = written(
        tmp_path / "b", first, provenance__config__dp__eps=5.0, provenance__config__run__seed=7
    )
    said = call("compare", a, b, "--json").document
    assert {row["name"]: row["values"] for row in said["settings"]} == {
        "dp.eps": [None, 5.0],
        "run.seed": [0, 7],
    }


def test_other_people_are_compared_unpaired_and_it_says_so(first, tmp_path):
    others = [{**p, "person": f"{p['person']}x"} for p in first["figures"]["per_person"]]
    a = written(tmp_path / "a", first)
    b = written(tmp_path / "b", first, figures__per_person=others)
    said = call("compare", a, b)
    assert "unpaired: stress accuracy: other people were tested: 4 and 4, 0 of them in both" in (
        said.out
    )
    (difference,) = figure(call("compare", a, b, "--json").document, "stress acc")["differences"]
    assert difference["how"] == "unpaired"


def test_attackers_are_compared_unpaired(first, tmp_path):
    a = written(tmp_path / "a", first)
    for part, value in (("value", 0.6), ("low", 0.5), ("high", 0.7)):
        first["figures"]["identity_strongest"][part] = value
    b = written(tmp_path / "b", first)
    c = written(tmp_path / "c", first)
    first_two = call("compare", b, c, "--json").document
    (difference,) = figure(first_two, "identity, strongest")["differences"]
    assert difference["how"] == "unpaired"
    assert difference["high"] == pytest.approx(0.1 * 2**0.5)  # two equal intervals
    assert call("compare", a, c).code == 0


def test_other_data_are_never_compared_in_figures(first, tmp_path):
    a = written(tmp_path / "a", first)
    b = written(tmp_path / "b", first, data__fingerprint="0" * 64)
    said = call("compare", a, b, "--json").document
    assert {d["how"] for f in said["figures"] for d in f["differences"]} == {"none"}
    assert any("different data" in note for note in said["notes"])
    assert "no difference told" in call("compare", a, b).out


def test_privacy_is_always_told(first, tmp_path):
    a = written(tmp_path / "a", first)
    b = written(tmp_path / "b", first, privacy__status="FORMAL", privacy__eps=5.0)
    said = call("compare", a, b, "--json").document
    told = {row["name"]: row["values"] for row in said["privacy"]}
    assert told["status"] == ["NONE", "FORMAL"]
    assert told["eps"] == [None, 5.0]


def test_many_runs_are_each_compared_with_the_first(first, tmp_path):
    runs = [written(tmp_path / f"r{i:02}", first) for i in range(28)]
    said = call("compare", *runs, "--json").document
    labels = [run["label"] for run in said["runs"]]
    assert labels[:2] + labels[25:] == ["A", "B", "Z", "AA", "AB"]
    assert [d["label"] for d in said["figures"][0]["differences"]] == labels[1:]
    assert any("one in twenty" in note for note in said["notes"])


def test_a_page_is_written_where_it_is_asked_for(first, tmp_path):
    a, b = written(tmp_path / "a", first), written(tmp_path / "b", first)
    page = tmp_path / "compare.html"
    assert f"Page     {page}" in call("compare", a, b, "--out", page).out
    assert page.read_text().startswith("<!doctype html>")


def test_what_is_no_pair_of_runs_is_refused(first, tmp_path):
    a = written(tmp_path / "a", first)
    same = written(tmp_path / "copy", first, provenance__run_id="a")
    refused("E267", "compare", a)
    refused("E267", "compare", a, a)
    refused("E267", "compare", a, same)
    refused("E820", "compare", a, tmp_path)
    refused("E820", "compare", a, tmp_path / "missing")
    (tmp_path / "a" / "report.json").write_text("{")
    refused("E822", "compare", a, same)
    refused("E200", "compare")


def test_the_folder_of_a_sweep_stands_for_its_cells(first, tmp_path):
    record = three_settings()
    runs = tmp_path / "sweep" / "runs"
    runs.mkdir(parents=True)
    for number, cell in enumerate(record.cells):
        written(runs / cell.name, first, provenance__config__run__seed=number)
    sweep_folder.write(runs.parent, record)
    said = call("compare", runs.parent, "--json").document
    assert [Path(run["folder"]) for run in said["runs"]] == [runs / c.name for c in record.cells]
    assert [row["name"] for row in said["settings"]] == ["run.seed"]
    refused("E267", "compare", runs.parent, runs / record.cells[0].name)
    waiting = [cell.model_copy(update={"figures": None}) for cell in record.cells]
    sweep_folder.write(runs.parent, record.model_copy(update={"cells": tuple(waiting)}))
    refused("E267", "compare", runs.parent)
