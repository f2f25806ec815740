"""What the same net reaches when the windows of all clients are pooled: the ceiling of a run.

    python benchmarks/central_training.py --data stress_predict --data-root DIR --eval random

Same windows, split, scaling, loss and optimiser as `fedaffect simulate`; one "client" holds all
training windows. Prints stress and own-head identity on the test windows, mean over folds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from fedaffect.build import build
from fedaffect.clients.local import ClientData, Trainer
from fedaffect.clients.site import client_side
from fedaffect.config_sources import resolve
from fedaffect.metrics import accuracy, balanced_accuracy
from fedaffect.server.evaluation import infer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--eval", default="random")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", default="0.02")
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    a = parser.parse_args()
    torch.set_num_threads(1)
    flags = {"data": a.data, "data_root": a.data_root, "eval": a.eval, "partition": "iid"}
    config, _ = resolve({**flags, "lr": a.lr}, a.overrides)
    experiment = build(config)
    side, table = client_side(experiment), experiment.table
    rows = []
    for fold in experiment.folds:
        trainer = Trainer(side.factory.build(), side.strategy, side.plan)
        pooled = np.flatnonzero(fold.train)
        labels = {"stress": table.stress[pooled], "identity": fold.identity[pooled]}
        data = ClientData(0, fold.features[pooled], labels)
        params = torch.as_tensor(side.factory.initial(config.run.seed)).to(trainer.dtype)
        for epoch in range(1, a.epochs + 1):
            update, loss = trainer.train(params, data, fold.number, epoch)
            params = params + update
            print(f"fold {fold.number} epoch {epoch}: loss {loss:.3f}", file=sys.stderr)
        out = infer(side.factory.with_params(params.numpy()), fold.features)
        tested, named = fold.stress_test, fold.identity_test
        rows.append(
            {
                "stress_accuracy": accuracy(table.stress[tested], out.stress[tested]),
                "stress_balanced_accuracy": balanced_accuracy(
                    table.stress[tested], out.stress[tested]
                ),
                "identity_own_head": float(np.mean(fold.identity[named] == out.identity[named])),
            }
        )
    means = {k: round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0]}
    print(json.dumps({"data": a.data, "eval": a.eval, "epochs": a.epochs, **means}))


if __name__ == "__main__":
    main()
