"""Trials with planted figures, for what is made of them."""

from fedaffect.record import Estimate, Figures
from fedaffect.study_record import Claimed, CurvePoint, TrialRecord


def share(value: float | None, chance: float = 0.1) -> Estimate:
    """Return a figure with an interval of a point on both sides."""
    if value is None:
        return Estimate(value=None, note="n/a (no identity head)")
    return Estimate(
        value=value,
        low=max(0.0, value - 0.01),
        high=min(1.0, value + 0.01),
        chance=chance,
        n_people=10,
    )


def claim(eps: float | None, true: float, sd: float = 0.01) -> Claimed:
    """Return a claim and its worth."""
    return Claimed(
        eps_per_round=eps, noise_sd=sd, true_eps_per_round=true, true_eps_total=40 * true,
        rounds=40, delta=1e-5, unit="client", adjacency="replace_one",
    )  # fmt: skip


def planted(
    name: str,
    stress: float = 0.9,
    own: float | None = 0.9,
    fresh: float = 0.9,
    claimed: Claimed | None = None,
    **changes: object,
) -> TrialRecord:
    """Return the trial of a cell with given accuracies."""
    figures = Figures(
        stress_accuracy=share(stress, 0.6),
        stress_macro_f1=share(stress, 0.4),
        stress_balanced_accuracy=share(stress, 0.5),
        identity_own_head=share(own),
        identity_attacks={"lda": share(fresh)},
        identity_strongest=share(fresh),
        strongest_attack="lda",
        raw_features_attack=share(0.95),
    )
    curve = tuple(
        CurvePoint(round=r, stress_balanced_accuracy=stress, identity_own_head=own) for r in (1, 2)
    )
    record = TrialRecord(
        name=name, what=f"the cell {name}", family="no noise", config={}, folds=5,
        windows_per_client=(1000, 1000), leaks_overlap=not name.startswith("unseen"),
        figures=figures, curve=curve, status="NONE", claimed=claimed, seconds=1.0,
    )  # fmt: skip
    return record.model_copy(update=changes)
