"""What was chosen as a configuration that ``fedaffect simulate --config`` takes."""

from __future__ import annotations

from typing import Any

from fedaffect.record import Estimate
from fedaffect.toml_text import to_toml
from fedaffect.tuning.record import TuningRecord


def settings_of(record: TuningRecord) -> dict[str, Any]:
    """Return the chosen settings as tables of a configuration."""
    best = record.chosen
    return {
        "model": {
            "backbone": record.backbone,
            "backbone_sha256": record.backbone_sha256,
            "release": best.release,
        },
        "federation": {
            "clients": record.clients,
            "rounds": best.rounds,
            "local_epochs": best.local_epochs,
            "batch_size": record.batch_size,
            "lr": best.lr,
            "class_weights": record.class_weights,
        },
        "dp": {
            "mechanism": "gaussian",
            "eps": record.eps,
            "delta": record.delta,
            "clip": best.clip,
        },
    }


def settings_toml(record: TuningRecord) -> str:
    """Return the chosen settings as TOML, headed by what they were chosen on."""
    heading = [
        f"Chosen by fedaffect dp tune (fedaffect {record.version}) on public people, seed "
        f"{record.seed}:",
        *(cohort.title for cohort in record.cohorts),
        f"Stress on people who did not train, balanced accuracy: {in_words(record.chosen.stress)}",
        f"The backbone as it is: {in_words(record.public_only)}",
        *record.notes,
    ]
    comment = "".join(f"# {line}\n" for line in heading)
    return comment + "\n" + to_toml(settings_of(record))


def in_words(figure: Estimate) -> str:
    """Return a figure in percent with its interval over people and its chance level."""
    if figure.value is None or figure.low is None or figure.high is None:
        return f"n/a ({figure.note})"
    chance = "" if figure.chance is None else f", chance {100 * figure.chance:.0f}"
    return (
        f"{100 * figure.value:.1f} [{100 * figure.low:.1f}, {100 * figure.high:.1f}] over "
        f"{figure.n_people} people{chance}"
    )
