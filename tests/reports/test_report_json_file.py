from __future__ import annotations

import json
import os

import pytest
from report_sample import NO_DP, PARTIAL, sample

from fedaffect.atomic_file import write_json_atomic
from fedaffect.errors import StorageError
from fedaffect.reports import json_file
from fedaffect.reports.json_file import load_record, write_report


def write_run(folder, record):
    write_json_atomic(folder / "report.json", record.model_dump(mode="json"))


@pytest.mark.parametrize("options", [{}, {"privacy": PARTIAL}, {"privacy": NO_DP, "folds": 3}])
def test_a_record_survives_the_round_trip(tmp_path, options):
    record = sample(**options)
    write_run(tmp_path, record)
    assert load_record(tmp_path) == record


def test_keys_are_sorted_and_equal_values_give_equal_bytes(tmp_path):
    write_json_atomic(tmp_path / "a", {"b": 1, "a": {"d": 2, "c": "é"}})
    write_json_atomic(tmp_path / "b", {"a": {"c": "é", "d": 2}, "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert list(json.loads((tmp_path / "a").read_text())) == ["a", "b"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, -float("inf")]])
def test_nan_is_refused_and_the_old_file_stays(tmp_path, value):
    path = tmp_path / "x.json"
    write_json_atomic(path, {"ok": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json_atomic(path, {"bad": value})
    assert json.loads(path.read_text()) == {"ok": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_folder_that_is_not_there_is_e823(tmp_path):
    with pytest.raises(StorageError) as caught:
        write_json_atomic(tmp_path / "no" / "x.json", {})
    assert (caught.value.code, caught.value.exit_code) == ("E803", 8)


def test_a_failed_move_leaves_the_old_file_and_no_leftover(tmp_path):
    target = tmp_path / "x.json"
    target.mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(StorageError):
        write_json_atomic(target, {})
    assert os.listdir(tmp_path) == ["x.json"]


def test_synced_before_moved_and_the_folder_after(tmp_path, monkeypatch):
    """The order that survives a power cut, seen at the calls themselves."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(descriptor):
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        calls.append(f"fsync {kind}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    write_json_atomic(tmp_path / "x.json", {"a": 1})
    assert calls == ["fsync file", "rename", "fsync folder"]


def code_of(folder):
    with pytest.raises(StorageError) as caught:
        load_record(folder)
    assert caught.value.exit_code == 8
    assert "\n" not in caught.value.message
    return caught.value.code


def test_what_is_not_a_run_is_e820(tmp_path):
    assert code_of(tmp_path / "missing") == "E820"
    assert code_of(tmp_path) == "E820"
    (tmp_path / "report.json").mkdir()
    assert code_of(tmp_path) == "E820"
    (tmp_path / "report.json").rmdir()
    os.mkfifo(tmp_path / "report.json")  # would wait for ever if opened naively
    assert code_of(tmp_path) == "E820"


def test_an_implausibly_large_record_is_e821_without_being_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(json_file, "LARGEST_RECORD_BYTES", 1000)
    write_run(tmp_path, sample())
    assert code_of(tmp_path) == "E821"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("178.2", "NaN"),
        lambda text: text.replace("178.2", "1e999"),
        lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
        lambda text: text.replace('"warnings"', '"wranings"'),
        lambda text: '{"schema_version": 1, "kind": "run"}',
        lambda text: "[" * 100_000,
        lambda text: "null",
        lambda text: "",
        lambda text: "\udcff",
    ],
)
def test_a_spoilt_record_is_e822(tmp_path, spoil):
    write_run(tmp_path, sample())
    path = tmp_path / "report.json"
    before = path.read_text()
    after = spoil(before)
    assert after != before
    path.write_bytes(after.encode("utf-8", "surrogateescape"))
    assert code_of(tmp_path) == "E822"


def test_the_report_is_written_beside_the_record(tmp_path):
    record = sample(rounds=3)
    path = write_report(tmp_path, record)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(os.listdir(tmp_path)) == ["MODEL_CARD.md", "figures", "report.html"]
