"""Conditions that fail an audit, and the warning that stays below them."""

from __future__ import annotations

from collections.abc import Sequence

from fedaffect.audit_record import AttackResult, EpsBound, Gate
from fedaffect.auditing.fail_if import Condition
from fedaffect.auditing.selection import SENSITIVITY


def bound_gates(results: Sequence[AttackResult]) -> tuple[Gate, ...]:
    """Return a gate for every bound on epsilon that has a claim beside it.

    What refutes the paper's claim is a finding, not a gate.
    """
    return tuple(
        Gate(
            expression=f"{result.name}.eps_gate<={result.name}.eps_claimed",
            passed=bound.lower_gate <= bound.claimed,
            detail=f"eps is at least {bound.lower_gate:.4g} with confidence "
            f"{bound.gate_confidence or 0:.4%}, claimed is {_terms(bound)}",
        )
        for result, bound in _claimed(results)
        if bound.lower_gate is not None and bound.claimed is not None
    )


def asked_gate(text: str, condition: Condition, results: Sequence[AttackResult]) -> Gate:
    """Return the gate of ``--fail-if``: it fails where the condition holds, or nobody can tell."""
    by_name = {result.name: result for result in results}
    holds = condition.holds(by_name)
    said = ", ".join(
        f"{figure} is {_shown(figure.of(by_name))}"
        + (f" ({by_name[figure.attack].status})" if figure.of(by_name) is None else "")
        for figure in dict.fromkeys(condition.figures())
    )
    unknown = "cannot be decided, which counts as failed: " if holds is None else ""
    return Gate(expression=f"fail if {text}", passed=holds is False, detail=f"{unknown}{said}")


def bound_warnings(results: Sequence[AttackResult]) -> tuple[str, ...]:
    """Return a line for every 95 % bound that lies above its claim."""
    return tuple(
        f"W140 {result.name}: eps is at least {bound.lower:.4g} with 95 % confidence, above the "
        f"claimed {_terms(bound)}; {_how_often(bound)}"
        for result, bound in _claimed(results)
        if bound.lower is not None and bound.claimed is not None and bound.lower > bound.claimed
    )


def _claimed(results: Sequence[AttackResult]) -> list[tuple[AttackResult, EpsBound]]:
    return [(r, r.bound) for r in results if r.bound is not None and r.name != SENSITIVITY]


def _terms(bound: EpsBound) -> str:
    return (
        f"{bound.claimed:.4g} at delta {bound.delta:.3g} per {bound.unit}, {bound.adjacency}, to "
        f"{bound.observer}, over {bound.horizon}"
    )


def _how_often(bound: EpsBound) -> str:
    if bound.lower_gate is None:
        return "the bound rests on assumptions that no gate relies on: see the notes of the attack"
    return "up to 1 audit of 20 of a correct mechanism shows that"


def _shown(value: float | None) -> str:
    return "not there" if value is None else f"{value:.4g}"
