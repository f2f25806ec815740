from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from command_line import call, refused

PLAN = ("dp", "plan", "--eps", "5")


def test_the_page_answers_what_a_stranger_asks() -> None:
    said = call(*PLAN)
    assert said.code == 0
    page = " ".join(said.out.split())
    for phrase in (
        "protects one client: its contribution becomes zero",
        "against everyone who sees the global models, participants included",
        "over the whole run, 40 rounds; delta 1e-5; all 20 clients in every round",
        "total eps 5.00 takes noise multiplier 5.641 (closed-form Gaussian), 6.026 (RDP)",
        "0.2821 at 20, 0.05641 at 100, 0.005641 at 1,000 clients",
        "eps 5.00 PER ROUND would be multiplier 0.8919, which is a total eps of 54.61",
        "all (98,502) 1,771, shared (61,980) 1,405, task:stress (202) 81",
        "with 20 the noise is 88.5 times as long as the signal",
        "if it may become any other, not zero (replace-one)",
    ):
        assert phrase in page, phrase
    asked = [line for line in said.out.splitlines() if line.endswith("<")]
    assert [line.split() for line in asked] == [["5", "40", "5.641", "1,771", "3.13e6", "<"]]


@pytest.mark.parametrize(
    "words",
    [
        "--eps 5",
        "--noise 0.01 --rounds 123456",
        "--eps 0.001 --clients 123456789 --people 15",
        "--eps 2.345 --dp laplace --dp-where client",
        "--eps 3 --dp moments --rounds 10 --sampler bernoulli --fraction 0.3333",
        "--noise 2 --unit window --windows 16 --dp moments",
        "--eps 5 --fraction 0.5 --quiet",
    ],
)
def test_no_line_is_wider_than_a_terminal(words: str) -> None:
    said = call("dp", "plan", *words.split())
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 100
    assert "nan" not in said.out


def objects(value: Any) -> list[dict[str, Any]]:
    """Return every JSON object within ``value``."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict) else []) + [o for v in inner for o in objects(v)]


@pytest.mark.parametrize(
    "words", [(), ("--dp", "laplace"), ("--dp-where", "client"), ("--quiet",)], ids=str
)
def test_every_eps_of_the_document_says_what_it_covers(words: tuple[str, ...]) -> None:
    said = call(*PLAN, "--json", *words)
    assert said.code == 0
    claims = [o for o in objects(said.document) if "eps" in o]
    assert len(claims) >= 5
    for claim in claims:
        assert claim["unit"] == "client"
        assert claim["adjacency"] in ("zero_out", "replace_one")
        assert claim["observer"]
        assert "round" in claim["horizon"]
        assert claim["delta"] in (1e-5, 0.0)
        assert claim["accountant"]
    assert said.document["total"]["eps"] == pytest.approx(5, rel=2e-4)
    assert bool(said.document["table"]) is ("--quiet" not in words)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--dp", "laplace"),
        ("--dp", "moments"),
        ("--dp-where", "client"),
        ("--dp", "laplace", "--dp-where", "client"),
        ("--fraction", "0.5"),
        ("--fraction", "0.5", "--sampler", "bernoulli", "--rounds", "10"),
        ("--delta", "1e-7", "--rounds", "3", "--clients", "9"),
    ],
    ids=str,
)
def test_simulate_plans_the_same_noise(words: tuple[str, ...]) -> None:
    planned = call(*PLAN, "--json", "--quiet", *words).document
    if "--dp-where" in words:
        words = (*words[:-2], "-o", f"dp.where={words[-1]}")
    if "--dp" not in words:
        words = (*words, "--dp", "gaussian")
    run = call("simulate", "--dry-run", "--eps", "5", "--json", "--quiet", *words).document
    forecast, blocks = run["forecast"], run["blocks"]
    assert planned["setting"]["blocks"] == blocks
    assert planned["setting"]["parameters"] == run["parameters"]
    assert planned["total"]["noise_multiplier"] == forecast["noise_multiplier"]
    assert planned["setting"]["clients_per_round"] == forecast["clients_per_round"]
    all_blocks = planned["break_even_clients"]["all"]
    assert all_blocks == pytest.approx(forecast["break_even_clients"], rel=1e-12)
    assert planned["noise_to_signal"] == pytest.approx(forecast["noise_to_signal"], rel=1e-12)


def test_noise_and_eps_are_inverse() -> None:
    z = call(*PLAN, "--json", "--quiet").document["total"]["noise_multiplier"]
    back = call("dp", "plan", "--noise", repr(z), "--json", "--quiet").document
    assert back["total"]["eps"] == pytest.approx(5, rel=1e-9)
    assert back["second"]["eps"] > 5


def test_people_and_clients_shape_the_identity_head() -> None:
    def identity(*words: str) -> int:
        document = call(*PLAN, "--json", "--quiet", *words).document
        return int(document["setting"]["blocks"]["task:identity"])

    assert identity("--people", "15") == 34_815  # Table II of the paper
    assert identity("--clients", "15") == 34_815
    assert identity("--clients", "15", "--people", "20") == identity() == 36_320


def test_a_window_is_not_a_person() -> None:
    words = ("--unit", "window", "--windows", "160", "--rounds", "2", "--local-epochs", "3")
    said = call(*PLAN, *words, "--quiet")
    assert "one training window, NOT a person" in said.out
    document = call(*PLAN, *words, "--quiet", "--json").document
    setting = document["setting"]
    assert (setting["local_rate"], setting["local_steps"]) == (0.4, 6)
    assert document["total"]["unit"] == "window"
    assert document["total"]["delta"] == 1e-5  # below 1 / (10 x 20 x 160)
    tiny = call("dp", "plan", "--noise", "3", "--clients", "9999", *words, "--quiet", "--json")
    assert tiny.document["total"]["delta"] == pytest.approx(1 / (10 * 9999 * 160))


@pytest.mark.parametrize(
    ("code", "words", "named"),
    [
        ("E220", (), "budget or a noise"),
        ("E220", ("--eps", "5", "--noise", "2"), "--eps and --noise"),
        ("E201", ("--eps", "five"), "--eps"),
        ("E201", ("--noise", "5x"), "--noise"),
        ("E202", ("--eps", "inf"), "--eps"),
        ("E202", ("--noise", "nan"), "--noise"),
        ("E203", ("--eps", "0"), "--eps"),
        ("E203", ("--noise", "-1"), "--noise"),
        ("E203", ("--eps", "5", "--rounds", "0"), "--rounds"),
        ("E203", ("--eps", "5", "--fraction", "1.5"), "--fraction"),
        ("E203", ("--eps", "5", "--people", "0"), "--people"),
        ("E203", ("--eps", "5", "--delta", "1"), "--delta"),
        ("E220", ("--eps", "5", "--dp", "none"), "no mechanism"),
        ("E220", ("--noise", "1", "--dp", "paper-laplace"), "paper-laplace"),
        ("E210", ("--eps", "5", "--dp", "gausian"), "gausian"),
        ("E210", ("--eps", "5", "--model", "resnet"), "resnet"),
        ("E212", ("--eps", "5", "--unit", "person"), "person"),
        ("E222", ("--eps", "1e12"), "1e+12"),
        ("E224", ("--eps", "5", "--delta", "0.05"), "0.05"),
        ("E232", ("--eps", "5", "--windows", "9"), "--windows"),
        ("E232", ("--eps", "5", "--clip", "adaptive"), "clip"),
        ("E200", ("--eps", "5", "--unit", "window"), "windows"),
        (
            "E236",
            ("--eps", "5", "--unit", "window", "--windows", "9", "--batch-size", "16"),
            "--batch-size 16",
        ),
    ],
)
def test_what_is_refused(code: str, words: tuple[str, ...], named: str) -> None:
    assert named in refused(code, "dp", "plan", *words)


def test_windows_with_what_simulate_refuses_too() -> None:
    window = ("--unit", "window", "--windows", "99")
    refused("E232", *PLAN, *window, "--dp", "laplace")
    refused("E232", *PLAN, *window, "--dp-where", "server")


def test_long_tables_tell_how_far_they_are_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedaffect.cli.dp.PATIENCE_S", 0.0)
    said = call(*PLAN, "--json")
    assert said.document["total"]
    lines = said.err.splitlines()
    assert all(re.fullmatch(r"  \.\.\. \d+ of 30 cells of the table", line) for line in lines)
    assert len(lines) > 10
    assert call(*PLAN, "--json", "--quiet").err == ""


def test_help_explains_every_option() -> None:
    page = call("dp", "plan", "--help")
    assert (page.code, page.err) == (0, "")
    assert max(map(len, page.out.splitlines())) <= 100
    assert page.out.count("[") == page.out.count("]")
    assert "plan" in call("dp", "--help").out


def test_a_second_plan_loads_no_accounting_library_and_no_network() -> None:
    assert call(*PLAN).code == 0  # the blocks of the model are known from here on
    code = (
        "import sys\nfrom fedaffect.cli import run\n"
        "assert run(['dp', 'plan', '--eps', '5']) == 0\n"
        "loaded = {'dp_accounting', 'sklearn', 'flwr', 'fedaffect.models.factory'}\n"
        "print(*sorted(loaded & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stderr.split()) & {"dp_accounting", "sklearn", "flwr"}
    assert "fedaffect.models.factory" not in done.stderr
    assert len(done.stdout.splitlines()) > 30
