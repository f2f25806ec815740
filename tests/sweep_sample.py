"""Sweeps written by hand, whose trade-off is known."""

from __future__ import annotations

from typing import Any

from fedaffect.config import RunConfig
from fedaffect.record import Estimate
from fedaffect.summary import public_config
from fedaffect.sweep_record import AxisRecord, CellFigures, CellRecord, PrivacyInShort, SweepRecord

NO_DP = PrivacyInShort(
    status="NONE",
    mechanism="none",
    unit="client",
    adjacency="zero_out",
    eps=None,
    delta=None,
    z=None,
)
GAUSSIAN = NO_DP.model_copy(
    update={"status": "FORMAL", "mechanism": "gaussian", "eps": 5.0, "delta": 1e-5, "z": 1.5}
)
PAPER = NO_DP.model_copy(
    update={"mechanism": "paper-gaussian1", "z": 0.01, "claimed_per_round": 5.0, "true_total": 9e9}
)


def share(value: float | None, half: float = 0.1, chance: float = 0.5, people: int = 8) -> Estimate:
    """Return a figure with an interval of ``half`` to both sides."""
    if value is None:
        return Estimate(value=None, chance=chance, note="n/a (one class)")
    return Estimate(
        value=value, low=value - half, high=value + half, chance=chance, n_people=people
    )


def cell(
    number: int,
    setting: str,
    seed: int,
    stress: Estimate,
    leak: Estimate,
    privacy: PrivacyInShort = NO_DP,
    **values: str | None,
) -> CellRecord:
    """Return a finished cell; ``values`` are keys with ``__`` for the dot."""
    keyed = {key.replace("__", "."): value for key, value in values.items()}
    return CellRecord(
        name=f"{number}-{setting.replace(', ', '-').replace(' ', '-')}",
        setting=setting,
        values={**keyed, "run.seed": str(seed)},
        config=public_config(RunConfig()),
        state="finished",
        figures=CellFigures(
            run_id=f"calm-heron-{number:04x}",
            stress=stress,
            own_head=share(0.2, 0.05, chance=leak.chance or 0.0),
            attacker=leak,
            strongest_attack="linear",
            privacy=privacy,
            data="synthetic",
            synthetic=True,
            leaks_overlap=False,
            seconds=1.0,
        ),
    )


def of_identity(value: float, half: float = 0.1) -> Estimate:
    return share(value, half, chance=0.1)


def swept(*cells: CellRecord, **fields: Any) -> SweepRecord:
    """Return a sweep of ``cells`` without its trade-off."""
    keys = list(dict.fromkeys(key for c in cells for key in c.values))
    axes = tuple(
        AxisRecord(key=key, values=tuple({c.values[key] or "none": None for c in cells}))
        for key in keys
    )
    return SweepRecord(
        version="0.1.0",
        code="c" * 64,
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T01:00:00+00:00",
        axes=axes,
        cells=cells,
        **fields,
    )


def three_settings() -> SweepRecord:
    """Return no DP, Gaussian and the paper's mode, two seeds each; the paper's is dominated."""
    return swept(
        cell(1, "no DP", 0, share(0.9), of_identity(0.8), dp__eps=None),
        cell(2, "no DP", 1, share(0.8), of_identity(0.7), dp__eps=None),
        cell(3, "eps=5", 0, share(0.6), of_identity(0.3), GAUSSIAN, dp__eps="5"),
        cell(4, "eps=5", 1, share(0.7), of_identity(0.3, 0.2), GAUSSIAN, dp__eps="5"),
        cell(5, "eps=9", 0, share(0.6), of_identity(0.9), PAPER, dp__eps="9"),
        cell(6, "eps=9", 1, share(0.6), of_identity(0.9), PAPER, dp__eps="9"),
    )
