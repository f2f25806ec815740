"""What a statement says beside its own promise: the paper's claim, and other runs."""

from __future__ import annotations

import math
from typing import Any

from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.promise import Promise
from fedaffect.privacy.scope import Scope
from fedaffect.privacy.spending import Spending
from fedaffect.privacy.terms import terms_of
from fedaffect.privacy.wording import nominal, pair_text, times

_SUMMED = "every run by itself, then added"


def paper(
    mechanism: Mechanism, plan: ReleasePlan, scope: Scope
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what the paper claims for its noise, and what the noise is worth over ``plan``.

    Noise that claims nothing has a worth only.
    """
    claim_of = getattr(mechanism, "paper_claim", None)
    claim = claim_of(plan) if claim_of else None
    if claim is None:
        return None, None
    by = Promise(mechanism.events(plan), claim.delta, mechanism.method).accountant["name"]
    worth = _worth(scope, claim, by)
    true_value = {
        "eps_per_round": claim.true_eps_per_round,
        "eps_total": claim.true_eps_total,
        "delta": claim.delta,
        "text": worth,
    }
    if claim.eps_per_round is None:
        return None, true_value
    composed = (
        f"eps={nominal(claim.eps_per_round)} is the nominal cost of one round. Composed over "
        f"{times(claim.releases, 'round')}: "
    )
    at_face = scope.pair(claim.face_value_total, claim.delta, times(claim.releases, "round"), by)
    told = {
        "eps_per_round": claim.eps_per_round,
        "delta": claim.delta,
        "formula": claim.formula,
        "source": claim.source,
        "noise_sd": claim.noise_sd,
        "face_value_total": claim.face_value_total,
        "releases": claim.releases,
        "text": f"{composed}{at_face}, if the paper's sensitivity were right.",
    }
    return told, true_value


def other_runs(
    spent: Spending | None, mechanism: Mechanism, plan: ReleasePlan, own: Promise | None
) -> dict[str, Any] | None:
    """Return what other runs on the same data have spent; ``None`` where there are none.

    Args:
        spent: Their spending.
        mechanism: Calibrated mechanism of this run: its unit and adjacency are asked for.
        plan: Plan of this run.
        own: Promise of this run; ``None`` without a finite eps.
    """
    if spent is None or not spent.runs:
        return None
    terms = terms_of(mechanism, plan)
    eps = spent.eps_of(terms)
    delta = math.fsum(cost.terms.delta for cost in spent.runs)
    matching = [t for t in spent.totals if (t.unit, t.adjacency) == (terms.unit, terms.adjacency)]
    count = times(len(spent.runs), "other run")
    before = f"This site has spent on this data set before, in {count}"
    if spent.unbounded:
        text = f"{before}: {len(spent.unbounded)} without a finite epsilon, so no total is finite."
    elif not math.isfinite(eps):
        text = f"{before}: some protect single windows, which bounds nothing for one client."
    else:
        words = (
            f"for one {terms.unit} ({terms.adjacency}; observer: each run's own; horizon: those "
            f"runs; accountants: {_SUMMED})"
        )
        text = f"{before}: {pair_text(eps, delta)} {words}."
        if own is not None:
            sum_ = pair_text(eps + own.eps, min(1.0, delta + own.delta))
            text += f" This run included, at most {sum_}."
    alike = len(matching) == 1 and matching[0].runs == len(spent.runs)
    return {
        "runs": len(spent.runs),
        "eps": eps if math.isfinite(eps) else None,
        "delta": delta,
        "mu": matching[0].mu if alike else None,
        "text": text,
    }


def _worth(scope: Scope, claim: Any, by: str) -> str:
    if claim.true_eps_total is None:
        once = scope.pair(claim.true_eps_per_round, claim.delta, "one round", by)
        return (
            f"Worth of this noise: no finite epsilon over the run, as a block leaves in the clear; "
            f"the noised blocks alone, given the broadcast model: {once}."
        )
    total = scope.pair(claim.true_eps_total, claim.delta, times(claim.releases, "round"), by)
    return (
        f"True value of this noise: {total}; of one round alone: "
        f"{pair_text(claim.true_eps_per_round, claim.delta)}."
    )
