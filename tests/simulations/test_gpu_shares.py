"""Ray workers with a GPU, or a share of one. Ray is told of GPUs; nothing computes on them."""

from __future__ import annotations

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import ray
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import RAGGED, tiny, train_over

from fedaffect.build import build
from fedaffect.clients.side import client_side
from fedaffect.errors import UsageError
from fedaffect.simulations.local import LocalGrid
from fedaffect.simulations.ray import RayGrid, gpu_share

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@given(st.integers(1, 300), st.integers(1, 16))
def test_every_worker_finds_a_place_and_no_gpu_has_more_than_its_fair_part(
    workers: int, gpus: int
) -> None:
    share = gpu_share(workers, gpus)
    assert share * 10_000 == pytest.approx(round(share * 10_000))  # as Ray counts
    on_one = int(1 / share + 1e-9)
    assert on_one * gpus >= workers
    assert on_one == -(-workers // gpus) or workers / gpus > 100  # where steps of Ray are coarse
    assert share == 1 or workers > gpus


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray of four CPUs that believes in two GPUs."""
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with tempfile.TemporaryDirectory(prefix="fg-") as folder:
        ray.init(
            num_cpus=4,
            num_gpus=2,
            include_dashboard=False,
            object_store_memory=128 * 1024**2,
            _temp_dir=os.path.join(folder, "r"),
            log_to_driver=False,
            logging_level="ERROR",
        )
        yield
        ray.shutdown()
    gc.collect()


def given_gpus(grid: RayGrid) -> list[list[str]]:
    """Return the GPUs that Ray has given to every worker."""
    own = [
        actor.__ray_call__.remote(lambda _: ray.get_runtime_context().get_accelerator_ids()["GPU"])
        for actor in grid._actors.values()
    ]
    return list(ray.get(own, timeout=60))


@pytest.mark.slow
def test_workers_share_gpus_and_train_as_ever(two_gpus: None) -> None:
    config = tiny(RAGGED | {"run.device": "cpu"})
    expected = train_over(LocalGrid("local"), config).params[-1]
    for workers, on_one in ((3, 2), (None, 1)):  # None: one a GPU
        grid = RayGrid("run", workers, device="cuda")
        assert grid.workers == (workers or 2)
        found = train_over(grid, config)
        assert np.array_equal(found.params[-1], expected)
        shared = given_gpus(grid)
        assert all(len(own) == 1 for own in shared)
        assert max(Counter(own[0] for own in shared).values()) == on_one
        grid.close()
    without = RayGrid("run", 1)
    without.place(client_side(build(config)))
    assert given_gpus(without) == [[]]
    without.close()


@pytest.mark.skipif(torch.cuda.is_available(), reason="looks at a machine without a GPU")
def test_a_ray_without_a_gpu_is_refused_and_stopped() -> None:
    with pytest.raises(UsageError, match="Ray knows of no GPU") as caught:
        RayGrid("run", 1, device="cuda")
    assert caught.value.code == "E241"
    assert not ray.is_initialized()
    gc.collect()
