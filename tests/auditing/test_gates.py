"""What fails an audit: bounds above their claim at the gate's confidence, and what was asked."""

from __future__ import annotations

from typing import Any

import pytest

from fedaffect import registry
from fedaffect.audit_record import AttackResult, EpsBound
from fedaffect.auditing.fail_if import parse
from fedaffect.auditing.gates import asked_gate, bound_gates, bound_warnings
from fedaffect.auditing.selection import GATED, Selection, selection
from fedaffect.errors import UsageError
from fedaffect.record import Estimate


def bounded(name: str, **changes: Any) -> AttackResult:
    values = {"lower": 6.0, "lower_gate": 4.0, "gate_confidence": 0.9995, "claimed": 5.0}
    bound = EpsBound(
        **{
            **values,
            "confidence": 0.95,
            "delta": 1e-5,
            "unit": "client",
            "adjacency": "zero_out",
            "observer": "external",
            "horizon": "run",
            **changes,
        }
    )
    return AttackResult(
        id="x",
        name=name,
        title="t",
        family="bound",
        threat="A",
        knowledge="k",
        figure=Estimate(value=0.5),
        bound=bound,
    )


def test_the_gate_is_the_bound_of_999_permille() -> None:
    (gate,) = bound_gates([bounded("one-run")])
    assert gate.passed
    assert gate.expression == "one-run.eps_gate<=one-run.eps_claimed"
    assert "99.9500%" in gate.detail
    (gate,) = bound_gates([bounded("one-run", lower_gate=5.1)])
    assert not gate.passed
    assert bound_gates([bounded("one-run", lower_gate=5.0)])[0].passed


def test_between_the_two_confidences_there_is_a_warning() -> None:
    (line,) = bound_warnings([bounded("one-run")])
    assert line.startswith("W140 one-run: eps is at least 6 with 95 % confidence")
    assert line.endswith("up to 1 audit of 20 of a correct mechanism shows that")
    assert bound_warnings([bounded("one-run", lower=5.0)]) == ()


def test_a_bound_without_a_gate_is_not_said_to_hold_in_19_of_20_audits() -> None:
    (line,) = bound_warnings([bounded("membership-subject", lower_gate=None)])
    assert line.startswith("W140 membership-subject: eps is at least 6 with 95 % confidence")
    assert "of 20" not in line
    assert line.endswith("see the notes of the attack")


@pytest.mark.parametrize("missing", [{"claimed": None}, {"lower_gate": None}])
def test_without_claim_or_gate_nothing_is_gated(missing: dict[str, None]) -> None:
    assert bound_gates([bounded("one-run", **missing)]) == ()


def test_a_claim_of_the_paper_that_is_refuted_is_a_finding() -> None:
    refuted = [bounded("refute-sensitivity", lower=9.0, lower_gate=9.0)]
    assert bound_gates(refuted) == ()
    assert bound_warnings(refuted) == ()


@pytest.mark.parametrize(
    ("text", "passed", "said"),
    [
        ("one-run.value>0.4", False, "one-run.value is 0.5"),
        ("one-run.value>0.6", True, "one-run.value is 0.5"),
        ("one-run.ci_low>0.6", False, "counts as failed: one-run.ci_low is not there (done)"),
    ],
)
def test_what_was_asked(text: str, passed: bool, said: str) -> None:
    gate = asked_gate(text, parse(text, ["one-run"]), [bounded("one-run")])
    assert gate.passed is passed
    assert gate.expression == f"fail if {text}"
    assert said in gate.detail


def test_the_gate_shares_its_level_over_the_gated_tests() -> None:
    assert Selection(("identity",)).gate_confidence == 0.999
    assert Selection(("mechanism", "identity")).gate_confidence == 0.999
    assert Selection(GATED).gate_confidence == pytest.approx(1 - 0.001 / 3, abs=1e-12)


def test_chosen_attacks_come_in_the_order_of_the_registry() -> None:
    chosen = selection(["one-run", "identity", "one-run"], full=False, paper=False)
    assert chosen.names == ("identity", "one-run")
    assert chosen.trains
    assert not selection(["one-run"], full=False, paper=False).trains


def test_the_suites() -> None:
    default, paper, full = (
        set(selection([], full=f, paper=p).names)
        for f, p in ((False, False), (False, True), (True, False))
    )
    slow = {"membership-rmia", "membership-lira", "membership-subject", "inversion", "attribute"}
    slow |= {"property", "multi-run"}
    assert full == set(registry.AUDITS)
    assert default == full - slow - {"refute-sensitivity"}
    assert paper == default | {"refute-sensitivity"}


def test_an_unknown_attack_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        selection(["identty"], full=False, paper=False)
    assert caught.value.code == "E210"
    assert "did you mean identity?" in caught.value.do
