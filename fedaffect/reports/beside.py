"""What stands beside a guarantee: the paper's claim, clients one by one, other runs, its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedaffect.reports import guarantee
from fedaffect.reports.formats import delta, epsilon, number

Rows = list[tuple[str, ...]]
PAPER_COLUMNS = ("What", "ε", "δ", "Horizon")
CLIENT_COLUMNS = ("", "Smallest", "Lower quartile", "Median", "Upper quartile", "Largest")
_QUANTILES = ("min", "q1", "median", "q3", "max")


def paper_rows(privacy: Mapping[str, Any]) -> Rows:
    """Return the paper's claim and its true value, line by line; empty without a claim."""
    claim = _mapping(privacy.get("paper_claim"))
    worth = _mapping(privacy.get("true_value_of_paper_claim"))
    over = f"{number(claim.get('releases', privacy.get('releases_done')))} rounds"
    rows: Rows = []
    if claim:
        rows.append(("Claimed by the paper", *_pair(claim, "eps_per_round"), "one round"))
        rows.append(("That claim, composed", *_pair(claim, "face_value_total"), over))
    if worth:
        rows.append(("True value", *_pair(worth, "eps_per_round"), "one round"))
        rows.append(("True value", *_pair(worth, "eps_total"), over))
    return rows


def paper_note(privacy: Mapping[str, Any]) -> str:
    """Say how the paper sizes its noise, where there is a claim."""
    claim = _mapping(privacy.get("paper_claim"))
    if not claim:
        return ""
    return (
        f"{guarantee.text_of(claim.get('source'), 'The paper')}: "
        f"{guarantee.text_of(claim.get('formula'), 'formula not stated')}; noise sd here "
        f"{number(claim.get('noise_sd'))}. The true value counts by how far one client really "
        "moves what it sends."
    )


def paper_caption(privacy: Mapping[str, Any]) -> str:
    """Write what holds for every row of the paper's table."""
    return (
        f"The paper's noise, per {guarantee.text_of(privacy.get('unit'), 'unit not stated')}, "
        f"adjacency {guarantee.text_of(privacy.get('adjacency'), 'not stated')}"
    )


def client_rows(privacy: Mapping[str, Any]) -> Rows:
    """Return how often clients took part and what that cost them, smallest to largest."""
    known = _mapping(privacy.get("per_client"))
    rows: Rows = []
    if took := _mapping(known.get("participations")):
        rows.append(("Releases", *(number(took.get(q)) for q in _QUANTILES)))
    if cost := _mapping(known.get("eps")):
        at = delta(privacy.get("delta"))
        rows.append((f"ε at δ = {at}", *(epsilon(cost.get(q)) for q in _QUANTILES)))
    return rows


def notes(privacy: Mapping[str, Any]) -> list[str]:
    """Return the sentences on clients and on other runs."""
    known = (_mapping(privacy.get(name)).get("text") for name in ("per_client", "other_runs"))
    return [_sentence(str(text)) for text in known if text]


def _pair(values: Mapping[str, Any], name: str) -> tuple[str, str]:
    eps = epsilon(values.get(name))
    return eps, "n/a" if eps == "no finite value" else delta(values.get("delta"))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
