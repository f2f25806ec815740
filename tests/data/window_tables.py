"""Small window tables for tests, built from a list of blocks."""

from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st

from fedaffect.data.schema import WindowTable

STRESS_OF = {10: 0, 11: 1, 12: 0}

# subject, session, condition, start of the first window in s, number of windows
Block = tuple[int, int, int, float, int]


def table_of(
    blocks: Iterable[Block],
    window_s: float = 60.0,
    step_s: float = 30.0,
    shuffle: int | None = None,
) -> WindowTable:
    """Return the table of ``blocks``; ``shuffle`` permutes its rows."""
    blocks = list(blocks)
    sessions = sorted({(subject, session) for subject, session, *_ in blocks})
    rows = np.array(
        [
            (subject, sessions.index((subject, session)), condition, start_s + i * step_s)
            for subject, session, condition, start_s, count in blocks
            for i in range(count)
        ]
    )
    if shuffle is not None:
        rows = rows[np.random.default_rng(shuffle).permutation(len(rows))]
    condition = rows[:, 2].astype(np.int64)
    return WindowTable(
        dataset="toy",
        features=np.zeros((len(rows), 2), np.float32),
        stress=np.array([STRESS_OF[c] for c in condition]),
        subject=rows[:, 0].astype(np.int64),
        recording=rows[:, 1].astype(np.int64),
        condition=condition,
        start_s=rows[:, 3],
        window_s=window_s,
        subjects=tuple(f"P{i}" for i in range(int(rows[:, 0].max()) + 1)),
        feature_names=("a/mean", "a/std"),
        conditions={10: "rest", 11: "stress", 12: "fun"},
        licence="none",
        citation="none",
        synthetic=True,
        fingerprint="0",
    )


def people(
    count: int, conditions: tuple[int, ...] = (10, 11, 10, 11), windows: int = 40, sessions: int = 1
) -> WindowTable:
    """Return ``count`` alike people; blocks follow each other after 30 s."""
    length_s = 30.0 * windows + 60.0
    return table_of(
        (subject, session, condition, i * length_s, windows)
        for subject in range(count)
        for session in range(sessions)
        for i, condition in enumerate(conditions)
    )


@st.composite
def tables(draw: st.DrawFn) -> WindowTable:
    """Draw tables of 2 to 5 people with irregular sessions, blocks, pauses and overlaps."""
    window_s = draw(st.sampled_from([5.0, 60.0]))
    step_s = window_s * draw(st.sampled_from([0.1, 0.25, 0.5, 1.0]))
    blocks: list[Block] = []
    for subject in range(draw(st.integers(2, 5))):
        for session in range(draw(st.integers(1, 3))):
            at_s = draw(st.floats(0, 100))
            for _ in range(draw(st.integers(1, 5))):
                condition = draw(st.sampled_from([10, 11, 12]))
                count = draw(st.integers(1, 30))
                blocks.append((subject, session, condition, at_s, count))
                at_s += (count - 1) * step_s + window_s + draw(st.floats(0, 200))
    return table_of(blocks, window_s, step_s, shuffle=draw(st.integers(0, 9)))


def share_samples(table: WindowTable, a: np.ndarray, b: np.ndarray) -> bool:
    """Slow oracle: whether any window of mask ``a`` overlaps one of mask ``b``, pair by pair."""
    for i in np.flatnonzero(a):
        for j in np.flatnonzero(b):
            if table.recording[i] == table.recording[j]:
                later = max(table.start_s[i], table.start_s[j])
                sooner = min(table.start_s[i], table.start_s[j]) + table.window_s
                if sooner - later > 1e-3:
                    return True
    return False


def least_distance_s(table: WindowTable, a: np.ndarray, b: np.ndarray) -> float:
    """Slow oracle: least free time between windows of both masks in one recording."""
    i, j = np.flatnonzero(a)[:, None], np.flatnonzero(b)[None, :]
    free = np.abs(table.start_s[i] - table.start_s[j]) - table.window_s
    free = np.where(table.recording[i] == table.recording[j], free, np.inf)
    return float(free.min(initial=np.inf))
