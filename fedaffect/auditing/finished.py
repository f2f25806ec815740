"""A finished run, read back from its folder with suspicion and built anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedaffect.build import Experiment, build
from fedaffect.config_sources import resolve
from fedaffect.errors import StorageError
from fedaffect.home import state_home
from fedaffect.record import RoundRecord, RunRecord
from fedaffect.reports.json_file import load_record
from fedaffect.resume import refuse_other_data
from fedaffect.verification import MADE_AGAIN, verify


@dataclass(frozen=True)
class FinishedRun:
    """A run whose files are as they were written.

    Args:
        folder: Its folder.
        record: Its record.
        experiment: What was trained, built anew from its configuration on unchanged data.
        params: Final parameters of the first fold as they were released, (d,) float64.
    """

    folder: Path
    record: RunRecord
    experiment: Experiment
    params: np.ndarray

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.record.provenance.run_id

    @property
    def statement(self) -> dict[str, Any]:
        """The privacy statement."""
        return self.record.privacy

    @property
    def rounds(self) -> tuple[RoundRecord, ...]:
        """The finished rounds of the first fold, whose model is the released one."""
        return tuple(r for r in self.record.rounds if r.fold == 0)


def checked_record(folder: Path) -> RunRecord:
    """Return the record of the run in ``folder``, whose files are as they were written.

    Args:
        folder: The folder that ``fedaffect simulate`` wrote.

    Raises:
        StorageError: E804 its files changed; E820 it is not a finished run; E822 a file of it
            cannot be read.
        PrivacyError: E402, E407, E408 its ledger or statement does not hold.
    """
    for check in verify(folder, state_home(), but=MADE_AGAIN):
        if check.failure is not None:
            raise check.failure
    return load_record(folder)


def finished_run(folder: Path, record: RunRecord, stage: Callable[[str], None]) -> FinishedRun:
    """Build the run in ``folder`` anew and read its model.

    What was trained on a GPU is attacked on the CPU where there is none; then its uploads, whose
    last bits would be others, are not replayed.

    Args:
        folder: Folder of the run.
        record: Its record.
        stage: Told in words what is being done.

    Raises:
        DataError: E370 the data changed; and whatever the data give cause for.
        StorageError: E822 the model is none of this version.
    """
    config, _ = resolve({}, (), folder / "config.toml", {})
    if config.run.device == "cuda":
        config = config.replace({"run.device": "auto"})
    experiment = build(config, stage)
    refuse_other_data(folder, experiment.table.fingerprint)
    return FinishedRun(folder, record, experiment, _model(folder, experiment))


def _model(folder: Path, experiment: Experiment) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path, layout = folder / "model.safetensors", experiment.factory.layout
    try:
        tensors: dict[str, np.ndarray] = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, type(error).__name__) from error
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        raise _unreadable(path, "it is no model that this fedaffect builds")
    return np.concatenate([tensors[name].ravel() for name in layout.names]).astype(np.float64)


def _unreadable(path: Path, why: str) -> StorageError:
    return StorageError(
        "E822",
        f"{path} cannot be read: {why}",
        do="repeat the run, or audit it with the version that wrote it",
    )
