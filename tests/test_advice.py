"""What to type instead of a run that cannot learn: the command is typed, and does what it says."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from command_line import call
from safetensors.numpy import load_file

from fedaffect.advice import command_of, instead
from fedaffect.config import FEW, RunConfig
from fedaffect.config_sources import resolve
from fedaffect.errors import UsageError
from fedaffect.record import Instead

DRY = ("--dry-run", "--json", "--quiet", "--engine", "local")
DROWNED = ("--dp", "gaussian", "--eps", "5")


def plan(*words: str) -> dict[str, Any]:
    said = call("simulate", *DRY, *words)
    assert said.code == 0, said.err
    document: dict[str, Any] = said.document
    return document


def delta_of(eps: float, z: float, releases: int) -> float:
    """Return the exact delta of Gaussian releases (Balle & Wang 2018, theorem 8)."""
    mu = math.sqrt(releases) / z
    phi = NormalDist().cdf
    return phi(mu / 2 - eps / mu) - math.exp(eps) * phi(-mu / 2 - eps / mu)


@pytest.mark.parametrize(
    "words",
    [
        ("--clients", "20", *DROWNED),
        (*DROWNED, "--clients", "12", "--rounds", "40", "--noise-layers", "task"),
        (*DROWNED, "--eval", "loso", "--defence", "gradient-reversal:0.5", "--seed", "3"),
        (*DROWNED, "--tasks", "stress", "--local-epochs", "2", "--lr", "0.2", "--delta", "1e-6"),
        (*DROWNED, "--partition", "dirichlet", "--alpha", "0.7", "--normalise", "global"),
        ("--clients", "20", "--dp", "laplace", "--eps", "6"),
        ("--clients", "20", "--dp", "gaussian", "--eps", "1", "--release", "adapter"),
    ],
    ids=" ".join,
)
def test_the_command_is_what_was_planned_and_can_learn(words: tuple[str, ...]) -> None:
    told = plan(*words)["forecast"]
    better = told["instead"]
    assert told["can_learn"] is False
    assert told["sentences"][-1].endswith(f"Type: {better['command']}")
    program, command, *typed = shlex.split(better["command"])
    assert (program, command) == ("fedaffect", "simulate")
    assert typed[-2] == "--release"
    again = plan(*typed)
    assert again["forecast"]["can_learn"] is True
    assert again["forecast"]["sentences"] == []
    assert again["config"]["federation"]["rounds"] == better["rounds"] == FEW.rounds
    for key in ("noise_multiplier", "noise_to_signal", "break_even_clients", "clients_per_round"):
        assert again["forecast"][key] == better[key]
    assert better["noise_to_signal"] <= 1


def test_the_figures_are_those_of_the_closed_form() -> None:
    better = plan("--clients", "20", *DROWNED)["forecast"]["instead"]
    z = better["noise_multiplier"]
    assert better["released"] == 9  # 8 axes of the embedding and a constant
    assert delta_of(5, z, better["rounds"]) == pytest.approx(1e-5, rel=1e-3)
    assert better["break_even_clients"] == pytest.approx(z * 3)
    assert better["noise_to_signal"] == pytest.approx(z * 3 / 20)


def test_the_users_own_words_stay() -> None:
    words = "--clients 9 --dp gaussian --eps 5 --delta 1e-06 --seed 4 --engine local --no-reference"
    told = plan(*words.split(), "-o", "synthetic.sessions=2", "--rounds", "40")["forecast"]
    assert told["instead"]["command"] == (
        f"fedaffect simulate {words} -o synthetic.sessions=2 --release head"
    )


def test_the_example_of_the_readme() -> None:
    said = call("simulate", "--clients", "20", *DROWNED, "--dry-run")
    assert said.code == 0
    last = [line for line in said.out.splitlines() if line.startswith("! W112")][-1]
    assert last.endswith(
        "Type: fedaffect simulate --clients 20 --dp gaussian --eps 5 --release head"
    )


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("--eps", "0.05", "--clients", "10"), "Even 9 released numbers would not learn"),
        (("--eps", "5", "--tasks", "identity"), "a head for stress only"),
        (("--eps", "1", "--release", "head", "--clients", "8"), "No fewer numbers"),
    ],
)
def test_where_few_numbers_do_not_help_it_says_what_does(
    words: tuple[str, ...], advice: str
) -> None:
    told = plan("--dp", "gaussian", *words)["forecast"]
    assert told["instead"] is None
    assert advice in told["sentences"][-1]
    assert "Type:" not in told["sentences"][-1]


def test_the_clients_that_few_numbers_need_are_enough() -> None:
    told = plan("--dp", "gaussian", "--eps", "0.5", "--clients", "20", "--dp-where", "client")
    sentence = told["forecast"]["sentences"][-1]
    needed = sentence.partition("Take ")[2].partition(" clients")[0].replace(",", "")
    words = ("--dp", "gaussian", "--eps", "0.5", "--dp-where", "client", "--release", "head")
    assert plan(*words, "--clients", needed)["forecast"]["can_learn"] is True
    assert plan(*words, "--clients", str(int(needed) - 2))["forecast"]["can_learn"] is False


def test_other_devices_need_a_backbone_of_their_own() -> None:
    config = RunConfig().replace({"data.modality": "chest"})

    def never(_: RunConfig) -> Instead:
        raise AssertionError("there is nothing to plan")

    better, sentence = instead(config, never)
    assert better is None
    assert "chest" in sentence and "fedaffect pretrain" in sentence and "--backbone" in sentence


def test_a_plan_that_is_refused_is_explained() -> None:
    def refuses(_: RunConfig) -> Instead:
        raise UsageError("E229", "these do not go together", do="drop one")

    better, sentence = instead(RunConfig(), refuses)
    assert better is None
    assert sentence.endswith("these do not go together: drop one.")


def test_a_command_says_every_choice_once() -> None:
    config, _ = resolve(
        {"people": "S01,S02", "allow_missing": True, "strategy": "fedprox:0.1"},
        ["data.gap_s=30.0", "run.reference=false"],
    )
    words = shlex.split(command_of(config))[2:]
    flags = [word for word in words if word.startswith("-")]
    assert sorted(flags) == sorted(
        ["--people", "--allow-missing", "--strategy", "--mu", "--no-reference", "-o"]
    )
    assert words[words.index("--people") + 1] == "S01,S02"
    assert words[words.index("-o") :] == ["-o", "data.gap_s=30"]


def test_dp_plan_ends_with_the_same_command() -> None:
    words = ("--clients", "20", "--eps", "5", "--quiet")
    said = call("dp", "plan", *words)
    assert said.out.rstrip().endswith(
        "\n  fedaffect simulate --clients 20 --dp gaussian --eps 5 --release head"
    )
    better = call("dp", "plan", *words, "--json").document["instead"]
    run = plan("--clients", "20", *DROWNED)["forecast"]["instead"]
    assert better.pop("command") == run.pop("command").replace(" --engine local", "")
    assert better == pytest.approx(run, rel=1e-9)
    few = call("dp", "plan", *words, "--json", "--release", "head").document
    assert few["instead"] is None
    assert few["noise_to_signal"] == pytest.approx(better["noise_to_signal"])
    assert few["setting"]["parameters"] == better["released"] == 9


def test_a_long_command_is_one_command_to_a_shell() -> None:
    words = "--eps 3 --dp moments --rounds 10 --sampler bernoulli --fraction 0.3333 --delta 1e-6"
    said = call("dp", "plan", *words.split(), "--quiet").out
    typed = said[said.index("  fedaffect simulate") :].replace("\\\n", " ")
    command = call("dp", "plan", *words.split(), "--quiet", "--json").document["instead"]["command"]
    assert shlex.split(typed) == shlex.split(command)


@pytest.mark.slow
def test_the_advised_command_trains_few_numbers(tmp_path: Path) -> None:
    small = ("-o", "synthetic.sessions=2", "-o", "synthetic.session_s=240", "--no-reference")
    typed = plan("--clients", "12", *DROWNED, *small)["forecast"]["instead"]["command"]
    out = tmp_path / "run"
    said = call(*shlex.split(typed)[1:], "--out", str(out), "--quiet", "--json")
    assert said.code == 0, said.err
    release = said.document["release"]
    assert (release["plan"], release["released"]) == ("head", 9)
    assert said.document["privacy"]["status"] == "FORMAL"
    kept = json.loads((out / "report.json").read_text())["release"]["backbone"]
    assert kept == release["backbone"]
    assert sum(v.size for v in load_file(out / "model.safetensors").values()) == release["total"]
