"""A Ray that is started for a run answers nobody else: its ports are open to the network."""

import os
import subprocess
import sys

import pytest

SESSION = """
import os, sys
from fedaffect.simulations.ray_session import RaySession
session = RaySession(1)
import ray

@ray.remote
def works():
    return "works"

address = ray.get_runtime_context().gcs_address
print(ray.get(works.remote()), address, os.environ["RAY_AUTH_TOKEN"], flush=True)
sys.stdin.readline()
session.close()
"""
INTRUDER = """
import sys
import ray
ray.init(address=sys.argv[1], log_to_driver=False)

@ray.remote
def run():
    return "my code ran"

print(ray.get(run.remote()))
"""


def intrude(address: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Try to run code on the cluster at ``address``."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", INTRUDER, address],
        env=mine | more,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_who_does_not_know_the_token_runs_nothing() -> None:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with subprocess.Popen(
        [sys.executable, "-c", SESSION],
        env=mine,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdin is not None and session.stdout is not None  # pipes
        word, address, token = session.stdout.readline().split()
        assert word == "works"
        outcomes = [
            intrude(address),
            intrude(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * len(token)),
            intrude(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token),
        ]
        session.communicate("done\n", timeout=120)
    for refused in outcomes[:2]:
        assert refused.returncode != 0 and "my code ran" not in refused.stdout
        assert "AuthenticationError" in refused.stderr
    assert "my code ran" in outcomes[2].stdout  # the intruder's program is sound
    assert session.returncode == 0
