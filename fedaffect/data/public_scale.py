"""Fixed centre and scale of every feature, built from simulated people only.

Scaling with these constants computes nothing from private data, so that a privacy statement about
training covers it. ``python -m fedaffect.data.public_scale`` builds ``public_scale.json`` again:
centre is the median, scale the interquartile range / 1.349 (the standard deviation, for Gaussian
values) over windows of simulated people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fedaffect.data.schema import Recording, Recordings, WindowTable
from fedaffect.data.synthetic import CONDITIONS, STRESS_OF, Synthetic, draw_conditions
from fedaffect.data.synthetic_chest import simulate_chest
from fedaffect.data.synthetic_person import draw_person
from fedaffect.data.windows import cut_windows
from fedaffect.errors import DataError
from fedaffect.rng import generator

PEOPLE = 64
SEED = 1_000_003  # a population that no default run uses
CHEST_S = 120.0
_FILE = "public_scale.json"
_ABOUT = (
    "Centre (median) and scale (interquartile range / 1.349) of each feature over simulated people."
    " Wrist: windows of 700/64 s; chest: windows of 1 s."
    " No real person's data. Built by: python -m fedaffect.data.public_scale"
)


@cache
def public_scale() -> Mapping[str, tuple[float, float]]:
    """Return feature name to (centre, scale), as shipped with the package."""
    text = resources.files("fedaffect.data").joinpath(_FILE).read_text(encoding="utf-8")
    return MappingProxyType(
        {k: (float(c), float(s)) for k, (c, s) in json.loads(text)["scale"].items()}
    )


def public_columns(feature_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the public centre and scale of the named features, each (F,).

    Raises:
        DataError: E335 a feature has no public scale.
    """
    scale = public_scale()
    if unknown := [name for name in feature_names if name not in scale]:
        raise DataError(
            "E335",
            f"no public scale for {', '.join(unknown[:3])} ({len(unknown)} features)",
            do="choose data.normalise global, subject or none",
        )
    columns = np.array([scale[name] for name in feature_names], dtype=np.float64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def build_public_scale(people: int = PEOPLE) -> dict[str, tuple[float, float]]:
    """Simulate ``people`` persons and return feature name to (centre, scale), six digits each."""
    wrist = cut_windows(Synthetic(people=people, seed=SEED).load(), modality="wrist")
    chest = cut_windows(_chest_recordings(people), modality="chest")
    return {**_scale(wrist), **_scale(chest)}


def _scale(table: WindowTable) -> dict[str, tuple[float, float]]:
    low, centre, high = np.percentile(table.features.astype(np.float64), [25, 50, 75], axis=0)
    width = (high - low) / 1.349
    spread = table.features.std(axis=0, dtype=np.float64)
    width = np.where(width > 0, width, np.where(spread > 0, spread, 1.0))
    return {
        name: (float(f"{c:.6g}"), float(f"{w:.6g}"))
        for name, c, w in zip(table.feature_names, centre, width, strict=True)
    }


def _chest_recordings(people: int) -> Recordings:
    recordings = []
    for index in range(people):
        rng = generator(SEED, "public scale", "chest", index)
        plan = draw_conditions(rng, CHEST_S)
        signals, condition = simulate_chest(rng, draw_person(SEED, index), plan)
        recordings.append(Recording(f"P{index + 1:04d}", "001", signals, condition))
    return Recordings("synthetic", tuple(recordings), CONDITIONS, STRESS_OF, "", "", synthetic=True)


def write_public_scale(path: Path) -> None:
    """Build the constants and write them to ``path`` as JSON, one feature a line."""
    lines = [f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in build_public_scale().items()]
    body = ",\n".join(lines)
    text = f'{{\n  "about": {json.dumps(_ABOUT)},\n  "scale": {{\n{body}\n  }}\n}}\n'
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_public_scale(Path(__file__).with_name(_FILE))
