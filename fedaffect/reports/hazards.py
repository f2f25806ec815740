"""Hazards of a privacy claim, each with pass, warn or not applicable, and the reason.

The headings follow NIST SP 800-226, "Guidelines for evaluating differential privacy guarantees"
(2025): parameters, unit, trust model, data and side channels, and what attacks show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedaffect.audit_record import AuditRecord
from fedaffect.record import RunRecord
from fedaffect.reports import guarantee
from fedaffect.reports.formats import delta, epsilon, plural

Hazard = tuple[str, str, str]  # what, status, reason
HAZARD_COLUMNS = ("Hazard", "Status", "Why")
PASS, WARN, NOT_APPLICABLE = "pass", "warn", "not applicable"
_REASONABLE_EPS = 10.0  # Ponomareva et al. 2023, "How to DP-fy ML", section 5.2: tiers 1 and 2
_NO_DP = "no differential privacy is claimed"


def hazards(record: RunRecord, audit: AuditRecord | None = None) -> list[Hazard]:
    """Return every hazard of ``record`` with its status: nothing is assumed in its favour."""
    privacy = record.privacy
    formal = guarantee.status(privacy) == "FORMAL"
    noised = privacy.get("mechanism") not in (None, "none")
    return [
        *_parameters(record, privacy, formal),
        *_unit(record, privacy, formal),
        *_trust(privacy, formal, noised),
        *_data(record, privacy, noised),
        *_outside(privacy, noised),
        *_tested(audit),
    ]


def _parameters(record: RunRecord, privacy: Mapping[str, Any], formal: bool) -> Iterator[Hazard]:
    what = "Everything that is released is covered"
    yield what, PASS if formal else WARN, guarantee.STATUS_WORDS[guarantee.status(privacy)]
    what = "Size of ε"
    eps = privacy.get("eps")
    if not formal or not isinstance(eps, int | float):
        yield what, WARN, "there is no finite ε"
    else:
        fits = eps <= _REASONABLE_EPS
        said = f"(ε = {epsilon(eps)}, δ = {delta(privacy.get('delta'))})"
        tier = "within" if fits else "above"
        limit = f"{tier} 10, the limit of Ponomareva et al. 2023 for a reasonable guarantee"
        yield what, PASS if fits else WARN, f"{said}, {guarantee.scope(privacy)}: {limit}"
    what = "Size of δ"
    at, units = privacy.get("delta"), len(record.data.partition.clients)
    sampling = privacy.get("sampling")
    if isinstance(sampling, Mapping) and isinstance(sampling.get("n_units"), int):
        units = sampling["n_units"]
    if not formal or not isinstance(at, float):
        yield what, NOT_APPLICABLE, _NO_DP
    else:
        small = at * units < 1
        yield what, PASS if small else WARN, f"δ is {delta(at)}, 1 / units is {1 / units:.2g}"
    what = "Two accountants agree"
    accountant = privacy.get("accountant")
    check = accountant.get("cross_check") if isinstance(accountant, Mapping) else None
    if not formal:
        yield what, NOT_APPLICABLE, _NO_DP
    elif isinstance(check, Mapping) and check.get("name"):
        yield what, PASS, f"checked by {check['name']}; both are in the section on the guarantee"
    else:
        yield what, WARN, "no second accountant is named"


def _unit(record: RunRecord, privacy: Mapping[str, Any], formal: bool) -> Iterator[Hazard]:
    what = "The unit of privacy is a person"
    partition = record.data.partition
    if not formal:
        yield what, NOT_APPLICABLE, _NO_DP
    elif privacy.get("unit") != "client" or partition.clients_per_subject_max > 1:
        yield what, WARN, guarantee.person_sentence(record)
    else:
        yield what, PASS, guarantee.person_sentence(record)


def _trust(privacy: Mapping[str, Any], formal: bool, noised: bool) -> Iterator[Hazard]:
    what = "Nobody has to be trusted with raw updates"
    if privacy.get("where") == "client" and formal:
        yield what, PASS, "each client adds noise before it sends"
    else:
        yield what, WARN, "the server sees every update as it is"
    what = "Sampling is what the accountant assumes"
    sampling = privacy.get("sampling")
    if not formal:
        yield what, NOT_APPLICABLE, _NO_DP
    elif isinstance(sampling, Mapping) and sampling.get("text"):
        yield what, PASS, str(sampling["text"])
    else:
        yield what, WARN, "the statement does not say how clients were drawn"
    what = "Noise is secret and is charged before it is drawn"
    kind = privacy.get("noise_key_kind")
    if not noised:
        yield what, NOT_APPLICABLE, _NO_DP
    elif kind == "secret" and privacy.get("ledger_head"):
        yield what, PASS, "secret key, hash-chained ledger"
    elif kind == "secret":
        yield what, WARN, "no ledger is named"
    else:
        yield what, WARN, "the noise can be reproduced: no guarantee"


def _data(record: RunRecord, privacy: Mapping[str, Any], noised: bool) -> Iterator[Hazard]:
    choice = record.data.normalisation.split(":")[0].strip().lower()
    public = choice in ("public", "none") or choice.startswith("no ")
    yield (
        "Scaling of features releases nothing",
        PASS if public else WARN,
        f"scaling: {choice}" + ("" if public else "; statistics of people's data are used"),
    )
    yield (
        "Settings were not chosen on the same data",
        WARN if noised else NOT_APPLICABLE,
        "rounds, clip norm, layers and rate are not accounted" if noised else _NO_DP,
    )
    yield (
        "Published figures are part of the guarantee",
        WARN if noised else NOT_APPLICABLE,
        "accuracies here are computed from people's data without noise" if noised else _NO_DP,
    )
    others = privacy.get("other_runs")
    told = guarantee.text_of(others.get("text"), "") if isinstance(others, Mapping) else ""
    yield (
        "Other runs on the same data are counted",
        WARN if noised else NOT_APPLICABLE,
        (told or "budgets of other runs add up to this one") if noised else _NO_DP,
    )


def _outside(privacy: Mapping[str, Any], noised: bool) -> Iterator[Hazard]:
    known = [line.partition(":") for line in guarantee.lines(privacy.get("not_covered"))]
    rounding = next((why.strip() for what, _, why in known if what == "floating point"), "")
    yield (
        "Floating point cannot be exploited",
        WARN if noised else NOT_APPLICABLE,
        (rounding or "not proven") if noised else _NO_DP,
    )
    yield (
        "No side channel: time, memory, traffic, failures",
        WARN if noised else NOT_APPLICABLE,
        "outside every promise here" if noised else _NO_DP,
    )
    yield (
        "A person cannot be recognised from new signals",
        WARN,
        "no promise about training covers it; the attackers' figures measure it",
    )


def _tested(audit: AuditRecord | None) -> Iterator[Hazard]:
    what = "The claim was attacked"
    if audit is None:
        yield what, WARN, "this run was not audited"
        return
    done = sum(result.status == "done" for result in audit.results)
    yield (
        what,
        PASS if done else WARN,
        f"{plural(done, 'attack')} of {len(audit.results)} ran; success is never excluded",
    )
    failed = [gate.expression for gate in audit.gates if not gate.passed]
    above = [
        r.name
        for r in audit.results
        if r.bound and r.bound.lower is not None and r.bound.claimed is not None
        and r.bound.lower > r.bound.claimed
    ]  # fmt: skip
    what = "No audit contradicts the claim"
    if failed or above:
        yield what, WARN, "contradicted by: " + ", ".join([*failed, *above])
    elif any(r.bound for r in audit.results):
        yield what, PASS, "every 95 % lower bound lies at or below what is promised"
    else:
        yield what, NOT_APPLICABLE, "no audit gave a bound on ε"
