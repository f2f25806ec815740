"""Whether training leaked into the test: the checks of a split, from what the record says."""

from __future__ import annotations

from fedaffect.record import RunRecord
from fedaffect.reports.formats import count, number, plural

CHECK_COLUMNS = ("Check", "Result", "Why")
_FEWEST = 10  # people whose bootstrap interval is worth much


def split_checks(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return check, ``pass`` or ``warn``, and the reason, for data and split of a run."""
    data, split = record.data, record.data.split
    gap = split.smallest_gap_s
    checks = [
        (
            "No window of the test shares seconds of signal with training",
            not split.leaks_overlap,
            "windows overlap across the split"
            if split.leaks_overlap
            else "windows are kept apart by time or by person",
        ),
        (
            "A window's length lies between training and test",
            gap is not None and gap >= data.window_s,
            "no gap"
            if gap is None
            else f"smallest gap {number(gap)} s, windows of {number(data.window_s)} s",
        ),
        (
            "Stress is tested on people who were not trained on",
            split.people_unseen > 0,
            f"{plural(split.people_unseen, 'person', 'people')} held out"
            if split.people_unseen
            else "every tested person was seen in training, at other times",
        ),
        (
            "Scaling learns nothing from the test",
            not data.normalisation.startswith("subject"),
            "each tested person's own unlabelled windows set the scale (a calibrated protocol)"
            if data.normalisation.startswith("subject")
            else "constants, or training people only",
        ),
        (
            f"At least {_FEWEST} people in every test",
            _fewest(record) >= _FEWEST,
            f"{plural(_fewest(record), 'person', 'people')} in the smaller test",
        ),
        (
            "Test windows exist for both tasks",
            min(split.windows_stress_test, split.windows_identity_test) > 0,
            f"{count(split.windows_stress_test)} for stress, "
            f"{count(split.windows_identity_test)} for identity",
        ),
    ]
    return [(what, "pass" if holds else "warn", why) for what, holds, why in checks]


def _fewest(record: RunRecord) -> int:
    figures = record.figures
    return min(figures.stress_balanced_accuracy.n_people, figures.identity_strongest.n_people)
