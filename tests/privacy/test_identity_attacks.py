import numpy as np
import pytest
import torch
from scipy import integrate, stats

from fedaffect.errors import DataError
from fedaffect.metrics import accuracy_of
from fedaffect.privacy.attacks.identity import (
    ATTACKERS,
    KNearestNeighbours,
    LinearDiscriminant,
    LinearProbe,
    SmallMLP,
    attack_identity,
    quick_probe,
    strongest,
)
from fedaffect.registry import ATTACKS, resolve


def gaussians(people, windows, distance, seed, dimensions=None):
    """Spherical Gaussians of deviation 1 around ``distance`` times a unit vector a person.

    Returns embeddings (N, H), subject (N,), enrolment mask (first half of each person).
    """
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(people), windows)
    means = distance * np.eye(people, dimensions or people)
    embeddings = means[subject] + rng.normal(size=(len(subject), means.shape[1]))
    return embeddings, subject, np.tile(np.arange(windows) < windows // 2, people)


def bayes_accuracy(people, distance):
    """Return P(own score beats all others): the m-alternative forced-choice integral."""
    density = lambda x: stats.norm.pdf(x - distance) * stats.norm.cdf(x) ** (people - 1)  # noqa: E731
    return integrate.quad(density, -10, 10 + distance)[0]


def test_the_bayes_formula_for_two_people_is_the_textbook_one():
    assert bayes_accuracy(2, 2.0) == pytest.approx(stats.norm.cdf(np.sqrt(2)))


@pytest.mark.parametrize(
    ("attacker", "shortfall"),
    [(LinearProbe(), 0.03), (LinearDiscriminant(), 0.02), (SmallMLP(), 0.06)],
)
def test_separated_gaussians_are_found_nearly_as_well_as_possible(attacker, shortfall):
    x, y, enrol = gaussians(people=8, windows=500, distance=3.0, seed=0)
    best = bayes_accuracy(8, 3.0)
    result = attack_identity(x, y, enrol, ~enrol, 0, [attacker])[0]
    deviation = np.sqrt(best * (1 - best) / result.n_test)
    assert best - shortfall - 3 * deviation < result.accuracy.value < best + 3 * deviation


def test_neighbours_find_people_whom_no_linear_attacker_finds():
    rng = np.random.default_rng(0)  # person 0 inside a ring, person 1 on it
    y = np.arange(800) % 2
    angle = rng.random(800) * 2 * np.pi
    x = (0.2 + y * 2)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    x += 0.1 * rng.normal(size=x.shape)
    enrol = np.arange(800) < 400
    linear, lda, knn, mlp = attack_identity(x, y, enrol, ~enrol, 0)
    assert max(linear.accuracy.value, lda.accuracy.value) < 0.75
    assert min(knn.accuracy.value, mlp.accuracy.value) > 0.99


def test_random_labels_are_named_at_chance():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2400, 20))
    y = rng.integers(0, 6, 2400)
    enrol = np.arange(2400) < 1200
    low, high = stats.binom.interval(0.9999, 1200, 1 / 6)
    for result in attack_identity(x, y, enrol, ~enrol, 0):
        assert low <= result.accuracy.value * 1200 <= high
        assert result.chance == pytest.approx(1 / 6)
    assert low <= quick_probe(x[enrol], y[enrol], x[~enrol], y[~enrol]) * 1200 <= high


def test_noise_on_the_head_changes_nothing_to_the_last_bit():
    torch.manual_seed(0)
    shared = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU())
    model = torch.nn.ModuleDict({"shared": shared, "identity": torch.nn.Linear(16, 6)})
    x, y, enrol = gaussians(people=6, windows=60, distance=3.0, seed=1)

    def attacked():
        with torch.no_grad():
            z = model["shared"](torch.from_numpy(x).float())
            answers = model["identity"](z).argmax(dim=1).numpy()
        return attack_identity(z.numpy(), y, enrol, ~enrol, 0), answers

    before, head_before = attacked()
    with torch.no_grad():
        for p in model["identity"].parameters():
            p.add_(10 * torch.randn_like(p))
    after, head_after = attacked()
    assert (head_before != head_after).any()
    assert before == after
    assert before[0].accuracy.value > 0.5  # the people are there to be found
    with torch.no_grad():
        for p in model["shared"].parameters():
            p.add_(0.5 * torch.randn_like(p))
    assert attacked()[0] != before


def test_results_carry_their_sizes_and_the_seed_alone_decides():
    x, y, enrol = gaussians(people=5, windows=40, distance=2.0, seed=2)
    enrol[:5] = False  # neither enrolled nor tested
    test = np.tile(np.arange(40) >= 20, 5)
    results = attack_identity(x, y, enrol, test, 7)
    assert [r.name for r in results] == ["linear", "lda", "knn", "mlp"]
    for r in results:
        assert (r.n_people, r.n_enrol, r.n_test, r.chance) == (5, 95, 100, 0.2)
        assert r.accuracy.low <= r.accuracy.value <= r.accuracy.high
        assert accuracy_of(r.hits.sum(axis=0)) == pytest.approx(r.accuracy.value)
    assert results == attack_identity(x, y, enrol, test, 7)


def test_the_headline_takes_the_maximum_anew_in_each_resample():
    x, y, enrol = gaussians(people=10, windows=30, distance=1.5, seed=3)
    results = attack_identity(x, y, enrol, ~enrol, 0)
    headline = strongest(results, seed=0)
    best = max(results, key=lambda r: r.accuracy.value)
    assert (headline.name, headline.accuracy.value) == (best.name, best.accuracy.value)
    rng = np.random.default_rng(0)
    slow = []
    for _ in range(2000):
        drawn = rng.integers(0, 10, 10)
        slow.append(max(r.hits[drawn, 0, 0].sum() / r.hits[drawn, 0].sum() for r in results))
    assert headline.accuracy.low == pytest.approx(np.quantile(slow, 0.025), abs=0.03)
    assert headline.accuracy.high == pytest.approx(np.quantile(slow, 0.975), abs=0.03)
    assert all(headline.accuracy.low >= r.accuracy.low for r in results)
    assert strongest(results[:1], seed=0) == results[0]


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda a: a.name)
def test_scale_and_offset_of_embeddings_do_not_matter(attacker):
    x, y, enrol = gaussians(people=5, windows=60, distance=3.0, seed=4)
    stretch = 10.0 ** np.arange(-2, 3)
    plain = attack_identity(x, y, enrol, ~enrol, 0, [attacker])[0].accuracy.value
    scaled = attack_identity(x * stretch + 100, y, enrol, ~enrol, 0, [attacker])[0].accuracy.value
    assert scaled == pytest.approx(plain, abs=0.02)


def test_many_enrolment_windows_are_thinned_alike_for_everyone():
    class Counter:
        name = "counter"

        def predict(self, enrol, enrol_subject, test, seed):
            assert np.array_equal(enrol[:, 0], enrol_subject)  # rows stay with their people
            seen.append(np.bincount(enrol_subject))
            return np.zeros(len(test), dtype=int)

    seen: list[np.ndarray] = []
    y = np.repeat([0, 1, 2], [6000, 3000, 1000])
    x = np.stack([y, np.zeros(10_000)], axis=1)
    test = np.arange(10_000) % 5 == 0
    [result] = attack_identity(x, y, ~test, test, 0, [Counter()])
    assert seen[0].tolist() == [2400, 1200, 400]
    assert (result.n_enrol, result.n_test, result.accuracy.value) == (4000, 2000, 0.6)


def test_people_on_a_line_are_told_apart():
    # Means 0, 4 and 8: the outer two are right with Phi(2), the middle one with 2 Phi(2) - 1.
    rng = np.random.default_rng(0)
    y = np.arange(6000) % 3
    x = 4.0 * y[:, None] + rng.normal(size=(6000, 1))
    expected = (4 * stats.norm.cdf(2) - 1) / 3
    enrol = np.arange(6000) < 3000
    for attacker in (LinearDiscriminant(), LinearProbe()):
        [result] = attack_identity(x, y, enrol, ~enrol, 0, [attacker])
        assert result.accuracy.value == pytest.approx(expected, abs=0.012)  # 3 deviations


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_a_diverged_model_is_attacked_without_warnings(bad):
    x, y, enrol = gaussians(people=4, windows=40, distance=5.0, seed=6, dimensions=8)
    x = x.astype(np.float32)
    x[::7, -1] = bad
    x[:, -2] = np.nan
    for result in attack_identity(x, y, enrol, ~enrol, 0, [LinearProbe(), KNearestNeighbours()]):
        assert result.accuracy.value > 0.9  # the other columns still tell
    nothing = np.full_like(x, bad)
    for result in attack_identity(nothing, y, enrol, ~enrol, 0):
        assert result.accuracy.value == 0.25


def test_the_quick_probe_is_the_discriminant():
    x, y, enrol = gaussians(people=5, windows=60, distance=2.0, seed=7)
    [lda] = attack_identity(x, y, enrol, ~enrol, 0, [LinearDiscriminant()])
    assert quick_probe(x[enrol], y[enrol], x[~enrol], y[~enrol]) == lda.accuracy.value


@pytest.mark.parametrize(
    ("code", "enrolled", "tested"),
    [
        ("E364", [0], [0]),
        ("E364", [0, 1, 2], []),
        ("E365", [0, 1], [0, 2]),
    ],
)
def test_what_cannot_be_attacked(code, enrolled, tested):
    x, y, first = gaussians(people=3, windows=10, distance=1.0, seed=0)
    with pytest.raises(DataError) as caught:
        attack_identity(x, y, first & np.isin(y, enrolled), ~first & np.isin(y, tested), 0)
    assert caught.value.code == code


def test_a_window_is_never_enrolled_and_tested():
    x, y, enrol = gaussians(people=3, windows=10, distance=1.0, seed=0)
    with pytest.raises(DataError) as caught:
        attack_identity(x, y, enrol, np.ones_like(enrol), 0)
    assert caught.value.code == "E366"


def test_registered_attackers_are_frozen_and_named_alike():
    for name in ATTACKS:
        attacker = resolve("attack", name)()
        assert attacker.name == name
        with pytest.raises(AttributeError):
            attacker.k = 3
