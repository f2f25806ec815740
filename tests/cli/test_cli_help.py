from __future__ import annotations

import re
import subprocess
import sys

import pytest
from command_line import call

from fedaffect.cli.options import HANDLING, SETTINGS
from fedaffect.version import __version__

COMMANDS = [
    (),
    ("simulate",),
    ("audit",),
    ("sweep",),
    ("reproduce",),
    ("compare",),
    ("report",),
    ("list",),
    ("data",),
    ("data", "list"),
    ("data", "check"),
    ("data", "make"),
    ("data", "partition"),
    ("verify",),
    ("dp",),
    ("dp", "plan"),
]
HEAVY = ("torch", "flwr", "ray", "sklearn", "scipy", "numpy", "pandas", "matplotlib", "pydantic")


@pytest.mark.parametrize("command", COMMANDS)
def test_pages_are_whole_and_narrow(command: tuple[str, ...]) -> None:
    said = call(*command, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: {' '.join(['fedaffect', *command])} [OPTIONS]")
    assert max(map(len, said.out.splitlines())) <= 100
    assert "\\" not in said.out
    assert said.out.count("[") == said.out.count("]")
    assert call(*command, "-h").out == said.out


def flat(page: str) -> str:
    """Undo the wrapping of a page."""
    return " ".join(page.split())


def test_simulate_shows_every_option_with_its_default() -> None:
    page = call("simulate", "--help").out
    for flag in SETTINGS + HANDLING:
        assert f"  {flag.name.replace('/', ' / ')} {flag.takes}".rstrip() in page
        assert "".join(flag.text.split()) in "".join(page.split())  # wrapped at hyphens too
    assert "-o KEY=VALUE" in page
    assert page.count("[default: ") >= 25
    for heading in ("Data and model:", "Federation:", "Privacy:", "Running:", "Examples:"):
        assert f"\n{heading}\n" in page or f"\n  {heading}\n" in page


def test_required_options_and_defaults_of_the_data_commands() -> None:
    page = call("data", "make", "--help").out
    assert "[required]" in page
    assert "[default: 0; x>=0]" in page


def test_arguments_are_explained() -> None:
    assert "RUN is the folder of a run, or its id below runs/" in call("report", "--help").out
    assert "KIND is data, partition, model," in call("list", "--help").out
    for name in ("check", "make", "partition"):
        assert "NAME is a data set of fedaffect data list" in flat(call("data", name, "--help").out)


def test_the_first_page_names_every_command_and_cuts_no_sentence() -> None:
    page = call("--help").out
    listed = re.findall(r"^  (\w+) {2,}(.+)$", page.partition("Commands:")[2], re.MULTILINE)
    assert [name for name, _ in listed] == [
        "simulate",
        "sweep",
        "audit",
        "report",
        "compare",
        "pretrain",
        "reproduce",
        "verify",
        "list",
        "data",
        "dp",
        "certs",
    ]
    assert all(text.endswith(".") and not text.endswith("...") for _, text in listed)


def test_without_a_command_the_page_is_shown() -> None:
    for words in ((), ("data",)):
        said = call(*words)
        assert (said.code, said.out) == (2, "")
        assert said.err.strip() == call(*words, "--help").out.strip()


def test_version() -> None:
    said = call("--version")
    assert (said.code, said.out, said.err) == (0, f"fedaffect {__version__}\n", "")


def test_help_and_lists_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom fedaffect.cli import run\n"
        f"for words in {[*COMMANDS]}: run([*words, '--help'])\n"
        "run(['list']), run(['list', 'codes']), run(['--version'])\n"
        f"print(*sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "Usage: fedaffect data partition" in done.stdout
