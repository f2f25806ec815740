"""Figures of a model against slow loops over windows, and what the attacker may see."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from tiny import tiny, train_experiment

from fedaffect.build import Experiment, build
from fedaffect.record import Estimate, Figures
from fedaffect.server import evaluation
from fedaffect.server.evaluation import RoundEvaluation, final_figures, infer
from fedaffect.simulations.local import LocalGrid

CHANGES = {"federation.rounds": 6, "data.partition": "iid", "federation.lr": 0.3}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return build(tiny({**CHANGES, "data.eval": "loso"}))


@pytest.fixture(scope="module")
def params(experiment: Experiment) -> list[np.ndarray]:
    return train_experiment(LocalGrid("evaluation"), experiment).params


@pytest.fixture(scope="module")
def figures(experiment: Experiment, params: list[np.ndarray]) -> Figures:
    return final_figures(experiment, params)


def answers(
    experiment: Experiment, params: list[np.ndarray], task: str
) -> list[tuple[int, int, int]]:
    """Return (person, true, said) of every test window of every fold, one window at a time."""
    rows = []
    for fold, vector in zip(experiment.folds, params, strict=True):
        network = experiment.factory.with_params(vector)
        for i in range(len(experiment.table)):
            if not (fold.stress_test if task == "stress" else fold.identity_test)[i]:
                continue
            window = torch.tensor(fold.features[i : i + 1], dtype=torch.float64)
            with torch.no_grad():
                said = int(network({"features": window})[task].argmax())
            person = int(experiment.table.subject[i])
            true = int(experiment.table.stress[i])
            if task == "identity":
                true = fold.seen.index(person)
            rows.append((person, true, said))
    return rows


def recall(rows: list[tuple[int, int, int]], of: int) -> float:
    mine = [said for _, true, said in rows if true == of]
    return sum(said == of for said in mine) / len(mine)


def f1(rows: list[tuple[int, int, int]], of: int) -> float:
    hits = sum(true == said == of for _, true, said in rows)
    return 2 * hits / sum((true == of) + (said == of) for _, true, said in rows)


def test_stress_against_a_loop(
    experiment: Experiment, params: list[np.ndarray], figures: Figures
) -> None:
    rows = answers(experiment, params, "stress")
    assert len(rows) == len(experiment.table)  # everyone is a stranger once
    right = sum(true == said for _, true, said in rows) / len(rows)
    assert figures.stress_accuracy.value == pytest.approx(right)
    balanced = (recall(rows, 0) + recall(rows, 1)) / 2
    assert figures.stress_balanced_accuracy.value == pytest.approx(balanced)
    assert figures.stress_macro_f1.value == pytest.approx((f1(rows, 0) + f1(rows, 1)) / 2)
    assert figures.stress_balanced_accuracy.chance == 0.5
    most = Counter(true for _, true, _ in rows).most_common(1)[0][1]
    assert figures.stress_accuracy.chance == pytest.approx(most / len(rows))


def test_own_head_against_a_loop(
    experiment: Experiment, params: list[np.ndarray], figures: Figures
) -> None:
    rows = answers(experiment, params, "identity")
    own = figures.identity_own_head
    assert own.value == pytest.approx(sum(true == said for _, true, said in rows) / len(rows))
    assert own.chance == 1 / 4  # of five people, four are seen in a fold
    assert own.n_people == 5
    assert (own.value or 0) > 1 / 4  # the model learned something, or this file tests nothing


def test_people_against_a_loop(
    experiment: Experiment, params: list[np.ndarray], figures: Figures
) -> None:
    stress, own = (answers(experiment, params, task) for task in ("stress", "identity"))
    assert [p.person for p in figures.per_person] == list(experiment.table.subjects)
    for number, told in enumerate(figures.per_person):
        mine = [row for row in stress if row[0] == number]
        assert told.windows == len(mine)
        assert told.stress_accuracy == pytest.approx(
            sum(true == said for _, true, said in mine) / len(mine)
        )
        balanced = (recall(mine, 0) + recall(mine, 1)) / 2
        assert told.stress_balanced_accuracy == pytest.approx(balanced)
        hits = [true == said for person, true, said in own if person == number]
        assert told.identity_own_head == pytest.approx(sum(hits) / len(hits))
        assert told.seen_in_training  # in the other folds


def test_headline_is_the_strongest_attacker(figures: Figures) -> None:
    values = {name: e.value for name, e in figures.identity_attacks.items()}
    assert set(values) == {"linear", "lda", "knn", "mlp"}
    best = max(values, key=lambda name: values[name] or 0)
    assert figures.strongest_attack == best
    assert figures.identity_strongest.value == values[best]
    assert figures.identity_strongest.chance == 1 / 4


def test_intervals_hold_their_figure(figures: Figures) -> None:
    estimates = [v for _, v in figures if isinstance(v, Estimate)]
    for e in [*estimates, *figures.identity_attacks.values()]:
        assert e.low is not None
        assert e.value is not None
        assert e.high is not None
        assert 0 <= e.low <= e.value <= e.high <= 1


def noisy_block(experiment: Experiment, vector: np.ndarray, block: str) -> np.ndarray:
    """Return ``vector`` (d,) with unit noise on one block."""
    noisy = vector.copy()
    at = experiment.factory.layout.indices(block)
    noisy[at] += np.random.default_rng(0).standard_normal(len(at))
    return noisy


@pytest.mark.parametrize("block", ["task:identity", "task:stress"])
def test_attackers_see_embeddings_and_no_head(
    experiment: Experiment, params: list[np.ndarray], figures: Figures, block: str
) -> None:
    noisy = final_figures(experiment, [noisy_block(experiment, p, block) for p in params])
    assert noisy.identity_attacks == figures.identity_attacks  # to the last bit
    assert noisy.identity_strongest == figures.identity_strongest
    head = "identity_own_head" if block == "task:identity" else "stress_accuracy"
    assert getattr(noisy, head) != getattr(figures, head)


def test_noise_on_the_embedding_reaches_the_attackers(
    experiment: Experiment, params: list[np.ndarray], figures: Figures
) -> None:
    noisy = final_figures(experiment, [noisy_block(experiment, p, "shared") for p in params])
    assert noisy.identity_attacks != figures.identity_attacks
    assert noisy.raw_features_attack == figures.raw_features_attack  # no model is in it


def test_a_diverged_model_still_has_figures(experiment: Experiment) -> None:
    huge = experiment.factory.initial(0) * 1e200
    told = final_figures(experiment, [huge] * 5)
    assert told.identity_own_head.value is not None
    assert told.identity_strongest.value is not None


class TestInference:
    def test_chunks_change_nothing(
        self, experiment: Experiment, params: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network = experiment.factory.with_params(params[0])
        features = experiment.folds[0].features
        whole = infer(network, features)
        monkeypatch.setattr(evaluation, "CHUNK", 7)
        pieces = infer(network, features)
        np.testing.assert_array_equal(pieces.stress, whole.stress)
        np.testing.assert_array_equal(pieces.identity, whole.identity)
        np.testing.assert_allclose(pieces.embedding, whole.embedding, rtol=1e-5, atol=1e-6)
        assert whole.embedding.shape == (len(features), 100)
        assert whole.embedding.dtype == np.float32

    def test_leaves_the_model_alone(self, experiment: Experiment, params: list[np.ndarray]) -> None:
        network = experiment.factory.with_params(params[0])
        before = [p.clone() for p in network.parameters()]
        infer(network, experiment.folds[0].features[:3])
        assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
        assert all(p.grad is None for p in network.parameters())


class TestRounds:
    def test_scores_agree_with_the_final_figures_of_one_fold(self) -> None:
        e = build(tiny({**CHANGES, "data.eval": "unseen", "federation.rounds": 1}))
        vector = e.factory.initial(3)
        scores = RoundEvaluation(e, e.folds[0]).scores(vector)
        final = final_figures(e, [vector])
        assert scores["stress_balanced_accuracy"] == final.stress_balanced_accuracy.value
        assert scores["stress_macro_f1"] == final.stress_macro_f1.value
        assert scores["identity_own_head"] == final.identity_own_head.value
        assert scores["identity_probe"] == pytest.approx(final.identity_attacks["lda"].value)

    def test_long_data_are_thinned_evenly(
        self, experiment: Experiment, params: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evaluation, "PROBE_TEST", 20)
        monkeypatch.setattr(evaluation, "PROBE_ENROL", 40)
        fold = experiment.folds[0]
        thin = RoundEvaluation(experiment, fold)
        assert (len(thin.enrol), len(thin.test)) == (40, 20)
        places = np.flatnonzero(fold.identity_test)
        people = experiment.table.subject[places[np.linspace(0, len(places) - 1, 20).astype(int)]]
        assert [fold.seen[i] for i in thin.identity[thin.test]] == people.tolist()
        assert thin.is_stress_test.sum() == fold.stress_test.sum()  # stress is never thinned
        assert thin.scores(params[0])["identity_own_head"] is not None
