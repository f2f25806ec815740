"""Flower's own simulation runs the bundle in ``deploy/app`` to the same model as our engines.

``flwr run`` starts a daemon that outlives it. The test gives the daemon ports and a folder of its
own, so that it meets no other, and ends it by the process id found under that folder's name.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file
from tiny import RAGGED, tiny, train_over

import fedaffect
from fedaffect.run_folder import save_model
from fedaffect.simulations.local import LocalGrid

BUNDLE = Path(__file__).parents[2] / "deploy" / "app"
DP = {"dp.mechanism": "gaussian", "dp.eps": 8, "dp.clip": 0.3, "dp.unsafe_test_noise": "it's"}


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def daemons_of(home: Path) -> list[psutil.Process]:
    """Return the processes that were started with a file under ``home``."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(word.startswith(f"{home}{os.sep}") for word in process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture
def flower(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the environment of a Flower of our own; end its daemon afterwards."""
    home = tmp_path / "flwr"
    home.mkdir()
    http_port, control_port = free_ports(2)
    ray_folder = tempfile.mkdtemp(prefix="fr-")  # not /tmp/ray, where a dead cluster may be named
    yield os.environ | {
        "RAY_TMPDIR": ray_folder,
        "FLWR_HOME": str(home),
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(http_port),
        "FLWR_LOCAL_CONTROL_API_PORT": str(control_port),
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    ours = [p for daemon in daemons_of(home) for p in (daemon, *daemon.children(recursive=True))]
    for process in ours:
        if process.is_running():
            process.terminate()
    _, alive = psutil.wait_procs(ours, timeout=20)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=10)
    shutil.rmtree(ray_folder, ignore_errors=True)


@pytest.mark.conformance
def test_flwr_run_gives_the_model_of_engine_local(flower: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = tiny(RAGGED | DP | {"run.out": str(out)})
    settings = tmp_path / "run.toml"  # `-c 'fedaffect="..."'` could hold no quote of either kind
    settings.write_text(f"fedaffect = {json.dumps(config.model_dump_json())}\n")
    nodes = "num-supernodes=2 client-resources-num-cpus=1"
    command = ["flwr", "run", str(BUNDLE), "--stream", "--run-config", str(settings)]
    done = subprocess.run(
        [*command, "--federation-config", nodes],
        env=flower,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    wait_until = time.monotonic() + 30  # the stream may end before the last file is written
    while not (out / "model.safetensors").exists() and time.monotonic() < wait_until:
        time.sleep(0.2)
    assert (out / "model.safetensors").exists(), said

    training = train_over(LocalGrid("local"), config)
    expected = tmp_path / "expected"
    expected.mkdir()
    save_model(expected, training.params[0], training.experiment.factory.layout, {})
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (out, expected))
    assert list(theirs) == list(ours)
    assert sum(tensor.size for tensor in theirs.values()) == training.params[0].size
    for name, tensor in ours.items():
        assert theirs[name].dtype == np.float64
        np.testing.assert_allclose(theirs[name], tensor, rtol=0, atol=1e-10, err_msg=name)
    rounds = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert [r["rejected"] for r in rounds] == [[], []]
    assert [r["loss"] for r in rounds] == [r.loss for r in training.rounds]
    assert "Federation `@none/default` (2 simulated SuperNodes)" in said


def test_bundle_is_that_of_this_version() -> None:
    bundle = tomllib.loads((BUNDLE / "pyproject.toml").read_text())
    assert bundle["project"]["version"] == fedaffect.__version__
    assert bundle["project"]["dependencies"] == [f"fedaffect=={fedaffect.__version__}"]
    assert "federations" not in bundle["tool"]["flwr"]
    assert bundle["tool"]["flwr"]["app"]["config"] == {"fedaffect": "", "run-key": ""}


def test_bundle_names_the_apps_and_holds_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import import_module

    from fedaffect.clients.app import client_app
    from fedaffect.server.app import server_app

    monkeypatch.syspath_prepend(BUNDLE)
    components = tomllib.loads((BUNDLE / "pyproject.toml").read_text())["tool"]["flwr"]["app"][
        "components"
    ]
    for component, app in (("serverapp", server_app), ("clientapp", client_app)):
        module, _, name = components[component].partition(":")
        assert getattr(import_module(module), name) is app
    for file in BUNDLE.rglob("*.py"):
        assert not re.search(r"\b(def|class|if|for|while)\b", file.read_text()), file
