"""Type a command in this process, and what a refusal must look like."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from fedaffect.cli import run


@dataclass(frozen=True)
class Said:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; anything else there is an error."""
        return json.loads(self.out)


def call(*words: object) -> Said:
    """Run ``fedaffect words...``."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(word) for word in words])
    return Said(code, out.getvalue(), err.getvalue())


def refused(code: str, *words: object) -> str:
    """Run a command that must end with ``code``, in two lines on stderr; return both."""
    said = call(*words)
    assert said.code == int(code[1]), said
    assert said.out == ""
    what, do = said.err.splitlines()
    assert what.startswith(f"error {code}: ")
    assert do.startswith("  do: ")
    assert len(do) > len("  do: ")
    return said.err


TINY = (
    *("simulate", "--engine", "local", "--no-reference", "--quiet"),
    *("--clients", "4", "--rounds", "2"),
    *("-o", "synthetic.sessions=2", "-o", "synthetic.session_s=240"),
)
