"""What the same net reaches when the windows of all clients are pooled: the ceiling of a run.

    python benchmarks/central_training.py --data stress_predict --data-root DIR --eval random

Same windows, split, scaling, loss and optimiser as `fedaffect simulate`; one "client" holds all
training windows, and a round is an epoch (`fedaffect.reproduce.trial`, as `fedaffect reproduce`
trains its central cell). Prints stress, own-head identity and the strongest fresh attacker.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

from fedaffect.config_sources import resolve
from fedaffect.reproduce.cell import Cell
from fedaffect.reproduce.trial import trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--eval", default="random")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", type=int, default=5, help="train this many, as far as there are")
    parser.add_argument("--lr", default="0.02")
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    a = parser.parse_args()
    torch.set_num_threads(1)
    flags = {"data": a.data, "data_root": a.data_root, "eval": a.eval, "partition": "iid"}
    one = {"clients": 1, "rounds": a.epochs, "lr": a.lr, "engine": "local"}
    config, _ = resolve({**flags, **one}, a.overrides)
    with tempfile.TemporaryDirectory() as folder:
        cell = Cell("central", "central training", config, folds=a.folds)
        figures = trial(cell, "central", Path(folder)).figures
    shown = ("stress_accuracy", "stress_balanced_accuracy", "identity_own_head")
    told = {name: getattr(figures, name).model_dump() for name in (*shown, "identity_strongest")}
    print(json.dumps({"data": a.data, "eval": a.eval, "epochs": a.epochs, **told}, indent=1))


if __name__ == "__main__":
    main()
