"""A realistic audit, with invented figures, for the tests of the report."""

from __future__ import annotations

from typing import Any

from fedaffect.audit_record import AuditRecord

LAYERS = ("input", "conv_1", "conv_2", "conv_3", "fc_1", "task:stress", "task:identity")
TERMS = {"delta": 1e-5, "unit": "client", "adjacency": "zero_out", "observer": "external"}
NOT_DETECTED = "not detected by these attacks"


def estimate(value: float, half: float, chance: float, people: int = 20) -> dict[str, Any]:
    """Return a figure with a symmetric interval."""
    low, high = max(0.0, value - half), min(1.0, value + half)
    return {"value": value, "low": low, "high": high, "chance": chance, "n_people": people}


def curve(strength: float, negatives: int) -> list[dict[str, float]]:
    """Return a curve TPR = FPR^(1 / strength) from one false alarm on."""
    steps = [negatives ** (-1 + i / 30) for i in range(31)]
    return [{"fpr": min(1.0, f), "tpr": min(1.0, f ** (1 / strength))} for f in steps]


def identity(strength: float = 0.41) -> dict[str, Any]:
    """Return c1: every layer, four attackers, baselines."""
    rows = [
        {
            "name": name,
            "where": layer,
            "metric": "top-1",
            "figure": estimate(max(0.05, strength - 0.05 * abs(i - 3) - less), 0.03, 0.05),
            "role": "baseline" if layer == "input" else "attack",
        }
        for name, less in (("linear", 0.02), ("lda", 0.0), ("knn", 0.05), ("mlp", 0.03))
        for i, layer in enumerate(LAYERS)
    ]
    rows += [
        {"name": n, "where": w, "metric": "top-1", "figure": estimate(v, 0.02, 0.05),
         "role": "baseline"}
        for n, w, v in (("own head", "task:identity", 0.067), ("untrained net (lda)", "fc_1", 0.29))
    ]  # fmt: skip
    rows.append(
        {"name": "linear", "where": "fc_1", "metric": "nats of identity",
         "figure": {"value": 0.81, "low": 0.6, "high": 1.0, "chance": 0.0, "n_people": 20}}
    )  # fmt: skip
    return {
        "id": "c1",
        "name": "identity",
        "title": "Who is it, from the released embedding?",
        "family": "identity",
        "threat": "C",
        "knowledge": "embeddings of other blocks of time with their people's names",
        "metric": "top-1",
        "figure": estimate(strength, 0.04, 0.05),
        "reference": estimate(0.61, 0.04, 0.05),
        "smallest_effect": 0.091,
        "rows": rows,
        "n_members": 1012,
        "finding": "linear discriminant names 41.0% of windows (chance 5.0%)",
        "seconds": 7.4,
    }


def membership(people: int = 15) -> list[dict[str, Any]]:
    """Return a1, which found nothing, and a3, which too few people cannot show."""
    common = {"family": "membership", "threat": "A", "knowledge": "the final model and windows"}
    return [
        {
            **common,
            "id": "a1",
            "name": "membership-loss",
            "title": "Did this window, or this person, take part? (loss)",
            "metric": "AUC by window",
            "figure": estimate(0.53, 0.06, 0.5),
            "reference": estimate(0.66, 0.06, 0.5),
            "smallest_effect": 0.61,
            "roc": curve(1.15, 300),
            "n_members": 1200,
            "n_nonmembers": 300,
            "tpr_at_fpr": {"0.01": estimate(0.019, 0.012, 0.01)},
            "finding": f"Membership: {NOT_DETECTED} (AUC 0.53 [0.47, 0.59], chance 0.50)",
        },
        {
            **common,
            "id": "a2",
            "name": "membership-rmia",
            "title": "Did this window, or this person, take part? (RMIA)",
            "metric": "AUC by person",
            "figure": estimate(0.58, 0.2, 0.5),
            "roc": curve(1.6, people),
            "n_members": 20,
            "n_nonmembers": people,
            "tpr_at_fpr": {},
            "finding": f"Membership: {NOT_DETECTED}",
        },
        {
            **common,
            "id": "a3",
            "name": "membership-subject",
            "title": "Did this person take part in training?",
            "status": "not_resolvable",
            "reason": "4 people who did not take part are too few to tell any result from luck",
        },
    ]


def bounds(lower: float = 4.31) -> list[dict[str, Any]]:
    """Return e1 and e3 beside a claim of 5."""
    common = {"family": "bound", "metric": "epsilon, lower bound at 95 %"}
    return [
        {
            **common,
            "id": "e1",
            "name": "mechanism",
            "title": "Monte-Carlo audit of the mechanism",
            "threat": "code",
            "knowledge": "the mechanism and the worst case",
            "figure": {"value": lower, "chance": 0.0},
            "bound": {**TERMS, "lower": lower, "confidence": 0.95, "lower_gate": lower - 0.5,
                      "gate_confidence": 0.9995, "best_possible": 9.6, "estimate": 4.97,
                      "mu": 1.119, "mu_low": 1.09, "claimed": 5.0, "horizon": "run"},
            "finding": "eps is at least 4.31, claimed is 5",
        },
        {
            **common,
            "id": "e2",
            "name": "canary",
            "title": "Canary clients: estimate of epsilon",
            "threat": "A",
            "knowledge": "the directions of the canaries",
            "status": "not_run",
            "reason": "no canaries in this run; -o audit.canaries=100",
        },
        {
            **common,
            "id": "e3",
            "name": "one-run",
            "title": "Canary clients: lower bound on epsilon from one run",
            "threat": "A",
            "knowledge": "the directions of the canaries",
            "figure": {"value": 0.0, "chance": 0.0},
            "bound": {**TERMS, "lower": 0.0, "confidence": 0.95, "best_possible": 3.49,
                      "claimed": 5.0, "horizon": "run"},
        },
    ]  # fmt: skip


def audit_values(
    *, strength: float = 0.41, lower: float = 4.31, people: int = 15, headline: str = "identity"
) -> dict[str, Any]:
    """Return an audit of the run of ``report_sample`` as plain values."""
    linkage = {
        "id": "b3",
        "name": "linkability",
        "title": "Who sent this upload?",
        "family": "linkage",
        "threat": "B",
        "knowledge": "uploads of earlier rounds with their senders",
        "status": "not_run",
        "reason": "the noise key is not on this site",
    }
    verification = {
        "id": "c2",
        "name": "verification",
        "title": "Is it the same person? People whom the model never saw",
        "family": "identity",
        "threat": "C",
        "knowledge": "embeddings of earlier recordings",
        "metric": "EER",
        "figure": estimate(0.31, 0.08, 0.5, 4),
        "smallest_effect": 0.2,
        "finding": "cosine across recordings tells strangers apart",
        "roc": curve(3, 12),
        "n_members": 4,
        "n_nonmembers": 12,
    }
    return {
        "run_id": "calm-heron-7f3a",
        "version": "0.1.0",
        "started": "2025-03-04T10:20:00Z",
        "seconds": 131.0,
        "seed": 0,
        "full": False,
        "results": [
            identity(strength), verification, linkage, *membership(people), *bounds(lower),
        ],
        "gates": [
            {"expression": "mechanism.eps_gate<=mechanism.eps_claimed", "passed": lower < 5.5,
             "detail": f"eps is at least {lower - 0.5:.4g}, claimed is 5"}
        ],
        "headline": headline,
        "notes": ["Nothing was drawn from the noise key; nothing was charged."],
    }  # fmt: skip


def sample_audit(**options: Any) -> AuditRecord:
    """Return an audit; the options are those of ``audit_values``."""
    return AuditRecord.model_validate(audit_values(**options))
