"""Noise on a model's identity head breaks the head and hides nobody.

A model is trained without noise. Then noise is added to its identity head before it is "released".
The head's own accuracy, which papers report as privacy, falls to chance; an attacker who trains a
fresh classifier on the shared embedding does not see the head and finds people as before.

    python examples/head_noise.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import fedaffect
from fedaffect.build import build
from fedaffect.server.evaluation import final_figures

NOISE_SDS = (0.0, 0.1, 0.3, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    config = fedaffect.RunConfig().replace(
        {
            "synthetic.people": given.people,
            "federation.clients": given.people,
            "federation.rounds": given.rounds,
            "data.partition": "iid",  # with one person a client the head never learns who is who
            "data.eval": "blocks",
            "run.engine": "local",
            "run.reference": False,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        fedaffect.simulate(config.replace({"run.out": Path(folder) / "run"}))
        tensors = load_file(Path(folder) / "run" / "model.safetensors")

    experiment = build(config)
    layout = experiment.factory.layout
    released = np.concatenate([tensors[name].ravel() for name in layout.names])  # (d,)
    head = layout.indices("task:identity")
    noise = np.random.default_rng(0).standard_normal(len(head))

    print(f"{given.people} simulated people, chance {1 / given.people:.1%}")
    print("noise sd on the identity head   own head   fresh attacker   stress")
    for sd in NOISE_SDS:
        noisy = released.astype(np.float64)
        noisy[head] += sd * noise
        figures = final_figures(experiment, [noisy])
        print(
            f"{sd:29}   {figures.identity_own_head.value:8.1%}"
            f"   {figures.identity_strongest.value:14.1%}"
            f"   {figures.stress_balanced_accuracy.value:6.1%}"
        )


if __name__ == "__main__":
    main()
