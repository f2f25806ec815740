"""What one client does when every window is protected: DP-SGD from the global model.

Paper: M. Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, Algorithm 1.

Departures from the paper: none. What leaves the client is computed from its noised steps, the
public plan and the global model; the training loss is not noised and stays on the client.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch

from fedaffect import rng
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import ResidentModel, TrainPlan
from fedaffect.clients.loss import per_sample_losses
from fedaffect.models.base import MultitaskModel
from fedaffect.privacy.base import NoiseKey
from fedaffect.privacy.mechanisms.per_sample import LossesOf, PerSampleGradients
from fedaffect.privacy.mechanisms.window_noise import WindowNoise, local_steps, sampling_rate
from fedaffect.privacy.noise import SecretDraws
from fedaffect.strategies.base import Strategy

__all__ = ["PrivateTrainer", "WindowNoise"]
PROBE = 3  # random windows on which per-sample gradients are compared with plain ones


@final
class PrivateTrainer(ResidentModel):
    """Trains one client after another with per-window clipping and noise in every step.

    Args:
        model: The network.
        strategy: What a client minimises; its own term must not depend on data.
        plan: How every client trains; ``batch_size`` is the expected number of windows in a step.
        noise: Clip and noise of a step.
        frozen: Mask of the coordinates that never move, (d,) bool: no gradient, no noise.

    Raises:
        UsageError: E231 a layer of the model has no per-sample gradient.
        PrivacyError: E406 a coordinate would move without noise.
    """

    def __init__(
        self,
        model: MultitaskModel,
        strategy: Strategy,
        plan: TrainPlan,
        noise: WindowNoise,
        frozen: np.ndarray | None = None,
    ) -> None:
        super().__init__(model, strategy, plan, frozen)
        moving = np.ones(len(self.vector), dtype=bool) if frozen is None else ~frozen
        noise.check_covers(moving)
        self.noise = noise
        self.per_sample = PerSampleGradients(model, frozen)
        self._verified = False

    def train(
        self,
        global_params: torch.Tensor,
        data: ClientData,
        fold: int,
        server_round: int,
        *,
        release: int,
        key: NoiseKey,
        draws: SecretDraws,
    ) -> tuple[torch.Tensor, float]:
        """Return the client's update (d,) and its mean training loss, which is not noised.

        Args:
            global_params: Parameters (d,) to start from.
            data: The client's windows.
            fold: Number of the evaluation fold.
            server_round: Number of the round, from 1.
            release: Number of the release in the run, another one in every fold and round.
            key: The client's own noise key.
            draws: The run's secret draws, which choose the windows of a step.

        Raises:
            UsageError: E231 a gradient of the model is not that of one window alone.
        """
        n, batch_size = len(data), self.plan.batch_size
        q = sampling_rate(n, batch_size)
        x, labels = self._tensors(data)
        self._verify(x)
        start = global_params.to(self.device)
        anchors = self._views(start)
        self._begin(start)
        noise_rng = rng.generator(self.plan.seed, "defence", fold, data.client_id, server_round)
        losses = [np.zeros(0)]
        for step in range(local_steps(n, batch_size, self.plan.local_epochs)):
            chosen = draws.windows(fold, server_round, data.client_id, step, n, q)
            at = torch.from_numpy(chosen).to(self.device)
            windows = {"features": x, **labels, **self._noise(noise_rng, x)}
            batch = {name: column[at] for name, column in windows.items()}
            clipped = self.per_sample.clipped_sum(batch, self._losses_of(batch), self.noise.clip)
            noisy = self.noise.noisy(
                clipped.total, key, salt=draws.salt, release=release, step=step
            )
            self.gradient.copy_(torch.from_numpy(noisy / (q * n)))  # the expected batch size
            self._add_own_term(anchors)
            self._move()
            losses.append(clipped.losses)
        seen = np.concatenate(losses)
        return (self.vector - start).cpu(), float(seen.mean()) if len(seen) else 0.0

    def _losses_of(self, batch: dict[str, torch.Tensor]) -> LossesOf:
        return lambda outputs: per_sample_losses(self.model.tasks, outputs, batch)

    def _add_own_term(self, anchors: list[torch.Tensor]) -> None:
        """Add the gradient of the strategy's own term, such as FedProx's: it sees no data."""
        loss = self.vector.new_zeros(()).requires_grad_()
        objective = self.strategy.client_loss(loss, self.params, anchors)
        if objective is not loss:
            slope, *parts = torch.autograd.grad(
                objective, [loss, *self.params], materialize_grads=True
            )
            own = torch.cat([part.reshape(-1) for part in parts])
            self.gradient.mul_(slope).add_(own)

    def _verify(self, x: torch.Tensor) -> None:
        """Compare per-sample gradients with plain ones, once, on random windows shaped as ``x``."""
        if not self._verified:
            draw = torch.Generator().manual_seed(0)
            shape = (PROBE, *x.shape[1:])
            drawn = torch.randn(shape, generator=draw, dtype=self.dtype, device=draw.device)
            probe = drawn.to(self.device)
            self.model.train()
            noise_rng = rng.generator(0, "defence", "probe")
            self.per_sample.verify({"features": probe, **self._noise(noise_rng, probe)})
            self._verified = True
