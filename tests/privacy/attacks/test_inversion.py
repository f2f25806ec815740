from dataclasses import replace

import numpy as np
import pytest
import torch
from evidence import Toy, evidence, objective, people
from scipy import stats

from fedaffect.params import read_flat
from fedaffect.privacy.attacks.inversion import RENAMED, UpdateInversion
from fedaffect.privacy.attacks.reconstruct import Effort, LocalTrainingOf, reconstruct
from fedaffect.privacy.attacks.reconstruction_scores import matched, psnr
from fedaffect.registry import resolve

QUICK = Effort(iterations=15, restarts=1)
PEOPLE = people(6, 0, windows=12)
E = evidence(PEOPLE, rounds=1, upload_rounds=(1,))
INVERT = UpdateInversion(batches=(1, 2), one_step=QUICK, uploads=QUICK)


def figure(result, where, metric, name="reconstruction"):
    [row] = [r for r in result.rows if (r.where, r.metric, r.name) == (where, metric, name)]
    return row.figure


def one_step(rows):
    """The update of one step, by torch.optim on the toy network."""
    model = E.factory.with_params(E.initial)
    w = E.windows
    batch = {
        "features": torch.tensor(w.features[rows], dtype=torch.float64),
        "stress": torch.tensor(w.stress[rows]),
        "identity": torch.tensor(w.identity[rows]),
    }
    sgd = torch.optim.SGD(model.parameters(), E.local.lr)
    objective(model(batch), batch).backward()
    sgd.step()
    return read_flat(model).numpy() - E.initial


def test_simulated_training_is_that_of_the_client():
    rows = np.flatnonzero(E.windows.train & (E.windows.client == 2))
    w = E.windows
    labels = {"stress": torch.tensor(w.stress[rows]), "identity": torch.tensor(w.identity[rows])}
    x = torch.tensor(w.features[rows], dtype=torch.float64)
    training = LocalTrainingOf(E, E.initial, E.local.local_epochs)
    made = training.update(x, labels, None).detach().numpy()
    assert made == pytest.approx(E.trainer.update(E.initial, rows, 0, {}), rel=1e-9, abs=1e-12)


def test_one_window_of_a_linear_layer_is_read_off():
    row = np.array([7])
    training = LocalTrainingOf(E, E.initial, 1)
    found = reconstruct(training, one_step(row), 1, Effort(iterations=0, restarts=1), "one")
    assert found.features == pytest.approx(E.windows.features[row].astype(float), rel=1e-7)
    assert found.cosine == pytest.approx(1.0, abs=1e-12)
    assert found.labels["stress"] == E.windows.stress[row]
    assert found.labels["identity"] == E.windows.identity[row]


def test_two_windows_are_found_by_descent():
    rows = np.array([3, 8])
    training = LocalTrainingOf(E, E.initial, 1)
    first, last = (
        reconstruct(training, one_step(rows), 2, Effort(iterations=n, restarts=1), "two").cosine
        for n in (0, 60)
    )
    assert first < 0.8 < 0.95 < last


def test_matching_and_psnr_by_hand():
    true = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    made = np.array([[0.0, 3.0], [1.0, 0.0]])
    one = matched(5, true, made, {"stress": np.array([1, 0, 0])}, {"stress": np.array([0, 0])})
    assert one.true.tolist() == [[0.0, 4.0], [0.0, 0.0]]
    assert one.labels["stress"][0].tolist() == [0, 1]
    assert psnr(one, peak=4.0) == pytest.approx(10 * np.log10(16 / 0.5))  # MSE (1 + 1) / 4


def test_clear_steps_give_windows_away():
    result = replace(resolve("audit", "inversion")(), batches=(1,), one_step=QUICK).run(
        replace(E, uploads=(), no_uploads="The key is gone")
    )
    assert (result.status, result.metric) == ("done", RENAMED)
    assert result.figure.value == 1.0
    assert result.figure.chance == 1 / 6
    assert figure(result, "one step on 1 window", "correlation").value == pytest.approx(1.0)
    assert figure(result, "one step on 1 window", "label accuracy, identity").value == 1.0
    mean = figure(result, "one step on 1 window", "correlation", "mean window").value
    assert mean < 0.7
    assert any("The key is gone" in note for note in result.notes)


def test_the_real_uploads_are_the_headline():
    result = INVERT.run(E)
    assert "the run's uploads, round 1" in result.notes[0]
    where = {row.where for row in result.rows}
    assert where == {"one step on 1 window", "one step on 2 windows", "the run's uploads, round 1"}
    assert result.figure == figure(result, "the run's uploads, round 1", RENAMED)


def test_uploads_of_mixed_clients_name_nobody():
    mixed = evidence(people(6, 0, windows=12, clients=4), rounds=1, upload_rounds=(1,))
    result = INVERT.run(mixed)
    assert not [r for r in result.rows if r.metric == RENAMED and "uploads" in r.where]
    assert "one step on 2 windows" in result.notes[0]
    assert any("name nobody" in note for note in result.notes)


def test_too_few_people_cannot_be_told_apart():
    result = INVERT.run(evidence(people(3, 0, windows=12), rounds=1))
    assert (result.status, result.figure.value) == ("not_resolvable", None)


NOISE = Toy(PEOPLE, 0, 1).mechanism(name="gaussian", eps=0.01, delta=1e-5, where="client")


def noisy(seed):
    w = people(6, 0, windows=12, seed=seed)
    e = evidence(w, seed=seed, rounds=1, mechanism=NOISE, params=np.zeros(1))
    return replace(UpdateInversion(), batches=(1,), one_step=Effort(0, 1)).run(e)


def test_noise_leaves_chance():
    results = [noisy(seed) for seed in range(10)]
    right = round(sum(6 * r.figure.value for r in results))
    low, high = stats.binom.interval(0.9999, 60, 1 / 6)
    assert low <= right <= high
    assert np.mean([figure(r, "one step on 1 window", "correlation").value for r in results]) < 0.2


@pytest.mark.slow
def test_nobody_is_named_where_all_is_noise():
    alarms = sum("name the person" in noisy(seed).finding for seed in range(200))
    assert alarms <= stats.binom.ppf(0.999, 200, 0.05)
