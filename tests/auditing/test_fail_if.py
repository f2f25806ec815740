"""The language of --fail-if means what Python means by it, and nothing else is read."""

from __future__ import annotations

import math
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.audit_record import AttackResult, EpsBound
from fedaffect.auditing.fail_if import FIELDS, LONGEST, parse
from fedaffect.errors import UsageError
from fedaffect.record import Estimate

NAMES = ("identity", "membership-loss", "one-run")
SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def result(name: str, value: float | None, low: float | None = None) -> AttackResult:
    return AttackResult(
        id="x",
        name=name,
        title="t",
        family="identity",
        threat="A",
        knowledge="k",
        figure=Estimate(value=value, low=low, high=0.75, chance=0.25),
    )


RESULTS = {
    "identity": result("identity", 0.5, 0.375),
    "membership-loss": result("membership-loss", 0.75),
    "one-run": result("one-run", None),
}


def holds(text: str) -> bool | None:
    return parse(text, NAMES).holds(RESULTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("identity.ci_low>0.3", True),
        ("identity.ci_low > .375", False),
        ("identity.value >= 5e-1", True),
        ("0.5==identity.value", True),
        ("identity.value!=0.5", False),
        ("membership-loss.value > identity.value", True),
        ("membership-loss.value<=identity.chance", False),
        ("identity.value>1 or identity.value<1", True),
        ("identity.value>1 and identity.value<1 or 1<2", True),
        ("identity.value>1 and (identity.value<1 or 1<2)", False),
        ("((1<2))", True),
        ("one-run.value>0", None),
        ("one-run.eps_low>5", None),
        ("one-run.value>0 or 1<2", True),
        ("one-run.value>0 and 1>2", False),
        ("one-run.value>0 or 1>2", None),
        ("one-run.value>0 and 1<2", None),
    ],
)
def test_examples(text: str, expected: bool | None) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "identity",
        "identity.value",
        "identity.value>",
        ">0.3",
        "identity.value>0.3 and",
        "or identity.value>0.3",
        "identity.value>0.3 identity.value>0.3",
        "identity.value>0.3)",
        "(identity.value>0.3",
        "1<2<3",
        "identity.value=0.3",
        "identity.value>0.3.4",
        "identity.value>0x3",
        "identity.value>inf",
        "identity.value>nan",
        "identity.value>-1",
        "not identity.value>1",
        "identity.value>1 AND 1<2",
        "1<2 or1<2 android",
        "identity.__class__>0",
        "identity.value.real>0",
        "__import__('os').system('true')>0",
        "identity.value>1;1",
        "identity.value>\u0661",
        "1<2" + " or 1<2" * 50,
    ],
)
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NAMES)
    assert caught.value.code == "E260"
    assert caught.value.do


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("identty.value>0", "did you mean identity?"),
        ("identity.ci_lo>0", "did you mean ci_low?"),
        ("inversion.value>0", "known: identity, membership-loss, one-run"),
    ],
)
def test_near_names_are_suggested(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NAMES)
    assert hint in caught.value.do


def test_deepest_nesting_is_read() -> None:
    depth = (LONGEST - 3) // 2
    assert holds("(" * depth + "1<2" + ")" * depth) is True


def test_every_field_reads_its_own_number() -> None:
    bound = EpsBound(
        lower=1.0,
        confidence=0.95,
        lower_gate=2.0,
        estimate=3.0,
        claimed=4.0,
        delta=1e-5,
        unit="client",
        adjacency="zero_out",
        observer="external",
        horizon="run",
    )
    full = RESULTS["identity"].model_copy(
        update={"bound": bound, "reference": Estimate(value=0.9), "smallest_effect": 0.1}
    )
    read = {name: get(full) for name, get in FIELDS.items()}
    assert read == {
        "value": 0.5,
        "ci_low": 0.375,
        "ci_high": 0.75,
        "chance": 0.25,
        "reference": 0.9,
        "smallest_effect": 0.1,
        "eps_low": 1.0,
        "eps_gate": 2.0,
        "eps_hat": 3.0,
        "eps_claimed": 4.0,
    }


Tree = tuple[str, Any]
NUMBERS = st.floats(0, 2, allow_subnormal=False).map(lambda x: round(x, 3))
COMPARISONS = st.tuples(st.sampled_from(sorted(SIGNS)), st.sampled_from(NAMES), NUMBERS)
TREES = st.recursive(
    COMPARISONS.map(lambda c: ("is", c)),
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2)),
    max_leaves=6,
)


def written(tree: Tree) -> str:
    kind, inside = tree
    if kind == "is":
        sign, name, number = inside
        return f"{name}.value {sign} {number!r}"
    return f" {kind} ".join(f"({written(part)})" for part in inside)


def meant(tree: Tree, unknown: float) -> bool:
    """Return the truth with ``unknown`` in the place of the figure that is not there."""
    kind, inside = tree
    if kind == "is":
        sign, name, number = inside
        value = RESULTS[name].figure.value
        return bool(SIGNS[sign](unknown if value is None else value, number))
    return (all if kind == "and" else any)(meant(part, unknown) for part in inside)


@given(TREES)
def test_it_means_what_python_means(tree: Tree) -> None:
    text = written(tree)
    if len(text) > LONGEST:
        return
    said = holds(text)
    if said is None:
        assert "one-run" in text
    else:  # then it is so whatever the missing figure might be
        assert {meant(tree, x) for x in (-math.inf, 0.0, 0.5, 1.0, 2.0, math.inf)} == {said}
