"""What a run shows on the terminal, as a document, and when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import TINY, Said, call, refused

from fedaffect.cli.result_text import round_line
from fedaffect.record import RoundRecord
from fedaffect.reports.json_file import load_record

SPOKEN = tuple(word for word in TINY if word != "--quiet")
DP = ("--dp", "gaussian", "--eps", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("terminal") / "run"


@pytest.fixture(scope="module")
def private(folder: Path) -> Said:
    said = call(*SPOKEN, *DP, "--out", folder)
    assert (said.code, said.err) == (0, "")
    return said


def words_of(said: Said) -> str:
    """Undo the wrapping of lines."""
    return " ".join(said.out.split())


class TestOutput:
    def test_begins_with_the_plan_and_ends_with_the_files(
        self, private: Said, folder: Path
    ) -> None:
        lines = private.out.splitlines()
        assert lines[0].startswith("fedaffect 0.")
        assert str(folder / "report.html") in lines[-1]
        order = [
            "privacy  gaussian",
            "noise is as long as",
            "  data  ",
            "\n round ",
            "Result",
            "Files",
        ]
        at = [private.out.index(text) for text in order]
        assert at == sorted(at)

    def test_epsilon_is_never_shown_bare(self, private: Said) -> None:
        plan = words_of(private).partition(" round clients ")[0]
        for text in (
            "total eps 5 at delta 1e-05 over 2 releases (closed-form Gaussian accountant)",
            "unit=client, zero-out adjacency",
            "for one client, against anyone who sees the global models",
            "the server sees every update in the clear and is trusted",
        ):
            assert text in plan
        result = words_of(private).partition("Privacy FORMAL: ")[2]
        for text in ("(eps=5.00, delta=1e-5)", "one client", "Adjacency: zero_out", "whole run"):
            assert text in result

    def test_people_are_called_synthetic(self, private: Said, folder: Path) -> None:
        assert "SYNTHETIC people" in private.out
        assert "SYNTHETIC PEOPLE" in private.out.partition("Result")[2]
        assert "synthetic" in (folder / "report.html").read_text().lower()

    def test_figures_are_those_of_the_record(self, private: Said, folder: Path) -> None:
        figures = load_record(folder).figures
        rows = {
            "stress balanced": figures.stress_balanced_accuracy,
            "identity, own head": figures.identity_own_head,
            "identity, new attacker": figures.identity_strongest,
        }
        for label, estimate in rows.items():
            (row,) = [x for x in private.out.splitlines() if x.startswith(f"  {label}")]
            assert f"{estimate.value:.1%} [{(estimate.low or 0) * 100:.1f}," in row
            assert f"{estimate.chance:.1%}" in row

    def test_one_row_a_round(self, private: Said) -> None:
        _, first, second, *_ = private.out.partition("\n round ")[2].splitlines()
        assert [row.split()[:2] for row in (first, second)] == [["1", "4/4"], ["2", "4/4"]]

    def test_no_colour_and_no_control_characters_away_from_a_terminal(self, private: Said) -> None:
        assert "\x1b" not in private.out
        assert "\r" not in private.out

    def test_no_promise_is_said_before_round_1(self, tmp_path: Path) -> None:
        said = call(*SPOKEN, *DP, "--noise-layers", "task:identity", "--out", tmp_path / "run")
        before = said.out.partition("\n round ")[0]
        assert "released in the clear: shared, task:stress" in before
        assert "status NONE: Noise was added only to `task:identity`" in before
        assert "no finite epsilon" in before

    @pytest.mark.parametrize(
        "choice", [["--normalise", "global"], ["--normalise", "subject", "--partition", "iid"]]
    )
    def test_shared_statistics_void_the_promise_before_round_1(
        self, choice: list[str], tmp_path: Path
    ) -> None:
        said = call(*SPOKEN, *DP, *choice, "--out", tmp_path / "run")
        before, _, after = said.out.partition("\n round ")
        assert "status NONE: No finite epsilon: data preparation" in before
        assert "total eps 5 at delta" not in before
        assert "Privacy  NONE" in after

    def test_clear_blocks_stay_without_epsilon_to_the_end(self, tmp_path: Path) -> None:
        said = call(*SPOKEN, *DP, "--noise-layers", "task:identity", "--out", tmp_path / "run")
        after = said.out.partition("\n round ")[2]
        assert "Privacy  NONE" in after
        assert "no finite epsilon" in " ".join(after.split())

    @pytest.mark.parametrize(
        ("choice", "before", "after"),
        [
            (
                ["--dp", "gaussian", "--eps", "5", "--dp-where", "client"],
                ["at the clients: each adds noise before it sends", "against the server, which"],
                ["against the server too", "The same noise under replace_one", "server: (eps="],
            ),
            (
                ["--dp", "gaussian", "--eps", "5", "--unit", "window"],
                ["NOT a person", "sized once the windows are counted", "up to 2 windows"],
                ["removing one training window", "is not a person", "! W120 "],
            ),
            (
                ["--dp", "paper-gaussian1", "--eps-per-round", "5"],
                ["! paper eps=5 is the nominal cost of one round", "True value of this noise"],
                ["Composed over 2 rounds", "in practice it protects nobody"],
            ),
            (
                ["--sigma", "0.3"],
                ["status NONE: No differential privacy is claimed", "True value of this noise"],
                ["Privacy NONE: No differential privacy is claimed"],
            ),
            (
                [*DP, "-o", 'dp.blocks={"task:identity"="keep_local"}'],
                ["kept on the clients, never uploaded: task:identity"],
                ["never leave the client", "leaves the eps finite"],
            ),
        ],
        ids=["client", "window", "paper", "sigma", "kept"],
    )
    def test_each_kind_of_privacy_is_told_before_and_after(
        self, choice: list[str], before: list[str], after: list[str], tmp_path: Path
    ) -> None:
        said = call(*SPOKEN, *choice, "--out", tmp_path / "run")
        assert (said.code, said.err) == (0, "")
        plan, _, result = words_of(said).partition(" round clients ")
        assert [text for text in before if text not in plan] == []
        assert [text for text in after if text not in result] == []

    def test_a_clip_that_adapts_has_a_column(self, private: Said, tmp_path: Path) -> None:
        said = call(*SPOKEN, *DP, "--clip", "adaptive", "--out", tmp_path / "run")
        table = said.out.partition("\n round ")[2].splitlines()
        assert table[0].split()[-2:] == ["clip", "time"]
        clips = [r.clip[0] for r in load_record(tmp_path / "run").rounds]
        assert [float(row.split()[-2]) for row in table[1:3]] == pytest.approx(clips, rel=1e-2)
        assert " clip " not in private.out.partition("\n round ")[2].splitlines()[0]

    def test_what_was_spent_before_is_said_before_round_1(
        self, private: Said, tmp_path: Path
    ) -> None:
        said = call(*SPOKEN, *DP, "--out", tmp_path / "run")
        before, _, after = words_of(said).partition(" round clients ")
        assert "! spent This site has spent on this data set before" in before
        assert "This site has spent on this data set before" in after

    def test_dealing_out_people_is_warned_of(self, tmp_path: Path) -> None:
        said = call(*TINY, *DP, "--partition", "iid", "--out", tmp_path / "run")
        assert "! W120 " in said.out
        assert "no per-person guarantee" in words_of(said)

    def test_random_windows_are_said_to_leak(self, tmp_path: Path) -> None:
        said = call(*TINY, "--eval", "random", "--rounds", "1", "--out", tmp_path / "run")
        assert "! W121 " in said.out
        assert "random windows overlap across the split" in words_of(said)

    def test_quiet_prints_the_result_only(self, tmp_path: Path) -> None:
        said = call(*TINY, "--rounds", "1", "--out", tmp_path / "run")
        assert said.err == ""
        assert said.out.strip().startswith("Result")
        assert "starting" not in said.out


def test_json_is_the_record_and_nothing_else(tmp_path: Path) -> None:
    said = call(*SPOKEN, "--json", "--rounds", "1", "--out", tmp_path / "run")
    assert said.code == 0
    assert said.document == json.loads((tmp_path / "run" / "report.json").read_text())
    assert "Result" in said.err
    assert "Traceback" not in said.err


def test_a_run_repeats_from_its_own_configuration(private: Said, folder: Path) -> None:
    said = call("simulate", "--dry-run", "--json", "--quiet", "--config", folder / "config.toml")
    assert said.code == 0
    config = said.document["config"]
    config["run"].pop("out")
    assert config == load_record(folder).provenance.config
    where = str(folder / "config.toml")
    assert said.document["origins"]["dp.eps"] == where


class TestReport:
    def test_is_written_again(self, private: Said, folder: Path) -> None:
        page = (folder / "report.html").read_bytes()
        (folder / "report.html").unlink()
        said = call("report", folder)
        assert (said.code, said.out, said.err) == (0, f"{folder / 'report.html'}\n", "")
        assert (folder / "report.html").read_bytes() == page

    def test_is_found_by_the_id_of_a_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert call(*TINY, "--rounds", "1").code == 0
        (run,) = (tmp_path / "runs").iterdir()
        said = call("report", run.name, "--out", "page.html")
        assert said.code == 0
        assert (tmp_path / "page.html").read_bytes() == (run / "report.html").read_bytes()

    def test_of_nothing(self, tmp_path: Path) -> None:
        refused("E820", "report", tmp_path)
        refused("E820", "report", tmp_path / "nowhere")
        (tmp_path / "report.json").write_text('{"schema_version": 1}')
        refused("E822", "report", tmp_path)

    def test_where_it_cannot_be_written(self, private: Said, folder: Path) -> None:
        refused("E803", "report", folder, "--out", folder / "model.safetensors" / "page.html")


def children_of(pid: int) -> list[int]:
    """Ids of the processes whose parent is ``pid``."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_stopping_a_run(tmp_path: Path, number: signal.Signals, code: int, word: str) -> None:
    words = [*SPOKEN, *DP, "--rounds", "100000", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "FEDAFFECT_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "fedaffect", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split()[:1] == ["2"]:  # two rounds are over
                break
        children = children_of(process.pid)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    go_on, ended = err.splitlines()
    assert go_on.endswith(f"--resume {tmp_path / 'run'}")
    assert ended.startswith(f"{word}; ")
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)

    lines = (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()
    rounds = [RoundRecord.model_validate_json(line).round for line in lines]
    assert rounds == list(range(1, len(rounds) + 1))
    assert len(rounds) >= 2
    assert not (tmp_path / "run" / "report.json").exists()
    refused("E820", "report", tmp_path / "run")
    ledger = (tmp_path / "home" / "ledger" / "synthetic.jsonl").read_text().splitlines()
    states = [json.loads(line)["state"] for line in ledger]
    assert states.count("intent") - states.count("released") in (0, 1)
    assert states.count("intent") >= len(rounds)  # what was released is charged, at least


def test_an_abandoned_round_is_marked(private: Said, folder: Path) -> None:
    record = load_record(folder).rounds[0]
    assert "abandoned" not in round_line(record)
    lost = round_line(record.model_copy(update={"abandoned": True}))
    assert "abandoned: too few replies, nothing was released" in lost
