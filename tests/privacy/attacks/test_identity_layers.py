from dataclasses import replace

import numpy as np
import pytest
from evidence import evidence, people
from scipy import stats

from fedaffect.metrics import accuracy_of, bootstrap_over_people, hits_per_person
from fedaffect.privacy.attacks.identity import (
    KNearestNeighbours,
    LinearDiscriminant,
    LinearProbe,
    attack_identity,
    strongest,
)
from fedaffect.privacy.attacks.identity_layers import OWN_HEAD, IdentityByLayer
from fedaffect.privacy.attacks.naming import chance_of, closed_set
from fedaffect.registry import resolve

CHEAP = IdentityByLayer(attackers=(LinearDiscriminant(), KNearestNeighbours()))


def untrained(windows, seed=0, **changes):
    """Evidence on a network that was not trained, which saves the time of training."""
    made = evidence(windows, seed=seed, params=np.zeros(0), **changes)
    return replace(made, params=made.initial)


def rows_of(result, **wanted):
    return [r for r in result.rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_the_headline_is_the_strongest_attacker_on_the_embedding():
    e = evidence()
    result = resolve("audit", "identity")().run(e)
    w = e.windows
    h = e.network.layers(e.params, w.features)["embedding"]
    attacks = attack_identity(h, w.subject, w.enrol, w.identity_test, e.seed)
    best = strongest(attacks, e.seed)
    assert (result.status, result.metric, result.figure.chance) == ("done", "top-1", 1 / 8)
    figure = result.figure
    assert (figure.value, figure.low, figure.high) == pytest.approx(
        (best.accuracy.value, best.accuracy.low, best.accuracy.high)
    )
    embedding = rows_of(result, where="embedding", metric="top-1", role="attack")
    assert [r.figure.value for r in embedding] == [a.accuracy.value for a in attacks]
    layers = list(dict.fromkeys(r.where for r in result.rows))
    assert layers == ["input", "embedding", "task:stress", "task:identity"]
    assert {r.role for r in rows_of(result, where="input")} == {"baseline"}
    assert len(rows_of(result, metric="nats")) == len(rows_of(result, metric="top-3")) == 4
    assert result.finding.startswith(best.name) and result.notes
    assert figure.value > result.smallest_effect > figure.chance


def test_the_own_head_is_a_baseline():
    e = evidence(people(clients=4), rounds=30)
    w = e.windows
    result = CHEAP.run(e)
    [own] = rows_of(result, name=OWN_HEAD)
    said = e.network.probabilities(e.params, w.features, "identity").argmax(1)[w.identity_test]
    hits = hits_per_person(w.identity[w.identity_test], said, w.subject[w.identity_test])
    by_hand = bootstrap_over_people(hits, accuracy_of, seed=e.seed)
    assert (own.role, own.figure.value) == ("baseline", by_hand.value)
    assert (own.figure.low, own.figure.high) == (by_hand.low, by_hand.high)
    assert by_hand.value > 0.5


def test_noise_on_the_head_leaves_fresh_attackers_bit_equal():
    e = evidence(people(seen=5, unseen=0, clients=4), rounds=30)
    head = e.factory.layout.indices("task:identity")
    noisy = e.params.copy()
    noisy[head] += 3 * np.random.default_rng(0).normal(size=len(head))
    before, after = (CHEAP.run(replace(e, params=p)) for p in (e.params, noisy))
    on_head = [r for r in before.rows if r.where == "task:identity"]
    assert [r for r in before.rows if r not in on_head] == [
        r for r in after.rows if r.where != "task:identity"
    ]
    assert before.figure == after.figure
    own = [rows_of(result, name=OWN_HEAD)[0].figure.value for result in (before, after)]
    assert own[1] < own[0] - 0.3


def test_random_names_are_named_at_chance():
    w = people(seen=6, unseen=0, windows=60)
    names = np.random.default_rng(0).permutation(w.subject)
    result = IdentityByLayer().run(untrained(replace(w, subject=names)))
    tested = result.n_members
    low, high = stats.binom.interval(0.9999, tested, 1 / 6)
    for row in rows_of(result, metric="top-1", role="attack"):
        assert low <= row.figure.value * tested <= high
    assert "not detected by these attacks" in result.finding


def test_the_reference_is_the_same_attack_on_the_model_without_dp():
    noisy = evidence(people(seen=5, unseen=0, clients=4), rounds=30)
    ruined = noisy.params + 5 * np.random.default_rng(0).normal(size=len(noisy.params))
    result = CHEAP.run(replace(noisy, params=ruined, reference=noisy.params))
    assert result.reference is not None
    assert result.reference == CHEAP.run(noisy).figure
    assert CHEAP.run(noisy).reference is None


def test_a_kept_head_is_nobodys_to_ask():
    result = CHEAP.run(untrained(people(seen=4, unseen=0), own_head_released=False))
    assert not rows_of(result, where="task:identity")
    assert any("never left the clients" in note for note in result.notes)


def test_what_cannot_run_says_so():
    alone = CHEAP.run(untrained(people(seen=1, unseen=3)))
    assert (alone.status, alone.figure.value) == ("not_run", None)
    assert "two people" in alone.reason
    few = CHEAP.run(untrained(people(seen=3, unseen=0, identity=5.0)))
    assert few.status == "done" and "too few" in few.finding
    shared = CHEAP.run(untrained(people(seen=4, unseen=0, leaks_overlap=True)))
    assert any("share raw samples" in note for note in shared.notes)


def test_a_diverged_model_is_attacked_all_the_same():
    e = untrained(people(seen=4, unseen=0))
    result = IdentityByLayer(attackers=(LinearProbe(),)).run(
        replace(e, params=np.full_like(e.params, np.nan))
    )
    assert (result.status, result.figure.value) == ("done", 0.25)


def found(identity, seeds):
    """How often people are named by the decision that the attack takes, on single windows."""
    count = 0
    for seed in range(seeds):
        w = people(identity=identity, unseen=0, seed=seed)
        p = closed_set(w)
        h = w.features[p.rows]
        attacks = attack_identity(h, p.subject, p.enrol, p.test, seed, CHEAP.attackers)
        count += chance_of(attacks, p.truth, seed).detected
    return count


def test_planted_identity_is_found():
    assert found(identity=0.4, seeds=30) >= 28  # about 45 % of windows, chance 12.5 %


@pytest.mark.slow
def test_nobody_is_found_where_there_is_nothing_to_find():
    assert found(identity=0.0, seeds=200) <= stats.binom.ppf(0.999, 200, 0.05)
