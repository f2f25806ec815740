"""From an upload back to windows: which windows, trained on, would have given this upload?

Papers: L. Zhu, Z. Liu, S. Han, "Deep Leakage from Gradients", NeurIPS 2019; B. Zhao et al.,
"iDLG", 2020 (the label of a single window from the head's bias); J. Geiping et al., "Inverting
Gradients", NeurIPS 2020 (cosine and total variation; the input of a linear layer is dW / db).

Shapes: B windows, F features, r released coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from fedaffect.defences.base import NOISE
from fedaffect.params import write_flat
from fedaffect.privacy.attacks.evidence import Evidence
from fedaffect.rng import generator

SMOOTH = 1e-4  # weight of total variation
SMALL = 1e-4  # weight of the squared length of features


@dataclass(frozen=True)
class Effort:
    """How hard the attacker tries.

    Args:
        iterations: Steps of Adam from each start.
        restarts: Random starts.
        lr: Learning rate of Adam, in deviations of a feature.
    """

    iterations: int
    restarts: int
    lr: float = 0.1


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Windows that explain an upload best.

    Args:
        features: (B, F) float64.
        labels: Task to labels, (B,).
        cosine: Between their upload and the one that was seen, without clip and noise.
    """

    features: np.ndarray
    labels: dict[str, np.ndarray]
    cosine: float


class LocalTrainingOf:
    """A client's local training, in float64 and differentiable in its windows.

    Args:
        evidence: Network, objective and how clients train.
        start: Parameters (d,) that it starts from.
        steps: Steps, each on all windows.
    """

    def __init__(self, evidence: Evidence, start: np.ndarray, steps: int) -> None:
        self.evidence, self.steps = evidence, steps
        self.model = evidence.factory.build().double()
        write_flat(self.model, torch.as_tensor(start, dtype=torch.float64))
        self.start: dict[str, Tensor] = dict(self.model.named_parameters())
        self.layout = evidence.factory.layout
        self.classes = {t.name: t.n_outputs for t in self.model.tasks if t.kind == "classification"}
        self.released = torch.from_numpy(evidence.mechanism.blocks.released)

    def update(
        self, features: Tensor, labels: Mapping[str, Tensor], noise: Tensor | None
    ) -> Tensor:
        """Return the update (d,) of training on ``features`` (B, F).

        Args:
            features: The windows.
            labels: Task to classes (B,), or to probabilities (B, K).
            noise: Draws (B, H) of a stochastic defence; ``None`` for zeros.
        """
        local, moved = self.evidence.local, self.start
        velocity: dict[str, Tensor] = {}
        batch: dict[str, Any] = {"features": features, **labels}
        if self.model.defence.stochastic:
            batch[NOISE] = torch.zeros_like(self.model.embed(batch)) if noise is None else noise
        for _ in range(self.steps):
            loss = self.evidence.objective(functional_call(self.model, moved, (batch,)), batch)
            parts = torch.autograd.grad(
                loss, list(moved.values()), create_graph=True, materialize_grads=True
            )
            scale: float | Tensor = 1.0
            if local.max_grad_norm is not None:
                length = torch.stack([(p**2).sum() for p in parts]).sum().clamp(min=1e-24).sqrt()
                scale = (local.max_grad_norm / length).clamp(max=1.0)
            velocity = {
                n: local.momentum * velocity[n] + scale * p if velocity else scale * p
                for n, p in zip(moved, parts, strict=True)
            }
            moved = {n: moved[n] - local.lr * velocity[n] for n in moved}
        return torch.cat([(moved[n] - self.start[n]).reshape(-1) for n in moved])

    def expanded(self, seen: np.ndarray) -> dict[str, np.ndarray]:
        """Return the released layers of an upload (r,) by name, in their shapes."""
        blocks = self.evidence.mechanism.blocks
        whole, known = blocks.expand(seen), blocks.mask("noise", "clear")
        shapes = dict(zip(self.layout.names, self.layout.shapes, strict=True))
        slices = self.layout.slices.items()
        return {n: whole[at].reshape(shapes[n]) for n, at in slices if known[at].all()}


def reconstruct(
    training: LocalTrainingOf, seen: np.ndarray, windows: int, effort: Effort, name: str
) -> Reconstruction:
    """Return the windows whose training points where an upload does.

    Starts are random; of one window, also what a linear layer that reads the features says.

    Args:
        training: How the client trained.
        seen: Its upload as a change of parameters, (r,).
        windows: Number B of windows to look for.
        effort: How hard to try.
        name: Name of the random starts.
    """
    e, layers = training.evidence, training.expanded(seen)
    target = torch.from_numpy(seen / max(float(np.linalg.norm(seen)), 1e-300))
    known = _labels_of_one(training, layers) if windows == 1 else {}
    size = e.windows.features.shape[1]
    draw = generator(e.seed, "inversion", name)
    starts = [(x, 0) for x in _read_off(layers, size)] if windows == 1 else []
    starts += [
        (draw.normal(size=(windows, size)), effort.iterations) for _ in range(effort.restarts)
    ]
    found = [_fitted(training, target, start, known, n, effort.lr) for start, n in starts]
    return max(found, key=lambda one: one.cosine)


def _fitted(
    training: LocalTrainingOf,
    target: Tensor,
    start: np.ndarray,
    known: Mapping[str, int],
    iterations: int,
    lr: float,
) -> Reconstruction:
    """Return the best of the windows on the way down from ``start`` (B, F)."""
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    logits = {
        task: torch.zeros(len(start), k, dtype=torch.float64, requires_grad=True)
        for task, k in training.classes.items()
        if task not in known
    }
    adam = torch.optim.Adam([x, *logits.values()], lr=lr)
    calm = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, iterations))
    best = Reconstruction(start, {}, -np.inf)
    for step in range(iterations + 1):
        labels = {task: torch.full((len(start),), y) for task, y in known.items()}
        soft = {task: z.softmax(1) for task, z in logits.items()}
        update = training.update(x, labels | soft, None)[training.released]
        cosine = (update @ target) / update.norm().clamp(min=1e-300)
        reached = float(cosine.detach())
        if reached > best.cosine:
            answers = {t: p.argmax(1) for t, p in soft.items()} | labels
            named = {t: y.numpy().copy() for t, y in answers.items()}
            best = Reconstruction(x.detach().numpy().copy(), named, reached)
        if step < iterations:
            rough = (x[:, 1:] - x[:, :-1]).abs().mean()
            loss = 1 - cosine + SMOOTH * rough + SMALL * (x**2).mean()
            adam.zero_grad()
            loss.backward(inputs=[x, *logits.values()])
            adam.step()
            calm.step()
    return best


def _labels_of_one(training: LocalTrainingOf, layers: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return task to label where the bias of its head was released: only it grows (iDLG)."""
    found = {}
    for task, k in training.classes.items():
        named = training.layout.blocks.get(f"task:{task}", ())
        biases = [n for n in named if n in layers and layers[n].shape == (k,)]
        if biases:
            found[task] = int(layers[biases[-1]].argmax())
    return found


def _read_off(layers: Mapping[str, np.ndarray], size: int) -> list[np.ndarray]:
    """Return dW / db (1, F) of every layer that may read the features directly."""
    found = []
    for name, weight in layers.items():
        bias = layers.get(f"{name.removesuffix('weight')}bias")
        if bias is None or weight.shape != (len(bias), size):
            continue
        unit = int(np.abs(bias).argmax())
        if bias[unit]:
            found.append(weight[unit][None] / bias[unit])
    return found
