"""The peer pfl: Apple's simulation, one process or several under torchrun.

Usage: ``python -m engines.pfl_simulation WORK``, or the same under ``torch.distributed.run``, in
an environment that has ``pfl`` and PyTorch. Only the first process speaks with the driver; the CPU
seconds are those of all of them.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import torch
from engines.stopwatch import Stopwatch
from engines.work import Work, batch_order, loss_of, network, tensors
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel

from fedaffect.params import read_flat

NEVER = 10**9  # rounds between two evaluations


class TimedRounds(TrainingProcessCallback):
    """Looks at the clock between rounds, which no process of several begins before the word.

    Args:
        model: The network that is trained.
        watch: Told of every round; ``None`` in all processes but the first.
        rounds: Rounds to do.
        workers: Processes that train.
    """

    def __init__(
        self, model: torch.nn.Module, watch: Stopwatch | None, rounds: int, workers: int
    ) -> None:
        self.model, self.watch, self.rounds, self.workers = model, watch, rounds, workers
        self.initial = read_flat(model)
        self.server_round = 0

    def on_train_begin(self, *, model: PyTorchModel) -> Metrics:
        """Begin the first round."""
        self._begin()
        return Metrics()

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: PyTorchModel, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """Report the round that is done and begin the next."""
        if self.watch is not None:
            self.watch.end()
            self.watch.report((read_flat(self.model) - self.initial).numpy())
        if self.server_round < self.rounds:
            self._begin()
        return False, Metrics()

    def _begin(self) -> None:
        self.server_round += 1
        if self.watch is not None:
            self.watch.begin()
        if self.workers > 1:
            torch.distributed.barrier()


def main(work: Work) -> None:
    workers, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    launcher = os.getppid() if workers > 1 else None
    watch = Stopwatch(launcher) if rank == 0 else None
    if watch is None:
        os.dup2(2, 1)  # it shares the pipe to the driver
    torch.set_num_threads(1)
    np.random.seed(work.seed)
    net, data = network(work), tensors(work, range(work.clients))
    net.loss = lambda *batch: loss_of(net, *batch)  # what pfl asks a module for
    net.metrics = lambda *batch: {}
    timed = TimedRounds(net, watch, work.rounds, workers)

    def user(client: int) -> PyTorchTensorDataset:
        order = batch_order(work, client, timed.server_round)
        return PyTorchTensorDataset([column[order] for column in data[client]], user_id=client)

    everyone = list(range(work.clients))
    # in this order, so that each of them is in every round once
    users = FederatedDataset(
        user, get_user_sampler("minimize_reuse", everyone), _loads(work, workers)
    )
    model = PyTorchModel(
        model=net,
        local_optimizer_create=torch.optim.SGD,
        central_optimizer=torch.optim.SGD(net.parameters(), 1.0),
    )
    backend = SimulatedBackend(
        training_data=users, val_data=users, postprocessors=[WeightByDatapoints()]
    )
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=work.rounds,
            evaluation_frequency=NEVER,
            train_cohort_size=work.clients,
            val_cohort_size=0,
        ),
        backend=backend,
        model=model,
        model_train_params=NNTrainHyperParams(
            local_learning_rate=work.lr,
            local_num_epochs=1,
            local_batch_size=work.batch_size,
            local_max_grad_norm=work.max_grad_norm,
        ),
        model_eval_params=NNEvalHyperParams(local_batch_size=work.batch_size),
        callbacks=[timed],
        send_metrics_to_platform=False,  # it would print them
    )
    if workers > 1:
        torch.distributed.barrier()  # nobody hangs up on the others
        torch.distributed.destroy_process_group()


def _loads(work: Work, workers: int) -> dict[Any, int] | None:
    """Return what pfl needs to share clients out evenly; nothing where they are equal.

    It needs that, too, where they do not go into the workers without remainder: its processes
    would each go on from another client in the next round, and not everyone would be in it.
    """
    equal = not work.spread and work.clients % workers == 0
    return None if equal else dict(enumerate(work.sizes))


if __name__ == "__main__":
    main(Work.read(sys.argv[1]))
