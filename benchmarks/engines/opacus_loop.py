"""The floor under window-level privacy: a plain loop with Opacus, in one process.

Usage: ``python -m engines.opacus_loop WORK``; ``reference_work.py`` starts it. Every window is in
a step with the same probability, its gradient is clipped, and noise falls on their sum. The draws
are ordinary ones: there is neither a secret key nor an account.
"""

from __future__ import annotations

import sys
import warnings

import torch
from engines.stopwatch import Stopwatch
from engines.work import Tensors, Work, loss_of, network, tensors
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer

from fedaffect.params import read_flat, write_flat


def private_epoch(
    model: GradSampleModule, start: torch.Tensor, data: Tensors, work: Work
) -> torch.Tensor:
    """Train one client with noised steps; return its update (d,)."""
    write_flat(model, start)
    optimizer = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=work.lr),
        noise_multiplier=work.noise,
        max_grad_norm=work.clip,
        expected_batch_size=work.batch_size,
    )
    n = len(data[0])
    rate = min(1.0, work.batch_size / n)
    for _ in range(max(1, round(n / work.batch_size))):
        drawn = torch.rand(n) < rate
        if not drawn.any():  # Opacus takes no empty batch
            continue
        x, stress, identity = (column[drawn] for column in data)
        optimizer.zero_grad()
        loss_of(model, x, stress, identity).backward()
        optimizer.step()
    return read_flat(model) - start


def main(work: Work) -> None:
    watch = Stopwatch()
    warnings.filterwarnings("ignore", module="torch|opacus")
    torch.set_num_threads(1)
    torch.manual_seed(work.seed)
    model = GradSampleModule(network(work))
    data = tensors(work, range(work.clients))
    initial = read_flat(model)
    params = initial.double()
    for _ in range(work.rounds):
        watch.begin()
        start, total = params.float(), torch.zeros_like(params)
        for client in range(work.clients):
            total += private_epoch(model, start, data[client], work)
        params = params + total / work.clients
        watch.end()
        watch.report((params - initial).numpy())


if __name__ == "__main__":
    main(Work.read(sys.argv[1]))
