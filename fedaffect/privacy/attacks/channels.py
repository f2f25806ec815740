"""Which features of a window come from which sensor channel."""

from __future__ import annotations

import numpy as np

from fedaffect.privacy.attacks.evidence import Windows

ALL = "all features"


def channels_of(windows: Windows) -> dict[str, np.ndarray]:
    """Return channel to its columns, ascending; one channel where features have no names."""
    names = [name.rpartition("/")[0] for name in windows.feature_names]
    if not all(names) or not names:
        return {ALL: np.arange(windows.features.shape[1])}
    return {name: np.flatnonzero(np.array(names) == name) for name in dict.fromkeys(names)}
