"""Which blocks of time of one person are held out, and how much is kept free around them.

A block is a run of one condition within one recording (``partition.blocks``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fedaffect.data.partition.blocks import condition_runs
from fedaffect.data.schema import WindowTable

TAIL = 0.3  # share of a block that is held out where a block has to be cut
LEAST = 0.1  # share of a class that its last block must hold to be a test of its own
TOUCH_S = 1e-6  # windows that overlap by less than this only touch

HeldOut = tuple[np.ndarray, float]  # window indices of one block in time order, gap in seconds


def near(table: WindowTable, held_out: list[HeldOut]) -> np.ndarray:
    """Return which windows are held out, or closer to a held-out block than its gap, (N,) bool."""
    found = np.zeros(len(table), dtype=bool)
    for block, gap_s in held_out:
        from_s = table.start_s[block[0]] - gap_s + TOUCH_S
        to_s = table.start_s[block[-1]] + table.window_s + gap_s - TOUCH_S
        found |= (
            (table.recording == table.recording[block[0]])
            & (table.start_s < to_s)
            & (table.start_s + table.window_s > from_s)
        )
    return found


def hold_out_of(table: WindowTable, person: int, gap_s: float) -> list[HeldOut]:
    """Hold out blocks of one person by the first rule that leaves every class in training.

    The rules: the last session; the last block of each stress class; the end of each block. The
    last rule is taken even where it loses a class; it always leaves the first window of every
    recording. Nothing is held out where every block is shorter than about three windows.

    Args:
        table: Windows of all people.
        person: Index of the person.
        gap_s: Time to keep free around held-out blocks. Where a block is cut: at most a sixth of
            the block. Always at least one window.
    """
    mine = table.subject == person
    blocks = condition_runs(table, mine)
    for rule in _RULES:
        held_out = rule(table, blocks, gap_s)
        kept = mine & ~near(table, held_out)
        if held_out and np.array_equal(
            np.unique(table.stress[kept]), np.unique(table.stress[mine])
        ):
            return held_out
    return held_out


def _last_session(table: WindowTable, blocks: list[np.ndarray], gap_s: float) -> list[HeldOut]:
    sessions = [int(table.recording[block[0]]) for block in blocks]
    if len(set(sessions)) < 2:
        return []
    gap = max(table.window_s, gap_s)
    return [
        (b, gap) for b, session in zip(blocks, sessions, strict=True) if session == sessions[-1]
    ]


def _last_block_of_each_class(
    table: WindowTable, blocks: list[np.ndarray], gap_s: float
) -> list[HeldOut]:
    of_class: dict[int, list[np.ndarray]] = {}
    for block in blocks:
        of_class.setdefault(int(table.stress[block[0]]), []).append(block)
    gap = max(table.window_s, gap_s)
    for same in of_class.values():
        if len(same) < 2 or len(same[-1]) < LEAST * sum(len(block) for block in same):
            return []
    return [(same[-1], gap) for same in of_class.values()]


def _end_of_each_block(table: WindowTable, blocks: list[np.ndarray], gap_s: float) -> list[HeldOut]:
    held_out: list[HeldOut] = []
    for block in blocks:
        start_s = table.start_s[block]
        length_s = float(start_s[-1] - start_s[0]) + table.window_s
        tail = block[start_s >= start_s[0] + (1 - TAIL) * length_s - TOUCH_S]
        if len(tail):
            held_out.append((tail, max(table.window_s, min(gap_s, length_s / 6))))
    return held_out


_RULES: tuple[Callable[[WindowTable, list[np.ndarray], float], list[HeldOut]], ...] = (
    _last_session,
    _last_block_of_each_class,
    _end_of_each_block,
)
