"""report.html: one file without scripts or loads, rendered from its records and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from fedaffect.audit_record import AuditRecord
from fedaffect.record import Estimate, RunRecord
from fedaffect.reports import (
    attack_card,
    audit_section,
    beside,
    break_even,
    guarantee,
    hazards,
    people,
    release_section,
    split_checks,
    standing,
    tables,
    wording,
)
from fedaffect.reports.figures import all_figures
from fedaffect.reports.formats import accuracy, attacker, interval, percent, plural, with_chance
from fedaffect.reports.page_template import render
from fedaffect.reports.spending import spending_caption
from fedaffect.reports.strongest import with_strongest
from fedaffect.reports.svg import Drawing
from fedaffect.toml_text import to_toml

Row = TypeVar("Row")
SECTIONS = (
    ("summary", "Summary"),
    ("protected", "Protected from whom"),
    ("guarantee", "Guarantee"),
    ("forecast", "Forecast"),
    ("data", "Data and split"),
    ("utility", "Stress"),
    ("people", "Cost by person"),
    ("tradeoff", "Trade-off"),
    ("curves", "Learning curves"),
    ("attacks", "Identity"),
    ("audit", "Audit"),
    ("hazards", "Hazards"),
    ("limits", "Limits"),
    ("reproduce", "Reproduce"),
    ("glossary", "Glossary"),
)
_MOST_ROWS = 200
_NOT_SHOWN = {"run": ("out",)}  # where a run was written changes no result


def render_html(record: RunRecord, audit: AuditRecord | None = None) -> str:
    """Return the whole page as text: self-contained, and equal for equal records.

    Names, notes and settings in the records are escaped: markup in them is inert.

    Args:
        record: The run.
        audit: Its audit; ``None`` without one.
    """
    shown = with_strongest(record, audit)
    return render_page(shown, audit, all_figures(shown, audit))


def render_page(
    record: RunRecord, audit: AuditRecord | None, drawings: Mapping[str, Drawing | None]
) -> str:
    """Return the page from a record with its strongest attacker, and its figures, drawn already."""
    context = _context(record, audit, drawings)
    return render("report.html.j2", {"thinned": thinned}, **context)


def thinned(rows: Iterable[Row], most: int = _MOST_ROWS) -> list[Row]:
    """Return at most ``most`` rows, evenly spaced, the first and the last included."""
    rows = list(rows)
    if len(rows) <= most:
        return rows
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _context(
    record: RunRecord, audit: AuditRecord | None, drawings: Mapping[str, Drawing | None]
) -> dict[str, Any]:
    privacy = record.privacy
    attacks = wording.attack_rows(record)
    chance = record.figures
    blocks = guarantee.block_rows(record)
    alone = any(row["conditional"] for row in blocks)
    block_columns = tables.BLOCK_COLUMNS if alone else tables.BLOCK_COLUMNS[:-1]
    stress_chance = percent(chance.stress_balanced_accuracy.chance)
    identity_chance = percent(chance.identity_strongest.chance)
    return {
        "record": record,
        "provenance": record.provenance,
        "sections": [s for s in SECTIONS if s[0] != "curves" or drawings["curves"]],
        "figures": drawings,
        "banner": wording.banner(record),
        "marks": standing.marks(record),
        "overlap_note": wording.OVERLAP,
        "n_clients": len(record.data.partition.clients),
        "n_rounds": len({r.round for r in record.rounds}),
        "verdict": wording.verdict(record),
        "headline": _headline(record),
        "status": guarantee.STATUS_WORDS[guarantee.status(privacy)],
        "formal": guarantee.status(privacy) == "FORMAL",
        "claim": wording.claim(record),
        "budget": guarantee.budget(privacy),
        "do_not_conclude": wording.do_not_conclude(record),
        "person_sentence": guarantee.person_sentence(record),
        "threats": [tuple(row.values()) for row in guarantee.threat_rows(privacy)],
        "details": guarantee.lines(privacy.get("details")),
        "guarantee_facts": tables.guarantee_facts(record),
        "observers": [tuple(row.values()) for row in guarantee.observer_rows(privacy)],
        "observer_caption": guarantee.observer_caption(privacy),
        "spending_caption": spending_caption(record),
        "card": attack_card.card_rows(record),
        "card_columns": attack_card.CARD_COLUMNS,
        "card_caption": attack_card.card_caption(record),
        "break_even_caption": break_even.break_even_caption(record),
        "release_sentence": release_section.release_sentence(record),
        "backbone_sentence": release_section.backbone_sentence(record),
        "backbone_facts": release_section.backbone_facts(record),
        "public_columns": release_section.PUBLIC_COLUMNS,
        "public_data": release_section.public_rows(record),
        "released_caption": release_section.people_needed_caption(record),
        "paper": beside.paper_rows(privacy),
        "paper_columns": beside.PAPER_COLUMNS,
        "paper_caption": beside.paper_caption(privacy),
        "paper_note": beside.paper_note(privacy),
        "client_columns": beside.CLIENT_COLUMNS,
        "client_shares": beside.client_rows(privacy),
        "beside": beside.notes(privacy),
        "block_columns": block_columns,
        "blocks": [tuple(row.values())[: len(block_columns)] for row in blocks],
        "assumptions": guarantee.lines(privacy.get("assumptions")),
        "privacy_warnings": guarantee.lines(privacy.get("warnings")),
        "forecast_sentence": tables.forecast_sentence(record.forecast),
        "forecast_facts": tables.forecast_facts(record.forecast),
        "data_facts": tables.data_facts(record),
        "split_facts": tables.split_facts(record),
        "check_columns": split_checks.CHECK_COLUMNS,
        "split_checks": split_checks.split_checks(record),
        "normalisation": tables.normalisation(record.data.normalisation),
        "why_normalisation": wording.WHY_NORMALISATION,
        "partition_options": guarantee.text_of(record.data.partition.options or None, ""),
        "files": [tables.file_row(file) for file in record.data.files],
        "utility": wording.utility_rows(record),
        "utility_columns": ("Metric", "This run", *wording.references(record), "Chance"),
        "utility_caption": (
            f"Stress on {wording.tested_on(record)}, with 95 % intervals over "
            f"{plural(chance.stress_balanced_accuracy.n_people, 'person', 'people')}"
        ),
        "stress_chance": stress_chance,
        "cost": people.cost_rows(record),
        "cost_columns": people.COST_COLUMNS,
        "cost_sentence": people.cost_sentence(record),
        "tradeoff_note": tables.tradeoff_note(record),
        "curves_note": tables.curves_note(record),
        "curves_caption": (
            f"Figures by round, without intervals. Chance: stress {stress_chance}, identity "
            f"{identity_chance}. ε so far: {tables.spent_scope(record)}"
        ),
        "attacks": [row for _, row in attacks],
        "best_attack": [at for at, (best, _) in enumerate(attacks) if best],
        "attack_columns": (
            "Attacker", "Works on", "This run", *wording.references(record), "Chance",
        ),
        "attack_caption": (
            f"Share of test windows given to the right person, on "
            f"{wording.identity_tested_on(record)}, with 95 % intervals over "
            f"{plural(chance.identity_strongest.n_people, 'person', 'people')}"
        ),
        "identity_tested_on": wording.identity_tested_on(record),
        "strongest": with_chance(chance.identity_strongest),
        "by_person": record.data.partition.name == "subject"
        and record.figures.identity_own_head.value is not None,
        "iid_sentence": wording.iid_sentence(record),
        "audit": audit_section.context(record, audit),
        "row_columns": audit_section.ROW_COLUMNS,
        "hazard_columns": hazards.HAZARD_COLUMNS,
        "hazards": hazards.hazards(record, audit),
        "limits": wording.limits(record, audit),
        "not_covered": guarantee.lines(privacy.get("not_covered")),
        "warnings": wording.warnings(record),
        "toml": to_toml(_shown_config(record)),
        "reproduce_note": tables.reproduce_note(record),
        "environment": tables.environment(record),
        "glossary": wording.GLOSSARY,
    }  # fmt: skip


def _headline(record: RunRecord) -> list[dict[str, Any]]:
    """Return the two headline figures, each with its chance and what to read beside it."""
    now = record.figures
    best = now.identity_strongest
    who = attacker(now.strongest_attack)
    stress_rows = [("Chance", percent(now.stress_balanced_accuracy.chance))]
    leak_rows = [("Chance", percent(best.chance))]
    for name, other in wording.references(record).items():
        stress_rows.append((name, accuracy(other.stress_balanced_accuracy)))
        leak_rows.append((name, accuracy(other.identity_strongest)))
    stress_rows.append(("Macro F1", with_chance(now.stress_macro_f1)))
    leak_rows.append(("Own head (not a privacy metric)", with_chance(now.identity_own_head)))
    return [
        {
            "kind": "stress",
            "title": "Stress, balanced accuracy",
            "about": f"on {wording.tested_on(record)}",
            "rows": stress_rows,
            **_big(now.stress_balanced_accuracy),
        },
        {
            "kind": "leak",
            "title": f"Identity, strongest fresh attacker ({who})",
            "about": f"on {wording.identity_tested_on(record)}. Quote this number.",
            "rows": leak_rows,
            **_big(best),
        },
    ]


def _big(estimate: Estimate) -> dict[str, str]:
    if estimate.value is None:
        return {"value": "n/a", "interval": estimate.note}
    people = plural(estimate.n_people, "person", "people")
    return {"value": percent(estimate.value), "interval": f"{interval(estimate)} 95 %, {people}"}


def _shown_config(record: RunRecord) -> dict[str, Any]:
    return {
        key: (
            {k: v for k, v in value.items() if k not in _NOT_SHOWN.get(key, ())}
            if isinstance(value, dict)
            else value
        )
        for key, value in record.provenance.config.items()
    }
