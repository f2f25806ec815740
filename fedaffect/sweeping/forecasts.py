"""What the plans of cells say of privacy and learning, before anything runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fedaffect.forecasts import forecast_of
from fedaffect.privacy.wording import eps_text
from fedaffect.summary import promised
from fedaffect.sweeping.cells import Cell


@dataclass(frozen=True)
class CellForecast:
    """One cell before it runs.

    Args:
        name: Name of the cell.
        eps: Total eps in words: a number, ``none`` without DP, ``no`` without a finite one,
            ``later`` where it is sized once windows are counted.
        noise_multiplier: Noise standard deviation / sensitivity.
        noise_to_signal: Length of the noise / length of the signal.
        can_learn: Whether it can learn; ``None`` where that cannot be told.
    """

    name: str
    eps: str
    noise_multiplier: float | None
    noise_to_signal: float | None
    can_learn: bool | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def forecast_cell(cell: Cell) -> CellForecast:
    """Return what the plan of a cell says."""
    told = forecast_of(cell.planned)
    return CellForecast(
        name=cell.name,
        eps=_eps(cell),
        noise_multiplier=told.noise_multiplier,
        noise_to_signal=told.noise_to_signal,
        can_learn=told.can_learn,
    )


def _eps(cell: Cell) -> str:
    mechanism = cell.planned.mechanism
    if not mechanism.groups:
        return "none"
    if mechanism.scale == 0:
        return "later"
    eps = promised(cell.planned).eps
    return "no" if eps is None else eps_text(eps)
