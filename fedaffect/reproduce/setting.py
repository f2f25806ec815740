"""A training setting that learns, chosen by loss on training windows that are kept from training.

No test window and no person outside training is looked at, and no noise is drawn: the search is
the same for every cell of a study, private or not. It is not accounted for, and the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from fedaffect.build import Experiment
from fedaffect.config import RunConfig
from fedaffect.data.partition.base import Partition
from fedaffect.data.partition.blocks import WINDOWS_PER_PIECE, pieces
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.trial import experiment_of, train
from fedaffect.rng import generator
from fedaffect.study_record import Candidate

HELD_OUT = 0.2  # share of the pieces of consecutive training windows


@dataclass(frozen=True)
class Setting:
    """How every client trains.

    Args:
        lr: Learning rate of SGD.
        batch_size: Windows in a step.
        local_epochs: Passes over the client's windows in a round.
        momentum: Momentum, cleared at the start of every round.
        max_grad_norm: Longest gradient of a step; ``None``: no bound.
    """

    lr: float
    batch_size: int = 16
    local_epochs: int = 1
    momentum: float = 0.9
    max_grad_norm: float | None = 1.0

    def of(self, config: RunConfig) -> RunConfig:
        """Return ``config`` with this setting."""
        changes = {f"federation.{name}": value for name, value in asdict(self).items()}
        bound = "none" if self.max_grad_norm is None else self.max_grad_norm
        return config.replace({**changes, "federation.max_grad_norm": bound})


def validation_loss(cell: Cell) -> float | None:
    """Return :func:`held_out_loss` of the experiment of ``cell``."""
    return held_out_loss(experiment_of(cell))


def held_out_loss(experiment: Experiment) -> float | None:
    """Train on four fifths of the first fold's training windows; return the loss on the rest.

    Pieces of about ten consecutive windows are held out, so that few held-out windows overlap
    one that was trained on.

    Returns:
        Cross-entropy summed over tasks, mean over held-out windows, in nats; ``None`` where
        training diverged.
    """
    fold = experiment.folds[0]
    rows = np.sort(np.concatenate(fold.partition.clients))
    held_out = _held_out(experiment, rows)
    dealt = fold.partition
    kept = [np.setdiff1d(mine, held_out) for mine in dealt.clients]
    kept = [mine if len(mine) else own[:1] for mine, own in zip(kept, dealt.clients, strict=True)]
    partition = Partition.of(experiment.table, kept, dealt.name, dealt.options)
    learning = replace(experiment, folds=(replace(fold, number=0, partition=partition),))
    training = train(learning, "setting")
    if any(r.abandoned for r in training.rounds):
        return None
    loss = _loss(experiment, training.params[-1], np.setdiff1d(held_out, np.concatenate(kept)))
    return loss if math.isfinite(loss) else None


def best(candidates: Mapping[Setting, float | None]) -> Setting:
    """Return the setting of the smallest loss, the first of equals.

    Raises:
        ValueError: every training diverged.
    """
    finite = {setting: loss for setting, loss in candidates.items() if loss is not None}
    return min(finite, key=lambda setting: finite[setting])


def candidate(
    setting: Setting, loss: float | None, *, purpose: str, chosen: bool, printed: bool
) -> Candidate:
    """Return ``setting`` for the record."""
    return Candidate(**asdict(setting), loss=loss, purpose=purpose, chosen=chosen, printed=printed)


def _held_out(experiment: Experiment, rows: np.ndarray) -> np.ndarray:
    """Return a fifth of the pieces of consecutive windows among ``rows``, (m,) ascending."""
    mask = np.zeros(len(experiment.table), dtype=bool)
    mask[rows] = True
    cut = pieces(experiment.table, mask, WINDOWS_PER_PIECE)
    order = generator(experiment.config.run.seed, "study", "validation").permutation(len(cut))
    chosen = order[: max(1, round(HELD_OUT * len(cut)))]
    return np.sort(np.concatenate([cut[i] for i in chosen]))


def _loss(experiment: Experiment, params: np.ndarray, rows: np.ndarray) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    model, fold = experiment.factory.with_params(params), experiment.folds[0]
    labels = {"stress": experiment.table.stress[rows], "identity": fold.identity[rows]}
    dtype = next(model.parameters()).dtype
    with torch.inference_mode():
        said = model.heads(
            model.embed({"features": torch.tensor(fold.features[rows], dtype=dtype)})
        )
        losses = [cross_entropy(said[t.name], torch.tensor(labels[t.name])) for t in model.tasks]
    return float(sum(losses))
