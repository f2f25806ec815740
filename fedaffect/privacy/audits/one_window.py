"""How far one window of a client moves what leaves it, by training the client with another one.

Shapes: m windows of the client, r released coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.privacy.clipping import vector_norm
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.privacy.mechanisms.paper import PaperMode
from fedaffect.rng import generator

Labels = Mapping[str, np.ndarray]
ContributionOf = Callable[[np.ndarray, Labels], tuple[np.ndarray, float]]


@dataclass(frozen=True)
class Change:
    """What one replaced window did.

    Args:
        name: How the window was replaced.
        before: Clipped contribution of the client, (r,).
        after: The same with one window replaced, (r,).
        size: Distance of the two on the noised coordinates, in the norm of the claim.
        length: Norm of the client's update before it was clipped.
        windows: Number m of windows that the client trained on.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    size: float
    length: float
    windows: int


@dataclass(frozen=True)
class Sensitivity:
    """How far one window may move a contribution.

    Args:
        claimed: What is claimed.
        true: What the clip bounds.
        formula: The claim in symbols.
        norm: Norm of both.
    """

    claimed: float
    true: float
    formula: str
    norm: str


def sensitivity_of(mechanism: NoisedSum) -> Sensitivity:
    """Return the sensitivity that the noise of ``mechanism`` was sized for, for one window.

    A window that is replaced replaces, at most, its client's whole contribution; a promise for
    clients that are left out covers that twice.
    """
    groups, spec = mechanism.groups, mechanism.spec
    if isinstance(mechanism, PaperMode):
        bound = spec.clip.bound
        return Sensitivity(2 * bound / spec.records, 2 * bound, "2C / |D_i|", "l2")
    moved = [2 * g.sensitivity / spec.reach for g in groups]
    if mechanism.noise == "laplace":
        return Sensitivity(sum(moved), sum(moved), "2C", "l1")
    reach = float(np.hypot.reduce(moved))
    return Sensitivity(reach, reach, "2C", "l2")


def cannot_replace(evidence: Evidence) -> str:
    """Return why no window of a client can be replaced; empty where one can."""
    w = evidence.windows
    held = w.train & (w.client >= 0)
    if not held.any():
        return "no client holds a training window"
    return "" if len(np.unique(w.client[held])) > 1 else "there is no window outside the one client"


def changes(evidence: Evidence, mechanism: NoisedSum, natural: int, seed: int) -> list[Change]:
    """Return what ``natural`` ordinary windows and one outlier did in the place of another.

    The client is the one with the most windows. The outlier is the window farthest from the mean
    of all, with every label wrong.

    Args:
        evidence: The run; its trainer and the broadcast of round 1 are used.
        mechanism: The calibrated mechanism.
        natural: Number of ordinary replacements.
        seed: Seed of the choice, and of the order of the windows.
    """
    w = evidence.windows
    members = w.client[w.train]
    client = np.argmax(np.bincount(members[members >= 0]))
    rows = np.flatnonzero(w.train & (w.client == client))  # (m,)
    contribution_of = (_step if mechanism.noise_at == "steps" else _round)(
        evidence, mechanism, seed
    )
    if mechanism.noise_at == "steps":
        rows = rows[: evidence.local.batch_size]
    before, length = contribution_of(rows, {})
    norm, noised = sensitivity_of(mechanism).norm, _noised(mechanism)
    found = []
    for name, other, labels in _replaced(evidence, rows, natural, seed):
        after, _ = contribution_of(other, labels)
        size = vector_norm((after - before)[noised], "l1" if norm == "l1" else "l2")
        found.append(Change(name, before, after, size, length, len(rows)))
    return found


def _round(evidence: Evidence, mechanism: NoisedSum, seed: int) -> ContributionOf:
    """Return how a client's windows become its clipped contribution of a round."""

    def contribution(rows: np.ndarray, labels: Labels) -> tuple[np.ndarray, float]:
        update = evidence.trainer.update(evidence.initial, rows, seed % 2**31, labels)
        released = update[mechanism.blocks.released].astype(np.float64)
        return mechanism.on_client(update, evidence.initial), vector_norm(released, "l2")

    return contribution


def _step(evidence: Evidence, mechanism: NoisedSum, seed: int) -> ContributionOf:
    """Return how the windows of a step become its sum of clipped gradients."""
    import torch

    from fedaffect.privacy.mechanisms.per_sample import PerSampleGradients

    w, clip = evidence.windows, mechanism.groups[0].clip
    model = evidence.factory.with_params(evidence.initial)
    gradients = PerSampleGradients(model, mechanism.blocks.frozen)
    dtype = next(model.parameters()).dtype

    def contribution(rows: np.ndarray, labels: Labels) -> tuple[np.ndarray, float]:
        own = {"stress": w.stress[rows], "identity": w.identity[rows]} | dict(labels)
        batch = {task: torch.as_tensor(y) for task, y in own.items()}
        batch["features"] = torch.tensor(w.features[rows], dtype=dtype)

        def losses_of(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
            one_by_one = (
                evidence.objective(
                    {task: y[i : i + 1] for task, y in outputs.items()},
                    {name: x[i : i + 1] for name, x in batch.items()},
                )
                for i in range(len(rows))
            )
            return torch.stack(list(one_by_one))

        total = gradients.clipped_sum(batch, losses_of, clip).total[mechanism.blocks.released]
        return total, vector_norm(total, "l2")

    return contribution


def _replaced(
    evidence: Evidence, rows: np.ndarray, natural: int, seed: int
) -> Iterator[tuple[str, np.ndarray, Labels]]:
    """Yield a name, the windows with one replaced, and their labels where they are not true."""
    w, draws = evidence.windows, generator(seed, "replacement")
    others = np.setdiff1d(np.flatnonzero(w.train), rows)
    for number in range(natural):
        other = rows.copy()
        other[draws.integers(len(rows))] = draws.choice(others)
        yield f"another window ({number + 1})", other, {}
    distance = np.linalg.norm(w.features - w.features.mean(axis=0), axis=1)
    other, at = rows.copy(), int(draws.integers(len(rows)))
    other[at] = others[np.argmax(distance[others])]
    labels = {"stress": w.stress[other].copy(), "identity": w.identity[other].copy()}
    labels["stress"][at] = 1 - labels["stress"][at]
    labels["identity"][at] = (labels["identity"][at] + 1) % (w.identity.max() + 1)
    yield "an outlier", other, labels


def _noised(mechanism: NoisedSum) -> np.ndarray:
    """Return the places of the noised coordinates."""
    noised = [mechanism.blocks.place(b) for group in mechanism.groups for b in group.blocks]
    return np.sort(np.concatenate(noised))
