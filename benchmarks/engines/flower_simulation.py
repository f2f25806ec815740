"""The peer Flower: its stock simulation on Ray, Message API, stock FedAvg, a message a client.

Usage: ``python -m engines.flower_simulation WORKERS WORK``, in an environment that has
``flwr[simulation]`` and PyTorch. Every client gets one CPU: with Flower's default of two, two
cores would train one client at a time.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

import torch
from engines.flower_client import app as client_app
from engines.stopwatch import Stopwatch
from engines.work import Work, network
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from fedaffect.params import read_flat


class TimedFedAvg(FedAvg):
    """Flower's FedAvg, with a look at the clock before and after what it does.

    Args:
        work: What to do.
        watch: Told of every round.
    """

    def __init__(self, work: Work, watch: Stopwatch) -> None:
        everyone = {"min_train_nodes": work.clients, "min_available_nodes": work.clients}
        super().__init__(fraction_train=1.0, fraction_evaluate=0.0, **everyone)
        self.clients, self.watch = work.clients, watch
        self.model = network(work)
        self.initial = read_flat(self.model)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Wait for the word, then do what Flower does."""
        self.watch.begin()
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Do what Flower does, then report.

        Raises:
            RuntimeError: a client did not answer, or with an error.
        """
        heard = list(replies)
        failed = [reply for reply in heard if reply.has_error()]
        if failed or len(heard) != self.clients:
            raise RuntimeError(f"{len(heard)} of {self.clients} replies, {len(failed)} failed")
        arrays, metrics = super().aggregate_train(server_round, heard)
        self.watch.end()
        assert arrays is not None  # everyone has answered
        self.model.load_state_dict(arrays.to_torch_state_dict())
        self.watch.report((read_flat(self.model) - self.initial).numpy())
        return arrays, metrics


def main(workers: int, work: Work) -> None:
    watch = Stopwatch()
    torch.set_num_threads(1)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        strategy = TimedFedAvg(work, watch)
        strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(strategy.model.state_dict()),
            num_rounds=work.rounds,
            train_config=ConfigRecord({"work": work.text}),
        )

    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    run_simulation(
        server_app,
        client_app,
        work.clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": workers, **quiet},
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Work.read(sys.argv[2]))
