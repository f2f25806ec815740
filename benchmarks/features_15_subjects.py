"""Time from recordings to the window table: 15 people with 90 minutes of wrist signals each.

Usage: ``python benchmarks/features_15_subjects.py``. Simulating the people is timed apart.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from fedaffect.data.schema import Recording, Recordings
from fedaffect.data.synthetic_signals import BASELINE, STRESS, draw_person, simulate_session
from fedaffect.data.windows import cut_windows
from fedaffect.rng import generator

PEOPLE, MINUTES, BLOCK_MINUTES = 15, 90, 5


def main() -> None:
    plan = [(BASELINE, BLOCK_MINUTES * 60.0), (STRESS, BLOCK_MINUTES * 60.0)]
    plan *= MINUTES // (2 * BLOCK_MINUTES)
    begin = time.perf_counter()
    people = []
    for index in range(PEOPLE):
        rng = generator(0, "benchmark", index)
        signals, condition = simulate_session(rng, draw_person(0, index), plan)
        people.append(Recording(f"P{index:02d}", "1", signals, condition))
    made = time.perf_counter()
    conditions = {BASELINE: "baseline", STRESS: "stress"}
    meaning: dict[int, int | None] = {BASELINE: 0, STRESS: 1}
    recordings = Recordings("synthetic", tuple(people), conditions, meaning, "", "", True)
    table = cut_windows(recordings)
    cut = time.perf_counter()
    figures = {
        "people": PEOPLE,
        "minutes_each": MINUTES,
        "windows": len(table),
        "features": len(table.feature_names),
        "simulate_s": round(made - begin, 2),
        "windows_and_features_s": round(cut - made, 2),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
