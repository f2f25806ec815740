"""Ray clusters: one that is not there is reported at once, one that runs is used."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fedaffect.errors import UsageError
from fedaffect.simulations.ray import RayGrid


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "127.0.0.1:99999{}"])
def test_cluster_that_does_not_answer(form: str) -> None:
    address = form.format(closed_port())
    started = time.monotonic()
    with pytest.raises(UsageError, match="does not answer") as caught:
        RayGrid("run", 1, address)
    assert caught.value.code == "E240"
    assert address in caught.value.message
    assert time.monotonic() - started < 20  # Ray alone tried for more than three minutes


def wait_for(port: int) -> None:
    """Return when somebody listens at ``port``, after at most a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.slow
def test_a_cluster_that_runs_gives_the_model_of_engine_local(tmp_path: Path) -> None:
    """The command joins a Ray that somebody else started, and leaves it running."""
    port = closed_port()
    ray_command = [sys.executable, "-m", "ray.scripts.scripts"]
    head = ["start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    environment = {**os.environ, "FEDAFFECT_HOME": str(tmp_path / "home")}
    environment.pop("RAY_ADDRESS", None)
    ray_folder = tempfile.mkdtemp(prefix="fr-")  # so that no other Ray finds this cluster
    cluster = subprocess.Popen(  # --block: ends its own processes, and no other Ray, on SIGTERM
        [*ray_command, *head, "--block", "--disable-usage-stats"],
        env={**environment, "RAY_TMPDIR": ray_folder},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    models = {}
    try:
        wait_for(port)
        joined = ["--ray-address", f"127.0.0.1:{port}"]
        for name, engine in (("ray", joined), ("local", ["--engine", "local"])):
            words = ["--clients", "3", "--rounds", "2", "--dtype", "float64", "--no-reference"]
            out = tmp_path / name
            done = subprocess.run(
                [sys.executable, "-m", "fedaffect", "simulate", *words, *engine, "--out", str(out)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            models[name] = load_file(out / "model.safetensors")
        assert cluster.poll() is None  # left running
    finally:
        cluster.terminate()
        cluster.wait(timeout=30)
        shutil.rmtree(ray_folder, ignore_errors=True)
    for name, tensor in models["local"].items():
        np.testing.assert_allclose(models["ray"][name], tensor, rtol=0, atol=1e-10)
