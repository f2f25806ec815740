"""Weights and levels of public windows against loops over people."""

import numpy as np
from people import few_people

from fedaffect.pretraining.windows import PublicWindows, scaled_features


def test_every_person_and_both_classes_count_the_same() -> None:
    table = few_people()
    everyone = np.ones(len(table), dtype=bool)
    public = PublicWindows.of(table, scaled_features(table, "public"), everyone)
    weight = public.weight.numpy()
    sums = [
        weight[(table.subject == p) & (table.stress == k)].sum() for p in range(8) for k in (0, 1)
    ]
    np.testing.assert_allclose(sums, len(table) / 16, rtol=1e-4)


def test_levels_balance_stress_and_no_stress() -> None:
    table = few_people()
    rows = table.subject >= 3
    scaled = scaled_features(table, "public")
    public = PublicWindows.of(table, scaled, rows)
    assert public.people == 5
    for number, person in enumerate(range(3, 8)):
        own = [scaled[(table.subject == person) & (table.stress == k)].mean(0) for k in (0, 1)]
        np.testing.assert_allclose(public.levels[number], (own[0] + own[1]) / 2, atol=1e-5)


def test_own_scaling_needs_nobody_else() -> None:
    table = few_people()
    scaled = scaled_features(table, "subject")
    for person in range(8):
        own = table.features[table.subject == person].astype(np.float64)
        z = (own - own.mean(axis=0)) / own.std(axis=0)
        np.testing.assert_allclose(
            scaled[table.subject == person], np.clip(z, -10, 10), atol=1e-3, rtol=1e-4
        )


def test_own_constants_are_of_the_windows_that_were_seen() -> None:
    table = few_people()
    seen = table.recording % 2 == 0  # the first of two sessions
    scaled = scaled_features(table, "subject", seen)
    for person in range(8):
        own = table.subject == person
        x = table.features[own].astype(np.float64)
        known = table.features[own & seen].astype(np.float64)
        z = np.clip((x - known.mean(axis=0)) / known.std(axis=0), -10, 10)
        np.testing.assert_allclose(scaled[own], z, atol=1e-3, rtol=1e-4)
