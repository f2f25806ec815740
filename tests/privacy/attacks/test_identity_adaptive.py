from dataclasses import replace

import numpy as np
import pytest
from evidence import evidence, people
from scipy import stats

from fedaffect.privacy.attacks.identity import KNearestNeighbours, LinearDiscriminant
from fedaffect.privacy.attacks.identity_adaptive import AdaptiveIdentity, means
from fedaffect.privacy.attacks.identity_layers import IdentityByLayer
from fedaffect.privacy.attacks.naming import closed_set
from fedaffect.registry import resolve

TWO = (LinearDiscriminant(), KNearestNeighbours())
CHEAP = AdaptiveIdentity(attackers=TWO)


def untrained(windows, seed=0, **changes):
    """Evidence on a network that was not trained, which saves the time of training."""
    made = evidence(windows, seed=seed, params=np.zeros(0), **changes)
    return replace(made, params=made.initial)


@pytest.mark.parametrize("seed", range(6))
def test_never_weaker_than_the_attack_on_single_windows(seed):
    e = untrained(people(identity=0.4 * seed, unseen=0, seed=seed), seed)
    simple, adaptive = IdentityByLayer(attackers=TWO).run(e), CHEAP.run(e)
    assert adaptive.figure.value >= simple.figure.value
    single = [r.figure for r in adaptive.rows if r.name in ("lda", "knn")]
    assert (
        single
        == [
            r.figure
            for r in simple.rows
            if (r.where, r.metric, r.role) == ("embedding", "top-1", "attack")
        ][:2]
    )


def test_the_registered_attack_has_every_attacker():
    result = resolve("audit", "identity-adaptive")().run(evidence(people(seen=4)))
    assert (result.status, result.figure.chance, result.threat) == ("done", 0.25, "C")
    names = [r.name for r in result.rows if r.role == "attack"]
    assert names[:4] == ["linear", "lda", "knn", "mlp"]
    ends = ["means of 2 windows", "means of 5 windows", "means of 10 windows"]
    assert [name.partition(", ")[2] for name in names[4:]] == [*ends, "means of all windows"]
    figures = [r.figure.value for r in result.rows if r.role == "attack"]
    assert result.figure.value == max(figures)
    assert result.figure.low <= result.figure.value <= result.figure.high
    assert [r.where for r in result.rows if r.role == "baseline"] == ["input", "embedding"]


def test_averages_find_people_through_noise_on_the_inputs():
    clear = people(identity=0.7, windows=100)
    noise = np.random.default_rng(0).normal(size=clear.features.shape)
    noisy = replace(clear, features=(clear.features + 2.5 * noise).astype(np.float32))
    result = CHEAP.run(untrained(noisy))
    value = {r.name: r.figure.value for r in result.rows}
    assert max(value["lda"], value["knn"]) < 0.35
    assert result.figure.value > 0.7
    assert "means of" in result.finding


def test_the_reference_and_baselines_are_attacked_in_the_same_way():
    e = untrained(people(identity=0.5))
    assert CHEAP.run(e).reference is None
    same = CHEAP.run(replace(e, reference=e.params))
    [best] = [r for r in same.rows if same.finding.startswith(r.name + " names")]
    assert same.reference == best.figure
    net = same.rows[-1]
    assert (net.name, net.figure) == (f"untrained net ({best.name})", best.figure)


@pytest.mark.parametrize("n", [1, 2, 5, 0])
def test_means_by_a_slow_loop(n):
    w = people(seen=3, unseen=0, windows=13)
    keep = np.random.default_rng(0).random(len(w.subject)) > 0.1  # blocks with holes
    shuffle = np.random.default_rng(1).permutation(np.flatnonzero(keep))
    names = ("features", "subject", "recording", "start_s", "enrol", "identity_test", "train")
    w = replace(w, **{name: getattr(w, name)[shuffle] for name in names})
    p = closed_set(w)
    h = w.features[p.rows].astype(np.float64)
    average, owner, group = means(h, p, p.enrol, n)

    groups, open_group, last = [], [], None
    for i in sorted(np.flatnonzero(p.enrol), key=lambda i: (p.recording[i], p.start_s[i])):
        here = (p.recording[i], p.start_s[i])
        broken = last is None or here[0] != last[0] or here[1] - last[1] > 90
        if broken or (n and len(open_group) == n):
            groups.append(open_group := [])
        open_group.append(i)
        last = here
    by_hand = [h[members].mean(axis=0) for members in groups]
    assert average == pytest.approx(np.array(by_hand))
    assert owner.tolist() == [p.subject[members[0]] for members in groups]
    places = np.flatnonzero(p.enrol)
    assert all(places[j] in groups[g] for j, g in enumerate(group))


def test_what_cannot_run_says_so():
    alone = CHEAP.run(untrained(people(seen=1)))
    assert (alone.status, alone.figure.value) == ("not_run", None)
    short = CHEAP.run(untrained(people(seen=4, windows=4, recordings=1)))
    assert short.status == "done"  # a few windows a person are attacked all the same


@pytest.mark.slow
def test_nobody_is_found_where_there_is_nothing_to_find():
    one = AdaptiveIdentity(attackers=(LinearDiscriminant(),), averages=(2, 0))
    found = sum(
        "names the person" in one.run(untrained(people(identity=0.0, seed=s), s)).finding
        for s in range(200)
    )
    assert found <= stats.binom.ppf(0.999, 200, 0.05)
