"""The result of a study as lines of text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedaffect.study_record import StudyRecord, Verdict

WIDTH = 100
INDENT = " " * 11


def result_lines(record: StudyRecord, folder: str) -> list[str]:
    """Return the verdicts, what the study covers, and where its files are."""
    from fedaffect.reports.study_page import scale

    people = "SYNTHETIC people" if record.data["synthetic"] else str(record.data["name"])
    lines = [
        "",
        f"{record.study} on {people}: {scale(record)}",
        "95 % intervals over people; accuracies of stress, own head and best fresh attacker",
        "",
    ]
    beside = "paper" if any(table.name == "printed" for table in record.tables) else "asked"
    for verdict in record.verdicts:
        lines += _verdict_lines(verdict, beside)
    lines += ["", f"Files    {folder}/study.html, study.json, figures/*.csv"]
    return [line.replace("\u00a0", " ") for line in lines]


def _verdict_lines(verdict: Verdict, beside: str) -> list[str]:
    return [
        f"{verdict.agrees:9}  {verdict.claim} ({verdict.source})",
        *_wrapped(f"{beside}: {verdict.paper}"),
        *_wrapped(f"ours:  {verdict.ours}"),
        *_wrapped(f"why:   {verdict.why}"),
    ]


def _wrapped(text: str) -> list[str]:
    plain = text.replace("\u00a0", " ")
    return textwrap.wrap(
        plain,
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT + " " * 7,
        break_on_hyphens=False,
    )
