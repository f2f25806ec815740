"""Clients on a GPU get the numbers that they get on the CPU; run where there is one (-m gpu)."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import TINY, call
from safetensors.numpy import load_file
from test_one_device import FACTORIES, PLANS, frozen_mask
from test_private_local import PLAN as PRIVATE_PLAN
from test_private_local import noise_of
from test_stacked import PLAN, SIZES, clients
from tiny import RAGGED, tiny, train_over

from fedaffect.clients.client_data import ClientData
from fedaffect.clients.local import Trainer
from fedaffect.clients.private_local import PrivateTrainer
from fedaffect.clients.stacked import StackedTrainer
from fedaffect.device import gpu_name, named, repeatable
from fedaffect.models.factory import ModelFactory
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.privacy.noise import TestNoiseKey
from fedaffect.server.stack_memory import KEPT_TIMES, VECTORS, kept_of_a_window
from fedaffect.server.stacking import stacking_of
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid
from fedaffect.simulations.processes import ProcessGrid
from fedaffect.simulations.ray import RayGrid
from fedaffect.strategies.fedprox import FedProx

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

SETTINGS: dict[str, dict[str, Any]] = {
    "ragged, FedProx, noise at the server, sampling": {
        **RAGGED,
        "federation.clients": 7,
        "federation.fraction": 0.7,
        "federation.strategy": "fedprox",
        "federation.mu": 0.1,
        "dp.mechanism": "gaussian",
        "dp.eps": 50.0,
        "dp.clip": 0.3,
        "dp.unsafe_test_noise": "k",
    },
    "noise at the clients": {
        "dp.mechanism": "gaussian",
        "dp.where": "client",
        "dp.eps": 500.0,
        "dp.unsafe_test_noise": "k",
    },
    "noise in the steps": {
        "dp.mechanism": "gaussian",
        "dp.unit": "window",
        "dp.eps": 500.0,
        "dp.unsafe_test_noise": "k",
    },
    "heads that stay, Adam": {
        **RAGGED,
        "defence.name": "head-local",
        "federation.optimizer": "adam",
        "federation.lr": 0.01,
    },
    "draws of a bottleneck": {**RAGGED, "defence.name": "bottleneck"},
}


def trained(name: str, device: str, stack: str, grid: Any = None) -> Training:
    changes = {**SETTINGS[name], "federation.rounds": 3, "run.device": device, "run.stack": stack}
    return train_over(grid or LocalGrid("gpu"), tiny(changes))


@pytest.mark.parametrize("stack", ["off", "auto"])
@pytest.mark.parametrize("name", SETTINGS)
def test_three_rounds_end_as_on_the_cpu(name: str, stack: str) -> None:
    expected = trained(name, "cpu", "off")
    found = trained(name, "cuda", stack)
    stackable = name != "noise in the steps"
    assert (stacking_of(found.experiment).size > 1) == (stack == "auto" and stackable)
    assert not any(r.rejected for r in found.rounds)
    for ours, theirs in zip(found.params, expected.params, strict=True):
        assert np.abs(ours - theirs).max() < 1e-10
    losses = [(r.loss, e.loss) for r, e in zip(found.rounds, expected.rounds, strict=True)]
    assert all(a == b is None or a == pytest.approx(b, abs=1e-10) for a, b in losses)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stack", ["off", "auto"])
def test_a_gpu_repeats_itself_to_the_last_bit(stack: str, dtype: str) -> None:
    config = tiny({**RAGGED, "run.device": "cuda", "run.stack": stack, "run.dtype": dtype})
    one, other = (train_over(LocalGrid("gpu"), config).params[-1] for _ in range(2))
    assert np.array_equal(one, other)


def test_single_precision_is_single_and_not_less() -> None:
    config = tiny({**RAGGED, "run.dtype": "float32", "federation.rounds": 1})
    there = train_over(LocalGrid("gpu"), config.replace({"run.device": "cuda"}))
    here = train_over(LocalGrid("gpu"), config.replace({"run.device": "cpu"}))
    assert np.abs(there.params[-1] - here.params[-1]).max() < 1e-5


@pytest.mark.parametrize("kind", [ProcessGrid, RayGrid])
def test_two_workers_on_one_gpu_get_the_numbers_of_one(kind: Any) -> None:
    name = "ragged, FedProx, noise at the server, sampling"
    expected = trained(name, "cuda", "3").params[-1]
    grid = ProcessGrid("two", 2) if kind is ProcessGrid else RayGrid("two", 2, None, "cuda")
    try:
        found = trained(name, "cuda", "3", grid).params[-1]
    finally:
        grid.close()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("block", ["", "shared", "task:stress"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("network", FACTORIES)
def test_a_client_is_trained_as_on_the_cpu(network: str, plan: str, block: str) -> None:
    factory, strategy = FACTORIES[network], FedProx(mu=0.3)
    frozen = frozen_mask(factory, *filter(None, [block]))
    start = torch.from_numpy(factory.initial(0))
    expected = Trainer(factory.build(), strategy, PLANS[plan], frozen)
    alone = Trainer(factory.build().to("cuda"), strategy, PLANS[plan], frozen)
    beside = StackedTrainer(factory.build().to("cuda"), strategy, PLANS[plan], frozen)
    with repeatable("cuda"):
        starts = start.expand(len(SIZES), -1)
        updates, losses = beside.train(starts, clients(SIZES), 0, 1)
        for at, data in enumerate(clients(SIZES)):
            update, loss = expected.train(start, data, 0, 1)
            found, found_loss = alone.train(start, data, 0, 1)
            assert found.device.type == updates.device.type == "cpu"
            assert float((found - update).abs().max()) < 1e-10
            assert float((updates[at] - update).abs().max()) < 1e-10
            assert [found_loss, losses[at]] == pytest.approx([loss, loss], abs=1e-10)


def test_noised_steps_are_those_of_the_cpu() -> None:
    factory = FACTORIES["stress_identity_cnn, none"]
    start, (data,) = torch.from_numpy(factory.initial(0)), clients((18,))
    key, found = TestNoiseKey("t"), []
    for device in ("cpu", "cuda"):
        model = factory.build().to(device)
        trainer = PrivateTrainer(model, FedProx(mu=0.3), PRIVATE_PLAN, noise_of(0.4, 1.2))
        own: Any = {"release": 5, "key": key.client(7), "draws": key.draws("a")}
        with repeatable(device):
            found.append(trainer.train(start, data, 1, 2, **own))
    (update, loss), (other, other_loss) = found
    assert float((update - other).abs().max()) < 1e-10
    assert loss == pytest.approx(other_loss, abs=1e-10)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_a_stack_waits_for_the_gpu_only_at_its_ends() -> None:
    """In the steps nothing is looked at: waiting for the GPU is an error there."""
    factory, group = FACTORIES["stress_identity_cnn, none"], clients(SIZES)
    trainer = StackedTrainer(factory.build().to("cuda"), FedProx(mu=0.3), PLAN)
    starts = torch.from_numpy(factory.initial(0)).expand(len(SIZES), -1)
    really = StackedTrainer._gradients

    def gradients(self: StackedTrainer, *given: Any) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return really(self, *given)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    with pytest.MonkeyPatch.context() as patch, repeatable("cuda"):
        patch.setattr(StackedTrainer, "_gradients", gradients)
        updates, _ = trainer.train(starts, group, 0, 1)
    assert float(updates.abs().max()) > 1e-3


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batch", [8, 32])
def test_a_stack_takes_no_more_memory_than_is_counted(batch: int, optimizer: str) -> None:
    options, count = {"n_features": 60, "n_identities": 15}, 200
    factory = ModelFactory(StressIdentityCNN, options, "float32")
    draw = np.random.default_rng(0)
    labels = {"stress": draw.integers(0, 2, 50), "identity": draw.integers(0, 15, 50)}
    one = ClientData(0, draw.normal(size=(50, 60)).astype(np.float32), labels)
    group = [replace(one, client_id=i, labels=copy.copy(labels)) for i in range(count)]
    starts = torch.from_numpy(factory.initial(0)).float().expand(count, -1)
    plan = replace(PLAN, batch_size=batch, local_epochs=1, optimizer=optimizer)
    model = factory.build()
    counted = 4 * VECTORS * factory.layout.size + KEPT_TIMES * batch * kept_of_a_window(model, 60)
    trainer = StackedTrainer(model.to("cuda"), FedProx(mu=0.3), plan)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with repeatable("cuda"):
        trainer.train(starts, group, 0, 1)
    taken = torch.cuda.max_memory_allocated() - before
    assert taken < count * (counted + 50 * (4 * 60 + 3 * 8))


def test_a_plan_and_a_run_on_the_cpu_wake_no_gpu() -> None:
    program = (
        "import torch; from tiny import tiny, train_over; "
        "from fedaffect.outline import outline; from fedaffect.simulations.local import LocalGrid; "
        "outline(tiny({})); train_over(LocalGrid('x'), tiny({'run.device': 'cpu'})); "
        "assert not torch.cuda.is_initialized()"
    )
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=where)


def test_the_command_trains_on_it(tmp_path: Path) -> None:
    words = [*TINY, "--dtype", "float64"]
    models = {}
    for device in ("cpu", "cuda", "auto"):
        said = call(*words, "--device", device, "--json", "--out", tmp_path / device)
        assert said.code == 0, said.err
        told = said.document["provenance"]
        assert told["config"]["run"]["device"] == ("cpu" if device == "cpu" else "cuda")
        assert told["environment"].get("gpu") == (None if device == "cpu" else gpu_name())
        models[device] = load_file(tmp_path / device / "model.safetensors")
    assert gpu_name() in named("cuda")
    assert any(not np.array_equal(models["cuda"][n], models["cpu"][n]) for n in models["cpu"])
    for name, expected in models["cpu"].items():
        assert np.abs(models["cuda"][name] - expected).max() < 1e-10
        assert np.array_equal(models["cuda"][name], models["auto"][name])
