"""An audit as lines of text, 80 columns wide."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from fedaffect.audit_record import THREATS

if TYPE_CHECKING:
    from fedaffect.audit_record import AttackResult, AuditRecord, EpsBound, Gate
    from fedaffect.record import Estimate

WIDTH = 80
_HEAD = f"  {'attack':19} {'from':4} {'figure':21} {'chance':>6} {'no DP':>6} {'least':>6}"
_STATUS = {
    "not_run": "not run",
    "refused": "refused",
    "not_resolvable": "cannot be resolved",
}
_LIMITS = (
    "What was not detected by these attacks may still be found by stronger ones. 95 % intervals "
    "over people (over clients where uploads are attacked, over canaries where those are); "
    "chance: without any leak; no DP: the same run without noise; least: smallest figure that is "
    "found in 9 of 10 cases."
)


def audit_lines(record: AuditRecord, folder: str) -> list[str]:
    """Return what an audit found: figures, bounds, gates, what to do next."""
    which = "full suite" if record.full else "chosen" if record.only else "default suite"
    done = [r for r in record.results if r.status == "done"]
    lines = [
        "",
        f"Audit    {record.run_id}   {which}: {len(done)} of {len(record.results)} attacks ran, "
        f"seed {record.seed}",
        *_wrapped(_LIMITS, "         "),
        "",
        _HEAD,
    ]
    for result in record.results:
        lines += _row(result, result.name == record.headline)
    used = [letter for letter in THREATS if any(r.threat == letter for r in record.results)]
    lines += ["", *(f"  {letter:4} {THREATS[letter]}" for letter in used)]
    bounds = [(r.name, r.bound) for r in record.results if r.bound is not None]
    if bounds:
        lines += ["", "Bounds on epsilon"]
        for name, bound in bounds:
            lines += _bound(name, bound)
    if record.gates:
        lines += ["", "Gates"]
        for gate in record.gates:
            lines += _gate(gate)
    lines += [line for note in record.notes for line in _wrapped(f"! {note}", "", "  ")]
    lines += ["", f"Files    {folder}/audit.json   {folder}/report.html"]
    return [*lines, *_next(record, folder)]


def _row(result: AttackResult, headline: bool) -> list[str]:
    start = f"  {result.name:19} {result.threat:4} "
    if result.status != "done":
        return _wrapped(f"{start}{_STATUS[result.status]}: {result.reason}", "", " " * 27)
    figure, reference = result.figure, result.reference
    beside = "-" if reference is None else _number(reference.value)
    row = (
        f"{start}{_interval(figure):21} {_number(figure.chance):>6} {beside:>6} "
        f"{_number(result.smallest_effect):>6}{' <-' if headline else ''}"
    )
    return [row, *_wrapped(f"{result.metric}: {result.finding}", " " * 27)]


def _bound(name: str, bound: EpsBound) -> list[str]:
    told = []
    if bound.lower is not None:
        told.append(f"at least {bound.lower:.3g} ({bound.confidence:.4g})")
    if bound.lower_gate is not None:
        told.append(f"{bound.lower_gate:.3g} ({bound.gate_confidence or 0:.5g}, the gate)")
    if bound.best_possible is not None:
        told.append(f"at most {bound.best_possible:.3g} could be shown")
    if bound.estimate is not None:
        told.append(f"estimate {bound.estimate:.3g}, which is no bound")
    claimed = "nothing" if bound.claimed is None else f"{bound.claimed:.4g}"
    told.append(
        f"claimed {claimed} at delta {bound.delta:.3g} per {bound.unit} ({bound.adjacency}) to "
        f"{bound.observer}, {bound.horizon}"
    )
    return _wrapped(f"  {name:19} {'; '.join(told)}", "", " " * 22)


def _gate(gate: Gate) -> list[str]:
    result = "passed" if gate.passed else "FAILED"
    return _wrapped(f"  {result}  {gate.expression}: {gate.detail}", "", " " * 10)


def _next(record: AuditRecord, folder: str) -> list[str]:
    steps = []
    if any("canaries" in r.reason for r in record.results if r.status == "not_run"):
        steps.append("a bound from the run: fedaffect simulate ... -o audit.canaries=100")
    if not record.full:
        steps.append(f"stronger attacks, up to 2 hours: fedaffect audit {folder} --full")
    return [f"{'Next' if not n else '':8} {step}" for n, step in enumerate(steps)]


def _interval(figure: Estimate) -> str:
    if figure.value is None:
        return (figure.note or "n/a")[:21]
    if figure.low is None or figure.high is None:
        return _number(figure.value)
    return f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.3g}"


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
