"""What defences cost in stress and earn against recognising people, without and with DP.

Usage: ``python benchmarks/defences.py --out FILE.json`` on simulated people, or on the recordings
of an extracted Stress-Predict archive with ``--data stress_predict --data-root DIR``. Rows,
settings and seeds are those of ``benchmarks/defences.toml``; every figure is a mean over the seeds
with the mean of its 95 % intervals over people. A row that FILE.json has already, with the same
options and seeds, is not trained again. ``docs/defences.md`` says how to read the table.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from flwr.app import Context, RecordDict

from fedaffect.build import Experiment, build
from fedaffect.clients.account import AccountPlan
from fedaffect.clients.side import client_side
from fedaffect.config import RunConfig
from fedaffect.ledger_anchor import AnchoredBudget
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.private_training import train_privately
from fedaffect.record import Estimate, Figures
from fedaffect.server.app import post, server_app
from fedaffect.server.evaluation import final_figures
from fedaffect.server.training import Training
from fedaffect.simulations.local import LocalGrid

SHOWN = {
    "stress, bal. acc.": "stress_balanced_accuracy",
    "own head": "identity_own_head",
    "strongest attacker": "identity_strongest",
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: What is compared.
        options: Configuration keys with dots, and their values.
        trained: Whether it is trained at all.
    """

    name: str
    options: dict[str, Any]
    trained: bool = True


def trained_figures(config: RunConfig, *, trained: bool = True) -> Figures:
    """Train as ``fedaffect simulate --engine local`` does and return the figures."""
    experiment = build(config)
    if not trained:
        start = experiment.factory.initial(config.run.seed)
        return final_figures(experiment, [start] * len(experiment.folds))
    run_id = f"defences-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        outcome = train_privately(
            experiment,
            run_id,
            Path(folder),
            lambda key, budget, account: _train(experiment, run_id, key, budget, account),
        )
    return final_figures(experiment, outcome.training.params)


def _train(
    experiment: Experiment,
    run_id: str,
    key: SecretNoiseKey | TestNoiseKey | None,
    budget: AnchoredBudget | None,
    account: AccountPlan | None,
) -> Training:
    grid = LocalGrid(run_id)
    grid.place(client_side(experiment, run_id, account))
    training = Training(experiment, run_id, key, budget, evaluate_rounds=False)
    post(grid.run_key, training)
    server_app(grid, Context(1, 1, {}, RecordDict(), {"run-key": grid.run_key}))
    return training


def mean_of(estimates: list[Estimate]) -> dict[str, float | str | None]:
    """Return the mean over seeds of value, interval and chance, and the spread over seeds."""
    values = [e.value for e in estimates if e.value is not None]
    if not values:
        return {"value": None, "note": estimates[0].note}
    ends = [(e.low, e.high) for e in estimates if e.low is not None and e.high is not None]
    return {
        "value": fmean(values),
        "low": fmean(low for low, _ in ends),
        "high": fmean(high for _, high in ends),
        "chance": estimates[0].chance,
        "spread": stdev(values) if len(values) > 1 else None,
    }


def measure(row: Row, common: dict[str, Any], seeds: list[int]) -> dict[str, Any]:
    """Return a row's figures, means over ``seeds``."""
    started, found = time.perf_counter(), []
    for seed in seeds:
        config = RunConfig().replace({**common, **row.options, "run.seed": seed})
        found.append(trained_figures(config, trained=row.trained))
    return {
        **asdict(row),
        "common": _plain(common),
        "seeds": seeds,
        **{key: mean_of([getattr(f, key) for f in found]) for key in SHOWN.values()},
        "raw_features_attack": mean_of([f.raw_features_attack for f in found]),
        "people": {
            "stress": found[0].stress_balanced_accuracy.n_people,
            "identity": found[0].identity_strongest.n_people,
        },
        "seconds": time.perf_counter() - started,
    }


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``options`` as JSON keeps them, without the place of the data on this machine."""
    return {key: value for key, value in options.items() if key != "data.root"}


def kept(row: Row, common: dict[str, Any], seeds: list[int], before: list[dict[str, Any]]) -> Any:
    """Return the figures of ``row`` among those of an earlier call, or ``None``."""
    asked = {**asdict(row), "common": _plain(common), "seeds": seeds}
    return next((b for b in before if all(b.get(k) == v for k, v in asked.items())), None)


def cell(figure: dict[str, Any]) -> str:
    """Write ``70.2 [58.1, 80.3]`` in percent, or why there is no figure."""
    if figure["value"] is None:
        return str(figure["note"])
    low, high = figure["low"] * 100, figure["high"] * 100
    return f"{figure['value'] * 100:.1f} [{low:.1f}, {high:.1f}]"


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table, chance in the last line."""
    lines = [f"| | {' | '.join(SHOWN)} |", "|---" * (1 + len(SHOWN)) + "|"]
    lines += [f"| {r['name']} | {' | '.join(cell(r[k]) for k in SHOWN.values())} |" for r in rows]
    raw = rows[0]["raw_features_attack"]
    lines.append(f"| raw features, no model | n/a | n/a | {cell(raw)} |")
    known = {
        key: [r[key]["chance"] for r in rows if r[key].get("chance")] for key in SHOWN.values()
    }
    chances = (f"{c[0] * 100:.1f}" if c else "n/a" for c in known.values())
    return "\n".join([*lines, f"| chance | {' | '.join(chances)} |"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".toml"))
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--setting", action="append", help="names of the table; default: all")
    parser.add_argument("--rows", action="append", help="names of rows; default: all")
    parser.add_argument("--seeds", type=int, help="how many; default: as in the table")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked = tomllib.loads(given.table.read_text())
    data = {"data.name": given.data, "data.root": given.data_root, "run.engine": "local"}
    seeds = list(range(given.seeds or asked["seeds"]))
    rows = [Row(**row) for row in asked["row"] if not given.rows or row["name"] in given.rows]
    known = given.out and given.out.exists() and json.loads(given.out.read_text())["settings"]
    measured: dict[str, list[dict[str, Any]]] = {}
    for setting in asked["setting"]:
        if given.setting and setting["name"] not in given.setting:
            continue
        common = data | asked["common"] | asked.get(given.data, {}) | setting["options"]
        done = measured.setdefault(setting["name"], [])
        before = (known or {}).get(setting["name"], [])
        for row in rows:
            if row.name not in setting.get("rows", [row.name]):
                continue
            done.append(kept(row, common, seeds, before) or measure(row, common, seeds))
            print(f"{setting['name']}: {row.name} {done[-1]['seconds']:.0f} s", file=sys.stderr)
            if given.out:
                others = [b for b in before if b["name"] not in {d["name"] for d in done}]
                settings = (known or {}) | measured | {setting["name"]: [*done, *others]}
                said = {"data": given.data, "settings": settings}
                given.out.write_text(json.dumps(said, indent=1) + "\n")
        print(
            f"\n{given.data}, {setting['name']}, {len(seeds)} seed(s)\n\n{table(done)}", flush=True
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
