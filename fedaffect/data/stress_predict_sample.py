"""A small data set of simulated people in the layout of Stress-Predict."""

from __future__ import annotations

from pathlib import Path

from fedaffect import require
from fedaffect.data.e4_write import mark_simulated, write_e4_session
from fedaffect.data.stress_predict_labels import COLUMNS, LABEL_FILE
from fedaffect.data.synthetic_person import draw_person
from fedaffect.data.synthetic_signals import BASELINE, STRESS, simulate_session
from fedaffect.rng import generator

_REST_S, _STRESS_S = 75.0, 60.0
_STRESS_RUNS = 3
_FIRST_UNIX = 1_700_000_000
_LABELS_AFTER_S = 9  # the label file starts one second before HR.csv
_RESPIRATION_PER_MIN = 14.0
_README = "# Simulated\n\nSimulated people in the layout of the Stress-Predict data set.\n"


def write_sample(root: Path, seed: int, people: int) -> None:
    """Write S01 (signals only) and ``people`` labelled people, S02 and on, under ``root``.

    Each has eight minutes: three stress runs of 60 s with rest before, between and after them.
    """
    require.integer("people", people, at_least=1, at_most=98)
    mark_simulated(root)
    (root / "README.md").write_text(_README, encoding="utf-8")
    plan = [(BASELINE, _REST_S), (STRESS, _STRESS_S)] * _STRESS_RUNS + [(BASELINE, _REST_S)]
    rows = [",".join(COLUMNS)]
    for number in range(1, people + 2):
        who, start_unix = f"S{number:02d}", _FIRST_UNIX + 86400 * number
        rng = generator(seed, "stress_predict", "sample", number)
        signals, condition = simulate_session(rng, draw_person(seed, number), plan)
        stressed = condition.values[:: round(condition.rate_hz)] == STRESS  # (seconds,)
        edges = [t for t in range(1, len(stressed)) if stressed[t] != stressed[t - 1]]
        rate_bpm = write_e4_session(
            root / "Raw_data" / who,
            signals,
            start_unix,
            tags=[start_unix + t for t in edges],
            tags_name=f"tags_{who}.csv",
        )
        if number == 1:
            continue
        rows += [
            f"{number},{rate:g},{_RESPIRATION_PER_MIN:g},{start_unix + t},{int(stressed[t])}"
            for t, rate in enumerate(rate_bpm, start=_LABELS_AFTER_S)
        ]
    path = root / LABEL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\r\n")
