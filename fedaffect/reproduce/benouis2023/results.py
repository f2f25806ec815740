"""The trials of the study by what they are about, and the words for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedaffect.record import Estimate, Figures
from fedaffect.reports.formats import accuracy, epsilon, percent
from fedaffect.reproduce.benouis2023.cells import (
    BUDGETS,
    LAYERS,
    MECHANISMS,
    SIGMAS,
    noise_name,
    scale_of,
)
from fedaffect.reproduce.study import Options
from fedaffect.study_record import TrialRecord

STRESS, OWN, FRESH = "stress accuracy", "identity, own head", "identity, best fresh attacker"
MEASURED: dict[str, Callable[[Figures], Estimate]] = {
    STRESS: lambda f: f.stress_accuracy,
    OWN: lambda f: f.identity_own_head,
    FRESH: lambda f: f.identity_strongest,
}
SHORT = {STRESS: "stress", OWN: "own head", FRESH: "fresh attacker"}


@dataclass(frozen=True)
class Results:
    """What was measured.

    Args:
        options: What the study was asked for.
        trials: Name of a cell to its trial; a quick study lacks many.
    """

    options: Options
    trials: Mapping[str, TrialRecord]

    @property
    def baseline(self) -> str:
        """Name of the federated cell without noise that others are compared with."""
        return f"clients-{scale_of(self.options).clients}"

    def get(self, name: str) -> TrialRecord | None:
        """Return the trial of a cell, if the study has it."""
        return self.trials.get(name)

    def figures(self, name: str) -> Figures | None:
        """Return the figures of a cell, if the study has it."""
        trial = self.trials.get(name)
        return trial.figures if trial is not None else None

    def noised(self, *mechanisms: str, layers: Sequence[str] = tuple(LAYERS)) -> list[TrialRecord]:
        """Return the noised cells of ``mechanisms`` (``plain`` or a name of the paper's)."""
        found = [
            self.trials.get(noise_name(m, level, where))
            for m in mechanisms
            for level in (SIGMAS if m == "plain" else BUDGETS)
            for where in layers
        ]
        return [trial for trial in found if trial is not None]

    @property
    def all_noised(self) -> list[TrialRecord]:
        """Every noised cell on the paper's split."""
        return self.noised("plain", *MECHANISMS)


def said(figures: Figures | None, *what: str) -> str:
    """Write figures with intervals and chance, or that they are not part of this study."""
    if figures is None:
        return "not part of this study"
    names = what or tuple(MEASURED)
    estimates = [MEASURED[name](figures) for name in names]
    parts = [f"{SHORT[n]} {accuracy(e)}" for n, e in zip(names, estimates, strict=True)]
    chances = ", ".join(dict.fromkeys(percent(e.chance) for e in estimates))
    return f"{', '.join(parts)} (chance {chances})"


def value(figures: Figures | None, what: str) -> float | None:
    """Return a figure; ``None`` where it was not measured."""
    return MEASURED[what](figures).value if figures is not None else None


def worth(trial: TrialRecord) -> str:
    """Write the claimed eps of a cell's noise beside the true one of a round."""
    claimed = trial.claimed
    if claimed is None:
        return ""
    true = f"true eps {epsilon(claimed.true_eps_per_round)}"
    return true if claimed.eps_per_round is None else f"claimed {claimed.eps_per_round:g}, {true}"
