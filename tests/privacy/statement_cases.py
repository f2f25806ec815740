"""Statements of runs that were never made: Table II of the paper under every kind of noise."""

from __future__ import annotations

from typing import Any

from fedaffect import registry
from fedaffect.params import Layout
from fedaffect.privacy.base import LocalSteps, Mechanism, PrivacySpec, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.run_facts import RunFacts
from fedaffect.privacy.state_run import make_statement
from fedaffect.privacy.statement import PrivacyStatement

LAYOUT = Layout(
    ("cnn", "stress", "identity"),
    ((61_980,), (202,), (34_815,)),
    {"shared": ("cnn",), "task:stress": ("stress",), "task:identity": ("identity",)},
)
FULL = ReleasePlan(40, 20, 1.0, "full", 20, 1, 1)
POISSON = ReleasePlan(40, 20, 1 / 3, "poisson", 60, 1, 1)
# 16 windows a step, 20 or 25 steps a round: spans of clients with 320, and with 390 to 400 windows
STEPS = LocalSteps(((320, 320), (390, 400)), 16, 1, 2)
WINDOWS = ReleasePlan(2, 20, 1.0, "full", 7_000, 1, 1, local=STEPS)
LOCAL = {"where": "client", "adjacency": "replace_one"}
PER_WINDOW = {"unit": "window", "where": "client"}


def ready(name: str = "gaussian", plan: ReleasePlan = FULL, **spec: Any) -> Mechanism:
    """Return a calibrated mechanism; a budget of 5 where nothing else is given."""
    free = name == "none" or name.startswith("paper-")
    asked = PrivacySpec(name, **{"eps": None if free else 5.0, **spec})
    return mechanism_of(asked, registry.resolve("dp", name)).calibrate(plan, LAYOUT)


def state(
    name: str = "gaussian",
    plan: ReleasePlan = FULL,
    facts: dict[str, Any] | None = None,
    **spec: Any,
) -> PrivacyStatement:
    """Return the statement of a whole run with a secret key and a ledger."""
    usual = {
        "releases_done": plan.releases,
        "key_kind": "secret",
        "normalisation": "public",
        "data_notes": ("features are z-scored with public constants",),
        "ledger_head": "ab" * 32,
    }
    known = RunFacts(**{**usual, **(facts or {})})  # type: ignore[arg-type]
    return make_statement(ready(name, plan, **spec), plan, LAYOUT, known)


def words_of(statement: PrivacyStatement) -> str:
    """Return the sentence and its details."""
    return " ".join([statement.sentence, *statement.details])
