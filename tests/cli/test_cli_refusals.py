"""What a stranger types wrong: one line what, one line what to do, the right exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import TINY, call, refused

from fedaffect.error_codes import CODES

PLAN = ("simulate", "--dry-run", "--engine", "local")
DP = (*PLAN, "--clients", "20", "--dp", "gaussian")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("0", "E203", "do: for no DP use --dp none"),
        ("-1", "E203", "do: for no DP use --dp none"),
        ("1e-400", "E203", "do: for no DP use --dp none"),
        ("nan", "E202", "must be a finite number"),
        ("inf", "E202", "must be a finite number"),
        ("1e400", "E202", "must be a finite number"),
        ("abc", "E201", "not a plain number"),
        ("1_0", "E201", "not a plain number"),
        ("٣", "E201", "not a plain number"),
        (" 1 ", "E201", "not a plain number"),
        ("", "E201", "not a plain number"),
        ("1e300", "E222", "the nearest budget that can be met is --eps"),
    ],
)
def test_eps(text: str, code: str, words: str) -> None:
    assert words in refused(code, *DP, "--eps", text)


@pytest.mark.parametrize(
    ("text", "code"),
    [("0", "E203"), ("1", "E203"), ("-1e-5", "E203"), ("nan", "E202"), ("1e-400", "E203")],
)
def test_delta(text: str, code: str) -> None:
    refused(code, *DP, "--eps", "5", "--delta", text)


def test_delta_at_one_over_clients_is_refused_and_just_below_is_not() -> None:
    said = refused("E224", *DP, "--eps", "5", "--delta", "0.05")
    assert "1/N = 0.05 (N = 20 clients)" in said
    assert "such as 0.005" in said
    assert call(*DP, "--eps", "5", "--delta", "0.0499").code == 0


@pytest.mark.parametrize(
    ("option", "text", "code"),
    [
        ("--clip", "0", "E203"),
        ("--clip", "nan", "E202"),
        ("--clip", "inf", "E202"),
        ("--clip", "1e300", "E203"),
        ("--clients", "0", "E203"),
        ("--clients", "-3", "E203"),
        ("--clients", "2.5", "E201"),
        ("--clients", "1e1", "E201"),
        ("--rounds", "0", "E203"),
        ("--rounds", "ten", "E201"),
        ("--local-epochs", "0", "E203"),
        ("--batch-size", "-1", "E203"),
        ("--fraction", "0", "E203"),
        ("--fraction", "1.5", "E203"),
        ("--fraction", "nan", "E202"),
        ("--alpha", "0", "E203"),
        ("--alpha", "nan", "E202"),
        ("--mu", "-1", "E203"),
        ("--lr", "nan", "E202"),
        ("--lr", "0", "E203"),
        ("--seed", "-1", "E203"),
        ("--seed", str(2**63), "E203"),
        ("--seed", str(2**70), "E203"),
        ("--workers", "0", "E203"),
        ("--strategy", "fedprox:-1", "E203"),
        ("--strategy", "fedprox:", "E201"),
    ],
)
def test_numbers(option: str, text: str, code: str) -> None:
    said = refused(code, *PLAN, option, text)
    assert said.startswith(f"error {code}: --")
    assert text.rpartition(":")[2] in said


def test_the_largest_seed_is_a_seed() -> None:
    assert call(*PLAN, "--seed", str(2**63 - 1)).code == 0


@pytest.mark.parametrize(
    ("option", "text", "near"),
    [
        ("--dp", "gausian", "gaussian"),
        ("--dp", "unknwon", "none"),
        ("--data", "wesat", "wesad"),
        ("--strategy", "fedprx", "fedprox"),
        ("--strategy", "fedavg:3", "fedavg"),
        ("--partition", "dirichet", "dirichlet"),
        ("--engine", "rya", "ray"),
        ("--model", "cnn", "stress_identity_cnn"),
    ],
)
def test_names(option: str, text: str, near: str) -> None:
    said = refused("E210", *PLAN, option, text)
    assert f"{option} {text!r} is not known" in said
    assert near in said


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--eval", "blok", "'auto', 'unseen', 'loso', 'blocks' or 'random'"),
        ("--modality", "wirst", "'wrist', 'chest' or 'both'"),
        ("--normalise", "pubic", "'public'"),
        ("--optimizer", "sdg", "'sgd' or 'adam'"),
        ("--sampler", "poisson", "'bernoulli'"),
        ("--dtype", "float16", "'float64'"),
    ],
)
def test_choices(option: str, text: str, words: str) -> None:
    said = refused("E212", *PLAN, option, text)
    assert said.startswith(f"error E212: {option} {text!r}: should be ")
    assert words in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("simulate", "--partiton", "iid"), "did you mean --partition?"),
        (("simulate", "--no-refrence"), "did you mean --no-reference?"),
        (("simulate", "--ep", "3"), "simulate has no option --ep"),
        (("simulate", "extra"), "extra"),
        (("simulate", "--out"), "requires an argument"),
        (("--frobnicate",), "fedaffect has no option --frobnicate"),
        (("simulte",), "did you mean simulate?"),
        (("data", "chek"), "did you mean check?"),
        (("report",), "RUN"),
        (("list", "data", "wesad"), "one argument too many"),
    ],
)
def test_the_command_line_itself(words: tuple[str, ...], told: str) -> None:
    said = refused("E200", *words)
    assert told in said
    assert said.lower().count("did you mean") <= 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--eps", "5"), "E220", "add --dp gaussian"),
        (("--dp", "gaussian"), "E220", "add --eps"),
        (("--noise-layers", "task"), "E220", "there is no noise"),
        (("--data", "wesad"), "E215", "--data-root DIR"),
        (("--data-root", "/"), "E215", "would be ignored"),
        (
            ("--clients", "20", "-o", "synthetic.people=15"),
            "E221",
            "--clients 20 is more than the 15 subjects of synthetic (partition subject)\n"
            "  do: --clients 15, or --partition dirichlet",
        ),
        (("--clients", "15", "--eval", "unseen", "-o", "synthetic.people=15"), "E216", "15 people"),
        (("--clients", "15", "--eval", "loso", "-o", "synthetic.people=15"), "E221", "14 subjects"),
    ],
)
def test_contradictions(words: tuple[str, ...], code: str, told: str) -> None:
    assert told in refused(code, *PLAN, *words)


@pytest.mark.parametrize("layers", ["taks", "", "task:identit", "all,", "shared,layer3", "*"])
def test_noise_layers_that_the_model_does_not_have(layers: str) -> None:
    said = refused("E225", *DP, "--eps", "5", "--noise-layers", layers)
    for known in ("all", "conv_1", "shared", "task", "task:identity", "task:stress"):
        assert known in said.partition("known:")[2]


def test_a_refusal_in_json_is_one_document() -> None:
    said = call(*DP, "--eps", "0", "--json")
    assert said.code == 2
    error = said.document["error"]
    assert said.err == f"error {error['code']}: {error['message']}\n  do: {error['do']}\n"
    assert (error["code"], error["do"]) == ("E203", "for no DP use --dp none")


def test_a_refused_configuration_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[dp]\nmechanism = 'gaussian'\neps = 0\n")
    said = refused("E203", *PLAN, "--config", path)
    assert said.startswith(f"error E203: {path}:3: --eps 0 is out of range")
    assert call(*PLAN, "--config", path, "--eps", "5").code == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestOut:
    def test_not_empty(self, tmp_path: Path) -> None:
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "report.json").write_text("mine")
        before = contents(tmp_path)
        refused("E801", *TINY, "--out", tmp_path / "old")
        assert contents(tmp_path) == before

    @pytest.mark.parametrize("link_to", ["folder", "missing", "file"])
    def test_a_link_is_not_followed(self, tmp_path: Path, link_to: str) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to(tmp_path / link_to)
        refused("E801", *TINY, "--out", tmp_path / "link")
        assert {p.name for p in tmp_path.rglob("*")} == {"folder", "file", "link"}

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        refused("E801", *TINY, "--out", tmp_path / "file")
        assert (tmp_path / "file").read_text() == "mine"

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        assert "Not a directory" in refused("E802", *TINY, "--out", tmp_path / "file" / "x")

    def test_a_name_that_no_disk_takes(self, tmp_path: Path) -> None:
        refused("E802", *TINY, "--out", tmp_path / ("x" * 300))

    def test_nothing_is_made_for_a_plan_that_is_refused(self, tmp_path: Path) -> None:
        out = tmp_path / "new"
        refused("E220", *TINY, "--out", out, "--dp", "gaussian")
        refused("E222", *TINY, "--out", out, "--dp", "gaussian", "--eps", "1e300")
        assert not out.exists()


def test_a_state_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path / "file" / "home"))
    assert "set FEDAFFECT_HOME" in refused("E810", *TINY, "--out", tmp_path / "run")


def test_every_code_is_explained_by_the_command() -> None:
    one = call("list", "codes", "E221")
    assert one.out == (
        "E221  more clients than people under partition subject (exit 2, usage or configuration)\n"
    )
    told = call("list", "codes").out.splitlines()
    assert [line.partition(" ")[0] for line in told] == sorted(CODES)
    assert "code 'E999' is not known" in refused("E210", "list", "codes", "E999")
    assert "did you mean codes?" in refused("E210", "list", "cods")


def test_a_real_process_ends_in_the_same_way() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fedaffect", *DP, "--eps", "nan", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error E202: --eps must be a finite number, got nan\n  do: ")
    assert done.stdout.startswith('{"error": {"code": "E202"')
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_debug_shows_where_an_error_comes_from() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fedaffect", *DP, "--eps", "nan", "--debug"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Traceback")
    assert "\nerror E202: --eps must be a finite number, got nan\n  do: " in done.stderr
