"""MODEL_CARD.md: what the model is for, what it gives away, and what is promised.

Mitchell et al. 2019, "Model cards for model reporting"; front matter as the Hugging Face Hub reads
it. Every value there is written as JSON, which is valid YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from fedaffect.audit_record import AuditRecord
from fedaffect.record import Estimate, RunRecord
from fedaffect.reports import audit_section, guarantee, release_section, standing, wording
from fedaffect.reports.formats import NBSP, accuracy, count, percent, plural
from fedaffect.reports.svg import label

CARD_NAME = "MODEL_CARD.md"
_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|<>~&$@]|^[+-]|:(?=//)|(?<=www)\.)")
_DO_NOT = (
    "Do not use it to diagnose, to treat, or to decide about a person: it was tested on few "
    "people, and not in clinical use.",
    "Do not use it to recognise people, or to watch them without their consent.",
    "Do not take accuracy of the model's own identity head for privacy.",
)


def model_card(record: RunRecord, audit: AuditRecord | None = None) -> str:
    """Return the model card of a run as Markdown; markup in names and notes is inert.

    Args:
        record: The run, its strongest attacker included (``with_strongest``).
        audit: Its audit; ``None`` without one.
    """
    sections = (
        _front_matter(record),
        f"# {escape(record.provenance.run_id)}",
        _marks(record),
        f"{wording.verdict(record)} {wording.banner(record)[1]}",
        "## Intended use",
        "Research on recognising stress from wearables, and on what a shared model gives away. "
        f"{escape(record.model.name)}, {plural(record.model.parameters, 'parameter')}, tasks "
        f"{escape(', '.join(str(task.get('name', '?')) for task in record.model.tasks))}.",
        _bullets(_DO_NOT),
        "## Data",
        _data(record),
        *_public_weights(record),
        "## Figures",
        f"Stress on {wording.tested_on(record)}, identity on {wording.identity_tested_on(record)}; "
        "95 % intervals over people.",
        _figures(record),
        "## Privacy",
        escape(wording.claim(record)),
        escape(guarantee.budget(record.privacy)),
        escape(guarantee.person_sentence(record)),
        _bullets(guarantee.lines(record.privacy.get("not_covered")), "Not covered:"),
        "## Attacks",
        escape(audit_section.context(record, audit)["text"]),
        _attacks(audit),
        "## Do not conclude",
        _bullets(wording.do_not_conclude(record)),
        "## Limits",
        _bullets(wording.limits(record, audit)),
        "Written by fedaffect beside report.html, which has the figures, tables and settings.",
    )
    return "\n\n".join(part for part in sections if part) + "\n"


def escape(text: str) -> str:
    """Return ``text`` in one line, with every character that Markdown or HTML reads escaped."""
    plain = " ".join(label(text.replace(NBSP, " "), 2000).split())
    return _SPECIAL.sub(r"\\\1", plain)


def _front_matter(record: RunRecord) -> str:
    figures = record.figures
    metrics = [
        _metric("balanced_accuracy", "Stress, balanced accuracy", figures.stress_balanced_accuracy),
        _metric("f1", "Stress, macro F1", figures.stress_macro_f1),
        _metric("accuracy", "Identity, strongest attacker", figures.identity_strongest),
    ]
    values: dict[str, Any] = {
        "library_name": "fedaffect",
        "tags": ["federated-learning", "differential-privacy", "stress", "wearables"],
        "datasets": [record.data.name],
        "metrics": ["balanced_accuracy", "f1"],
        "model-index": [
            {
                "name": record.provenance.run_id,
                "results": [
                    {
                        "task": {"type": "tabular-classification", "name": "Stress and identity"},
                        "dataset": {"type": record.data.name, "name": record.data.name},
                        "metrics": [metric for metric in metrics if metric is not None],
                    }
                ],
            }
        ],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(["---", *lines, "---"])


def _metric(kind: str, name: str, estimate: Estimate) -> dict[str, Any] | None:
    if estimate.value is None:
        return None
    return {"type": kind, "name": name, "value": round(estimate.value, 4)}


def _marks(record: RunRecord) -> str:
    return "\n".join(f"> **{escape(mark)}**" for mark in standing.marks(record))


def _data(record: RunRecord) -> str:
    data = record.data
    facts = (
        f"Data set: {data.name}{' (synthetic people)' if data.synthetic else ''}",
        f"Licence: {data.licence or 'not stated'}",
        f"Citation: {data.citation or 'not stated'}",
        f"People: {count(data.people)}; windows: {count(data.windows)}",
        f"Split: {data.split.description}",
        f"Scaling: {data.normalisation}",
        f"Clients: {count(len(data.partition.clients))}, partition {data.partition.name}",
    )
    return _bullets(facts)


def _public_weights(record: RunRecord) -> list[str]:
    facts = release_section.backbone_facts(record)
    if not facts:
        return []
    return [
        "## Public weights",
        escape(release_section.release_sentence(record)),
        escape(release_section.backbone_sentence(record)),
        _bullets(f"{name}: {value}" for name, value in facts),
        _table(release_section.PUBLIC_COLUMNS, release_section.public_rows(record)),
    ]


def _figures(record: RunRecord) -> str:
    now = record.figures
    names = (
        ("Stress, balanced accuracy", "stress_balanced_accuracy"),
        ("Stress, macro F1", "stress_macro_f1"),
        ("Identity, strongest fresh attacker", "identity_strongest"),
        ("Identity, own head (not a privacy metric)", "identity_own_head"),
    )
    others = wording.references(record)
    rows = [
        (
            name,
            accuracy(getattr(now, key)),
            *(accuracy(getattr(other, key)) for other in others.values()),
            percent(getattr(now, key).chance),
        )
        for name, key in names
    ]
    return _table(("Figure", "This run", *others, "Chance"), rows)


def _attacks(audit: AuditRecord | None) -> str:
    if audit is None:
        return ""
    rows = [audit_section.overview_row(result) for result in audit.results]
    return _table(audit_section.OVERVIEW_COLUMNS, rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(items: Iterable[str], before: str = "") -> str:
    lines = [f"- {escape(item)}" for item in items]
    return "\n".join([before, "", *lines] if before and lines else lines)
