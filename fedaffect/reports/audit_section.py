"""The audit in words and tables: what was tried, what it found, what it could have found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fedaffect.audit_record import THREATS, AttackResult, AuditRecord
from fedaffect.record import RunRecord
from fedaffect.reports import roc
from fedaffect.reports.eps_audit import with_bounds
from fedaffect.reports.formats import accuracy, count, duration, number, plural
from fedaffect.reports.metrics import beats_chance, figure, level

NOT_DETECTED = "not detected by these attacks"
STATUS_WORDS = {
    "done": "done",
    "not_run": "not run",
    "refused": "refused",
    "not_resolvable": "not resolvable",
}
BY = {
    "A": "who holds the model",
    "B": "the server",
    "C": "who receives embeddings",
    "D": "a malicious participant",
    "code": "the mechanism itself",
}
OVERVIEW_COLUMNS = (
    "Attack", "By", "Result", "n", "Figure", "Chance", "Without DP", "Smallest effect",
)  # fmt: skip
ROW_COLUMNS = ("Attacker", "Where", "Role", "Metric", "Figure", "Chance")
RATE_COLUMNS = (
    "Attack", "Members / non-members", "Smallest FPR", "Figure", "Chance",
    "TPR at 1 % FPR", "TPR at 0.1 % FPR",
)  # fmt: skip
NOT_AUDITED = (
    "This run was not audited: nobody has tried membership, linkage, inversion or a lower bound on "
    "ε on it. The attacks on identity above are all that was tried. To audit it, type: "
    "fedaffect audit "
)


@dataclass(frozen=True)
class AttackDetail:
    """One attack in full.

    Args:
        title: What it is, and how it ended.
        facts: Attacker, knowledge, cost.
        sentences: Finding, reason and notes.
        rows: All its figures; empty without any.
    """

    title: str
    facts: list[tuple[str, str]]
    sentences: list[str]
    rows: list[tuple[str, ...]]


def context(record: RunRecord, audit: AuditRecord | None) -> dict[str, Any]:
    """Return what the template of the section needs."""
    if audit is None:
        return {"text": NOT_AUDITED + record.provenance.run_id}
    return {
        "text": sentence(audit),
        "notes": audit.notes,
        "columns": OVERVIEW_COLUMNS,
        "rows": [overview_row(result) for result in audit.results],
        "gates": [
            (g.expression, "passed" if g.passed else "FAILED", g.detail) for g in audit.gates
        ],
        "details": [detail(result) for result in audit.results],
        "rates": roc.rate_rows(audit),
        "rate_columns": RATE_COLUMNS,
        "bound_note": roc.bound_note(record.privacy),
        "bounds": bool(with_bounds(audit)),
    }


def sentence(audit: AuditRecord) -> str:
    """Sum up the audit: how much ran, what was found, what was not."""
    ran = [r for r in audit.results if r.status == "done"]
    suite = "every attack" if audit.full else "the default attacks"
    suite = f"only {', '.join(audit.only)}" if audit.only else suite
    found = [r.name for r in ran if found_something(r)]
    told = (
        f"A leak was found by {', '.join(found)}."
        if found
        else "Nothing was detected by these attacks; stronger attacks may exist."
    )
    if not ran:
        told = "So nothing is known from it."
    failed = [gate for gate in audit.gates if not gate.passed]
    gates = f" {plural(len(failed), 'gate')} FAILED." if failed else ""
    return (
        f"The audit tried {suite}: {count(len(ran))} of {plural(len(audit.results), 'attack')} ran "
        f"({duration(audit.seconds)}, seed {audit.seed}). {told}{gates}"
    )


def found_something(result: AttackResult) -> bool:
    """Return whether the attack says that it found a leak; a bound on epsilon never does."""
    if result.status != "done" or result.family == "bound":
        return False
    if result.finding:
        return NOT_DETECTED not in result.finding
    return bool(beats_chance(result.metric, result.figure))


def named(result: AttackResult) -> str:
    """Return name and title of an attack."""
    return f"{result.name}: {result.title}"


def overview_row(result: AttackResult) -> tuple[str, ...]:
    """Return one line of the table of all attacks."""
    if result.status != "done":
        return (
            named(result),
            BY[result.threat],
            f"{STATUS_WORDS[result.status]}: {result.reason.rstrip('.') or 'no reason given'}",
            *("n/a",) * 5,
        )
    return (
        named(result),
        BY[result.threat],
        verdict(result),
        size(result),
        f"{result.metric}: {figure(result.metric, result.figure)}",
        level(result.metric, result.figure.chance),
        figure(result.metric, result.reference),
        "not known"
        if result.smallest_effect is None
        else level(result.metric, result.smallest_effect),
    )


def verdict(result: AttackResult) -> str:
    """Say in a few words whether the attack found something."""
    bound = result.bound
    if result.family != "bound":
        return "found" if found_something(result) else "not detected"
    if bound is None or bound.claimed is None:
        return "nothing is promised"
    if bound.lower is None:
        return "estimate only"
    return "ABOVE the promise" if bound.lower > bound.claimed else "promise not contradicted"


def size(result: AttackResult) -> str:
    """Say over how many people or attempts a figure is."""
    people = result.figure.n_people
    told = [plural(people, "person", "people")] if people else []
    if result.n_members and not result.n_nonmembers:
        told.append(plural(result.n_members, "attempt"))
    elif result.n_nonmembers:
        told.append(f"{count(result.n_members)} + {count(result.n_nonmembers)}")
    return ", ".join(told) or "n/a"


def detail(result: AttackResult) -> AttackDetail:
    """Lay out one attack in full."""
    facts = [
        ("Attacker", THREATS[result.threat]),
        ("Knows", result.knowledge),
        ("Members + non-members", f"{count(result.n_members)} + {count(result.n_nonmembers)}"),
        ("Time", duration(result.seconds)),
    ]
    facts += [
        (f"TPR at FPR {rate}", f"{accuracy(estimate)}")
        for rate, estimate in result.tpr_at_fpr.items()
    ]
    if result.bound is not None and result.bound.mu is not None:
        low = (
            ""
            if result.bound.mu_low is None
            else f", 95 % lower bound {number(result.bound.mu_low)}"
        )
        facts.append(("Estimate of μ (Gaussian assumption)", f"{number(result.bound.mu)}{low}"))
    rows: list[tuple[str, ...]] = [
        (
            row.name,
            row.where or "n/a",
            row.role,
            row.metric,
            figure(row.metric, row.figure),
            level(row.metric, row.figure.chance),
        )
        for row in result.rows
    ]
    said = (result.finding, result.reason, *result.notes)
    ended = STATUS_WORDS[result.status]
    return AttackDetail(f"{named(result)} ({ended})", facts, [text for text in said if text], rows)
