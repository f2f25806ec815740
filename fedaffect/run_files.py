"""Every file of a run folder, from the record of the run and what was trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fedaffect import run_folder
from fedaffect.atomic_file import write_json_atomic, write_text_atomic
from fedaffect.build import Experiment
from fedaffect.privacy.statement import statement_metadata
from fedaffect.record import RunRecord
from fedaffect.summary import environment, public_config
from fedaffect.toml_text import to_toml


def write_before(folder: Path, experiment: Experiment) -> None:
    """Write what is known before round 1; what an interrupted run leaves besides its rounds.

    Raises:
        StorageError: E803 the disk refuses.
    """
    write_text_atomic(folder / "config.toml", to_toml(public_config(experiment.config)))
    write_json_atomic(folder / "env.json", environment(experiment.config.run.device))
    write_json_atomic(folder / "data_manifest.json", _manifest(experiment))
    write_json_atomic(folder / "partition.json", _who_holds_what(experiment))


def write_trained(
    folder: Path,
    run_id: str,
    experiment: Experiment,
    params: np.ndarray,
    statement: dict[str, Any],
    ledger_excerpt: list[str],
) -> None:
    """Write the model with its privacy statement, before anything else can fail: it is paid for.

    Args:
        folder: Folder of the run.
        run_id: Name of the run.
        experiment: What was trained.
        params: Final parameters (d,) of the first fold.
        statement: The privacy statement.
        ledger_excerpt: This run's lines of the ledger; none without DP.

    Raises:
        StorageError: E803 the disk refuses.
    """
    write_json_atomic(folder / "privacy.json", statement)
    if ledger_excerpt:
        lines = "".join(line + "\n" for line in ledger_excerpt)
        write_text_atomic(folder / "ledger_excerpt.jsonl", lines)
    run_folder.save_model(
        folder,
        params.astype(experiment.factory.dtype),
        experiment.factory.layout,
        {
            "run_id": run_id,
            "model": str(experiment.config.model.name),
            **statement_metadata(statement),
        },
    )


def write_result(folder: Path, record: RunRecord) -> None:
    """Write what was measured, and the report of it, ``report.html`` last.

    Raises:
        StorageError: E803 the disk refuses.
    """
    from fedaffect.reports.json_file import load_record, write_report

    write_json_atomic(folder / "metrics.json", _metrics(record))
    write_json_atomic(folder / "report.json", record.model_dump(mode="json"))
    write_report(folder, load_record(folder))  # as fedaffect report will, byte by byte


def _metrics(record: RunRecord) -> dict[str, Any]:
    """Return figures without clock times: equal seeds give equal bytes without DP."""
    kept = ("figures", "no_dp", "iid_reference", "public_only")
    return {name: value for name, value in record.model_dump(mode="json").items() if name in kept}


def _manifest(experiment: Experiment) -> dict[str, Any]:
    table = experiment.table
    return {
        "dataset": table.dataset,
        "synthetic": table.synthetic,
        "fingerprint": table.fingerprint,
        "files": [asdict(f) for f in table.files],
        "conditions": {str(code): name for code, name in table.conditions.items()},
        "notes": list(table.notes),
    }


def _who_holds_what(experiment: Experiment) -> list[dict[str, Any]]:
    """Return, for each fold, the windows of every client and of every test set."""
    return [
        {
            "fold": f.number,
            "gap_s": experiment.split.gap_s,
            "clients": [rows.tolist() for rows in f.partition.clients],
            "stress_test": np.flatnonzero(f.stress_test).tolist(),
            "identity_test": np.flatnonzero(f.identity_test).tolist(),
        }
        for f in experiment.folds
    ]
