"""Runs of windows in time: what may be held out or dealt out as a whole.

Neighbouring windows overlap, so single windows are never separated: data are cut into runs of
one condition within one recording, and runs into pieces of consecutive windows.
"""

from __future__ import annotations

import numpy as np

from fedaffect.data.schema import WindowTable

WINDOWS_PER_PIECE = 10
_FEWEST_WINDOWS_PER_PIECE = 3
_PIECES_PER_CLIENT = 4
_LARGEST_STEP = 1.5  # windows; a larger step in time ends a run


def condition_runs(table: WindowTable, mask: np.ndarray | None = None) -> list[np.ndarray]:
    """Return the maximal runs of one condition within one recording, in time order.

    A run also ends where the next window starts more than one and a half windows later: the
    person did something else in between, or the signal was lost.

    Args:
        table: Windows, N of them.
        mask: Which windows count, (N,) bool; all by default.

    Returns:
        Window indices of each run, ascending in time; every window of ``mask`` in exactly one.
    """
    chosen = np.arange(len(table)) if mask is None else np.flatnonzero(mask)
    if not len(chosen):
        return []
    order = chosen[np.lexsort((table.start_s[chosen], table.recording[chosen]))]
    step_s = np.diff(table.start_s[order])
    ends = (
        (np.diff(table.recording[order]) != 0)
        | (np.diff(table.condition[order]) != 0)
        | (np.diff(table.stress[order]) != 0)
        | (step_s > _LARGEST_STEP * table.window_s)
    )
    return np.split(order, np.flatnonzero(ends) + 1)


def windows_per_piece(windows: int, clients: int) -> int:
    """Return the length of a piece: about ten windows, fewer where every client would get few."""
    fitting = windows // (_PIECES_PER_CLIENT * clients)
    return int(np.clip(fitting, _FEWEST_WINDOWS_PER_PIECE, WINDOWS_PER_PIECE))


def pieces(table: WindowTable, mask: np.ndarray, length: int) -> list[np.ndarray]:
    """Cut the windows of ``mask`` into pieces of about ``length`` consecutive windows.

    All windows of a piece come from one person, one recording and one condition.

    Returns:
        Window indices of each piece; every window of ``mask`` in exactly one.
    """
    return [
        piece
        for run in condition_runs(table, mask)
        for piece in np.array_split(run, max(1, round(len(run) / length)))
    ]
