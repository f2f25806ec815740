import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evidence import evidence, people
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fedaffect.privacy.attacks.evidence import Claim, RoundUploads
from fedaffect.privacy.attacks.linkability import WHOLE, Linkability
from fedaffect.privacy.attacks.statistics import naming_cap
from fedaffect.registry import resolve

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "dp_vectors.json").read_text())
CLEAR = evidence(people(unseen=0), upload_rounds=(1, 2, 3, 4))


def rows_of(result, **wanted):
    return [r for r in result.rows if all(getattr(r, k) == v for k, v in wanted.items())]


def noisy(seed, clients=8, rounds=4, signal=0.0, where=None):
    """Uploads of pure noise, with ``signal`` of each client's own at the places of a block."""
    size = len(CLEAR.mechanism.blocks.released)
    rng = np.random.default_rng(seed)
    own = signal * rng.normal(size=(clients, size))
    if where is not None:
        own[:, np.setdiff1d(np.arange(size), CLEAR.mechanism.blocks.place(where))] = 0.0
    sent = tuple(
        RoundUploads(r, CLEAR.params, tuple(range(clients)), own + rng.normal(size=own.shape))
        for r in range(1, rounds + 1)
    )
    return replace(CLEAR, uploads=sent, seed=seed)


def test_clear_uploads_are_linked():
    result = resolve("audit", "linkability")().run(CLEAR)
    assert (result.status, result.threat, result.metric) == ("done", "B", "top-1")
    assert (result.figure.value, result.figure.chance) == (pytest.approx(1.0, abs=0.1), 1 / 8)
    assert {r.where for r in result.rows} == {WHOLE, "shared", "task:stress", "task:identity"}
    assert {r.metric for r in result.rows} == {"top-1", "EER"}
    tops = [r.figure.value for r in rows_of(result, metric="top-1")]
    assert result.figure.value == max(tops)
    assert "rounds 1, 2 enrol 8 clients, 16 of rounds 3, 4" in result.notes[0]
    assert result.finding.endswith("(chance 12.5%).")
    assert min(point.fpr for point in result.roc) == 1 / 56


def test_top_1_by_a_slow_loop():
    e = noisy(0, signal=0.3)
    [row] = rows_of(Linkability().run(e), name="centred cosine", where=WHOLE, metric="top-1")
    centred = [u.rows - u.rows.mean(axis=0) for u in e.uploads]
    enrolled = [(centred[0][c] + centred[1][c]) / 2 for c in range(8)]
    right = 0
    for sent in (centred[2], centred[3]):
        for c in range(8):
            cosines = [
                sent[c] @ other / math.hypot(*sent[c]) / math.hypot(*other) for other in enrolled
            ]
            right += cosines.index(max(cosines)) == c
    assert row.figure.value == right / 16
    assert 0.2 < row.figure.value < 1.0


def test_what_leaks_in_one_block_is_found_there():
    result = Linkability().run(noisy(0, signal=2.0, where="task:identity"))
    best = {
        where: max(r.figure.value for r in rows_of(result, where=where, metric="top-1"))
        for where in ("shared", "task:stress", "task:identity")
    }
    assert best["task:identity"] == 1.0
    assert max(best["shared"], best["task:stress"]) < 0.5
    assert result.finding.startswith(("cosine of", "centred cosine of"))


def test_pure_noise_is_linked_at_chance():
    hits = [
        rows_of(Linkability().run(noisy(seed)), name="cosine", where=WHOLE, metric="top-1")[0]
        for seed in range(10)
    ]
    right = round(sum(16 * row.figure.value for row in hits))
    low, high = stats.binom.interval(0.9999, 160, 1 / 8)
    assert low <= right <= high


def test_clients_come_and_go():
    e = noisy(0, signal=1.0)
    some = ((0, 1, 2, 3, 4), (0, 1, 2, 5), (2, 5, 6, 7), (6, 7))
    sent = tuple(
        replace(u, clients=c, rows=u.rows[list(c)]) for u, c in zip(e.uploads, some, strict=True)
    )
    result = Linkability().run(replace(e, uploads=sent))
    assert result.figure.chance == 1 / 6  # clients 0 to 5 are enrolled
    assert (result.n_members, result.figure.n_people) == (6, 2)  # 2 and 5 are tested
    assert "2 of rounds 3, 4 are linked" in result.notes[0]


@pytest.mark.parametrize(
    ("uploads", "status", "reason"),
    [
        ((), "not_run", "the server kept no uploads"),
        (CLEAR.uploads[:1], "not_run", "two of the rounds"),
        (
            tuple(replace(u, clients=u.clients[:3], rows=u.rows[:3]) for u in CLEAR.uploads),
            "not_resolvable",
            "fewer than 4",
        ),
    ],
)
def test_what_cannot_be_linked(uploads, status, reason):
    e = replace(CLEAR, uploads=uploads, no_uploads="the server kept no uploads")
    result = Linkability().run(e)
    assert (result.status, result.figure.value) == (status, None)
    assert reason in result.reason


@pytest.mark.parametrize("row", GOLDEN["n_way_identification_cap"])
def test_cap_golden(row):
    cap = naming_cap(row["eps"], row["delta"], row["N"])
    assert cap == pytest.approx(row["cap"], rel=1e-12)


@given(st.floats(0, 900), st.floats(0, 1), st.integers(2, 1000))
@settings(deadline=None)
def test_cap_is_a_probability_above_chance(eps, delta, clients):
    cap = naming_cap(eps, delta, clients)
    assert 1 / clients - 1e-12 <= cap <= 1
    assert cap <= naming_cap(eps + 1, delta, clients) + 1e-12
    assert naming_cap(eps, 0.0, clients) <= cap + 1e-12


def test_cap_is_reached_by_randomised_response():
    # every client sends its own name with e^eps / (e^eps + N - 1), else another one
    eps, n = 1.3, 7
    keep = math.exp(eps) / (math.exp(eps) + n - 1)
    other = (1 - keep) / (n - 1)
    assert keep / other == pytest.approx(math.exp(eps))  # its replace-one eps
    assert naming_cap(eps, 0.0, n) == pytest.approx(keep)


def claimed(**changes):
    claim = Claim("FORMAL", "server", "client", "replace_one", 2.0, 1e-5)
    return Linkability().run(replace(CLEAR, claims=(replace(claim, **changes),)))


def test_the_cap_comes_from_the_claim_to_the_server():
    [row] = rows_of(claimed(), role="baseline")
    assert row.figure.value == naming_cap(2.0, 1e-5, 8)
    [twice] = rows_of(claimed(adjacency="zero_out"), role="baseline")
    assert twice.figure.value == naming_cap(4.0, (1 + math.exp(2.0)) * 1e-5, 8)
    for nothing in ({"eps": None}, {"observer": "external"}, {"unit": "window"}):
        assert not rows_of(claimed(**nothing), role="baseline")


@pytest.mark.parametrize("eps", [0.5, 2.0, 5.0])
def test_zero_out_twice_covers_replacing_one_gaussian_client(eps):
    # Balle & Wang 2018: delta of a Gaussian at sensitivity / sd = mu
    def delta(mu, eps):
        inner = mu / 2 - eps / mu
        return stats.norm.cdf(inner) - math.exp(eps) * stats.norm.cdf(inner - mu)

    for mu in (0.3, 1.0, 2.0):
        zero_out = delta(mu, eps)
        assert delta(2 * mu, 2 * eps) <= (1 + math.exp(eps)) * zero_out + 1e-15


@pytest.mark.slow
def test_nobody_is_linked_where_all_is_noise():
    found = sum("names the sender" in Linkability().run(noisy(seed)).finding for seed in range(200))
    assert found <= stats.binom.ppf(0.999, 200, 0.05)
