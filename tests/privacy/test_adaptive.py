"""A clip norm that follows the clients: what it costs, and where it goes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from mechanism_cases import KEY, PLAN, SMALL, VECTORS, calibrated, planned, sent
from scipy import stats

from fedaffect.errors import UsageError
from fedaffect.privacy.clipping import clipped_sum
from fedaffect.privacy.mechanisms.adaptive import sum_scale
from fedaffect.privacy.promise import promise_of
from fedaffect.privacy.spec import AdaptiveClip, ClipSpec

ROWS = VECTORS["adaptive_clipping"]
CLIENTS = 100
NORMS = np.random.default_rng(5).lognormal(math.log(10), 0.5, CLIENTS)


def adaptive(start: float = 1.0, plan: Any = PLAN, **options: Any) -> Any:
    names = ("quantile", "rate", "count_noise")
    rule = AdaptiveClip(**{n: options.pop(n) for n in names if n in options})
    return calibrated("gaussian", plan, SMALL, ClipSpec(start, adaptive=rule), **options)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['z']} {r['sigma_b']}")
def test_sum_and_count_together_have_the_multiplier(row: dict[str, Any]) -> None:
    assert sum_scale(row["z"], 2 * row["sigma_b"]) == pytest.approx(row["z_delta"], rel=1e-12)
    ready = adaptive(z=row["z"], count_noise=row["sigma_b"])
    assert ready.groups[0].noise == pytest.approx(row["z_delta"], rel=1e-12)
    assert ready.scale == pytest.approx(row["roundtrip"], rel=1e-12)
    assert ready.count_noise == row["sigma_b"]


@pytest.mark.parametrize("adjacency", ["zero_out", "replace_one"])
def test_the_count_is_paid_from_the_budget(adjacency: str) -> None:
    ready = adaptive(adjacency=adjacency)
    fixed = calibrated("gaussian", PLAN, SMALL, adjacency=adjacency)
    assert ready.scale == pytest.approx(fixed.scale, rel=1e-12)
    assert ready.groups[0].noise > fixed.groups[0].noise
    # z^-2 = z_sum^-2 + z_count^-2, where one client moves the count by 1/2, or by 1.
    reach = {"zero_out": 1, "replace_one": 2}[adjacency]
    z_sum, z_count = ready.groups[0].noise / reach, 2 * ready.count_noise / reach
    assert z_sum**-2 + z_count**-2 == pytest.approx(fixed.scale**-2, rel=1e-12)
    promise = promise_of(ready, PLAN)
    assert promise is not None and 4.999 < promise.eps <= 5 * (1 + 1e-9)


def test_by_default_the_count_costs_little() -> None:
    few, many = adaptive(z=2.0), adaptive(z=2.0, plan=planned(clients_per_round=500))
    assert few.count_noise == pytest.approx(4.0)  # 2 z
    assert many.count_noise == pytest.approx(25.0)  # n / 20
    assert few.groups[0].noise < 1.033 * 2.0


@pytest.mark.parametrize("adjacency", ["zero_out", "replace_one"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_too_little_noise_on_the_count_is_refused(adjacency: str, share: float) -> None:
    least = {"zero_out": 0.5, "replace_one": 1.0}[adjacency]  # at z = 1
    with pytest.raises(UsageError) as caught:
        adaptive(z=1.0, count_noise=share * least, adjacency=adjacency)
    assert caught.value.code == "E235" and f"more than {least:.3g}" in caught.value.do
    assert adaptive(z=1.0, count_noise=1.01 * least, adjacency=adjacency).scale == pytest.approx(1)


def test_within_means_that_no_clip_was_needed() -> None:
    ready = adaptive(2.0)
    start = np.zeros(6)
    for length, inside in ((0.0, True), (2.0, True), (2.0001, False), (1e30, False)):
        update = np.array([0, 0, 0, length, 0, 0])
        assert ready.within(update, start) is inside
        assert bool(np.array_equal(sent(ready, update), update)) is inside


def run(start: float, rounds: int = 100, *, flip: bool = False, **options: Any) -> float:
    """Return C after ``rounds`` of clients with the lengths ``NORMS``."""
    plan = planned(clients_per_round=CLIENTS, n_units=CLIENTS, releases=rounds)
    ready = adaptive(start, plan, z=1.0, rate=0.3, **options)
    updates = np.zeros((CLIENTS, 6))
    updates[:, 2] = NORMS
    for release in range(rounds):
        inside = int(sum(ready.within(u, np.zeros(6)) for u in updates))
        inside = CLIENTS - inside if flip else inside
        rows = np.array([sent(ready, u) for u in updates[:3]])  # the others change nothing here
        total = dataclasses.replace(clipped_sum(rows, ready, inside), count=CLIENTS)
        ready = ready.after(ready.add_noise(total, KEY, release), CLIENTS)
        assert ready.scale == pytest.approx(1.0, rel=1e-9)  # noise follows the clip
    return float(ready.bounds[0])


@pytest.mark.parametrize("start", [0.1, 1000.0])
@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_the_clip_goes_to_the_quantile_from_far_away(start: float, quantile: float) -> None:
    assert run(start, quantile=quantile) == pytest.approx(np.quantile(NORMS, quantile), rel=0.1)


def test_the_share_of_clipped_clients_would_run_away() -> None:
    # The mistake of feeding the other share into the rule must not pass the test above.
    assert run(1.0, flip=True) < 1e-3
    assert run(100.0, flip=True) > 1e4


def test_missing_clients_do_not_move_the_clip() -> None:
    ready = adaptive(1.0, planned(clients_per_round=1e9), z=1.0, count_noise=1.0, quantile=0.5)
    total = clipped_sum(np.empty((0, 6)), ready, 0)
    assert ready.after(ready.add_noise(total, KEY, 1), 1e9).bounds[0] == pytest.approx(1.0)


def test_the_count_gets_noise_of_its_own() -> None:
    ready = adaptive(z=1.0, count_noise=3.0)
    total = clipped_sum(np.zeros((4, 6)), ready, 3)
    noisy = [ready.add_noise(total, KEY, release) for release in range(1500)]
    counts = np.array([n.within for n in noisy]) - (3 - 4 / 2)
    assert stats.kstest(counts / 3.0, stats.norm.cdf).pvalue > 1e-6
    for wrong in (2 / 3, 3 / 2):
        assert stats.kstest(counts * wrong / 3.0, stats.norm.cdf).pvalue < 1e-6
    first = np.array([n.total[0] for n in noisy])
    assert abs(np.corrcoef(counts, first)[0, 1]) < 5 / math.sqrt(1500)


def test_one_client_moves_the_count_by_half_and_the_sum_by_c() -> None:
    ready = adaptive(2.0)
    rows = np.zeros((1, 6))
    rows[0, 3] = 2.0

    def centred(count: int, within: int) -> float:
        total = clipped_sum(np.zeros((count, 6)), ready, within)
        drawn = ready.add_noise(total, Silent(), 1).within
        assert drawn is not None
        return float(drawn)

    assert [centred(1, 1), centred(1, 0), centred(0, 0)] == [0.5, -0.5, 0.0]
    assert np.linalg.norm(clipped_sum(9 * rows, ready, 0).total) == pytest.approx(2.0)


class Silent:
    """A key whose streams are zero: what remains is the release before noise."""

    def stream(self, **_: object) -> Silent:
        return self

    def gaussian(self, size: int) -> np.ndarray:
        return np.zeros(size)


def test_noise_is_of_the_count_and_of_its_own_size() -> None:
    ready = adaptive(z=1.0, count_noise=3.0)
    other = dataclasses.replace(ready, count_noise=4.0)
    totals = [clipped_sum(np.zeros((4, 6)), ready, within) for within in (2, 3)]
    digests = {ready.inputs_digest(t) for t in totals} | {other.inputs_digest(totals[0])}
    assert len(digests) == 3
    with pytest.raises(ValueError, match="not counted"):
        ready.add_noise(clipped_sum(np.zeros((4, 6)), ready), KEY, 1)
