"""How many clients fit into a GPU: what is counted, and that it is not too little."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny import tiny
from torch import nn

from fedaffect import registry
from fedaffect.build import Experiment, build
from fedaffect.models.compact_encoder import CompactEncoder
from fedaffect.models.factory import ModelFactory
from fedaffect.server import stack_memory
from fedaffect.server.stack_memory import KEPT_TIMES, VECTORS, clients_that_fit, kept_of_a_window


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_a_window_leaves_behind(dtype: torch.dtype) -> None:
    """Of two layers with tanh and linear heads: the input, and what either tanh says."""
    network = CompactEncoder(60, 15, hidden=64, width=8).to(dtype)
    assert kept_of_a_window(network, 60) == dtype.itemsize * (60 + 64 + 8)


def test_parameters_are_not_counted_as_a_window_s() -> None:
    wide, narrow = CompactEncoder(60, 15, hidden=640), CompactEncoder(60, 15, hidden=64)
    assert kept_of_a_window(wide, 60) - kept_of_a_window(narrow, 60) == 4 * (640 - 64)


def built(changes: dict[str, Any]) -> Experiment:
    return build(tiny(changes))


def test_more_work_means_fewer_clients() -> None:
    alike = {"data.partition": "iid", "federation.clients": 8}
    order: list[dict[str, Any]] = [
        {"model.name": "compact_encoder", "run.dtype": "float32"},
        {"model.name": "compact_encoder"},
        {"run.dtype": "float32"},
        {},
        {"federation.batch_size": 64, "synthetic.session_s": 900},
    ]
    fit = [clients_that_fit(built({**alike, **changes})) for changes in order]
    assert all(more > fewer for more, fewer in pairwise(fit))
    assert fit[2] > 500  # a round of 1,000 of the paper's network in two programs


def test_it_knows_nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object) -> None:
        raise AssertionError("the memory of a machine was looked at")

    monkeypatch.setattr(torch.cuda, "mem_get_info", look)
    monkeypatch.setattr(torch.cuda, "get_device_properties", look)
    one, other = built({"run.workers": 1}), built({"run.workers": 8, "run.engine": "ray"})
    assert clients_that_fit(one) == clients_that_fit(other)


def test_one_is_always_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_memory, "BUDGET", 1)
    assert clients_that_fit(built({})) == 1


PEAK = r"""
import re, sys
from pathlib import Path
import numpy as np, torch
from fedaffect import registry
from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import TrainPlan
from fedaffect.clients.stacked import StackedTrainer
from fedaffect.models.factory import ModelFactory
from fedaffect.strategies.fedprox import FedProx

name, count, batch, optimizer = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(1)
options = {"n_features": 60, "n_identities": 15}
factory = ModelFactory(registry.resolve("model", name), options, "float32")
draw = np.random.default_rng(0)
clients = [
    ClientData(
        i,
        draw.normal(size=(2 * batch, 60)).astype(np.float32),
        {"stress": draw.integers(0, 2, 2 * batch), "identity": draw.integers(0, 15, 2 * batch)},
    )
    for i in range(count)
]
starts = torch.from_numpy(factory.initial(0)).float().expand(count, -1)
plan = TrainPlan(0, 1, batch, 0.1, 0.9, optimizer, 1.0)
StackedTrainer(factory.build(), FedProx(0.1), plan).train(starts, clients, 0, 1)
# not ru_maxrss: a process inherits that of the one that started it
print(1024 * int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]))
"""


def peak(*words: object) -> int:
    """Return the most bytes that a process had which trained one stack."""
    command = [sys.executable, "-c", PEAK, *map(str, words)]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory as Linux gives it")
@pytest.mark.parametrize(
    ("name", "few", "many"), [("stress_identity_cnn", 40, 120), ("compact_encoder", 400, 1600)]
)
@pytest.mark.parametrize(("batch", "optimizer"), [(2, "adam"), (8, "sgd"), (64, "sgd")])
def test_a_client_takes_no_more_than_is_counted(
    name: str, few: int, many: int, batch: int, optimizer: str
) -> None:
    taken = (peak(name, many, batch, optimizer) - peak(name, few, batch, optimizer)) / (many - few)
    options = {"n_features": 60, "n_identities": 15}
    factory = ModelFactory(registry.resolve("model", name), options, "float32")
    network: nn.Module = factory.build()
    counted = 4 * VECTORS * factory.layout.size
    counted += KEPT_TIMES * batch * kept_of_a_window(network, 60)  # type: ignore[arg-type]
    counted += 2 * batch * (4 * 60 + 3 * 8)
    assert 0.4 * counted < taken < counted
