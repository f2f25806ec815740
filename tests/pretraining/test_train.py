"""Training of a backbone on planted people: what it learns, what it unlearns, and its bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import few_people
from tiny import tiny

from fedaffect.errors import DataError, UsageError
from fedaffect.models.backbone import load_backbone, save_backbone
from fedaffect.outline import network_of
from fedaffect.pretraining.measure import left_out, measure_backbone
from fedaffect.pretraining.pretrain import pretrain, public_weights
from fedaffect.pretraining.settings import Settings, usual
from fedaffect.pretraining.train import augmented, new_network, train_network
from fedaffect.pretraining.windows import PublicWindows, scaled_features
from fedaffect.release_choice import with_release

QUICK = Settings(epochs=2)


def public(scaling: str = "subject") -> PublicWindows:
    table = few_people()
    everyone = np.ones(len(table), dtype=bool)
    return PublicWindows.of(table, scaled_features(table, scaling), everyone)


def nothing() -> None:
    pass


def test_without_augmentation_windows_are_as_they_are() -> None:
    windows, plain = public(), replace(QUICK, noise=0.0, exchange=0.0, silence=0.0)
    rows = torch.arange(10, 30)
    assert torch.equal(augmented(windows, rows, plain), windows.features[rows])


def test_an_exchange_puts_the_deviation_on_the_level_of_a_person() -> None:
    windows = public("public")
    rows = torch.arange(40)
    moved = augmented(windows, rows, replace(QUICK, noise=0.0, exchange=1.0, silence=0.0))
    levels = moved - windows.labels(rows)["deviation"]
    distance = (levels[:, None] - windows.levels).abs().max(dim=2).values  # (40, P)
    assert float(distance.min(dim=1).values.max()) < 1e-4
    assert len(distance.argmin(dim=1).unique()) > 3


def test_noise_has_the_deviation_that_it_says() -> None:
    windows = public()
    rows = torch.arange(len(windows.features))
    drawn = augmented(windows, rows, replace(QUICK, noise=0.5, exchange=0.0, silence=0.0))
    noise = (drawn - windows.features).numpy()
    assert noise.std() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(2 * noise.size))


def test_a_silent_sensor_is_silent_in_all_its_features() -> None:
    windows = public()
    rows = torch.arange(len(windows.features))
    drawn = augmented(windows, rows, replace(QUICK, noise=1e-3, exchange=0.0, silence=0.25))
    for sensor in range(4):  # acceleration, pulse, skin conductance, temperature
        own = drawn[:, windows.sensor == sensor] == 0
        assert torch.equal(own.all(dim=1), own.any(dim=1))
        silent = own.all(dim=1).float().mean().item()
        assert silent == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / len(rows)))


def test_it_learns_stress_and_leaves_global_randomness_alone() -> None:
    windows = public()
    state = torch.get_rng_state()
    network = train_network(windows, {"stress": 1.0}, replace(QUICK, epochs=8), nothing)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        answers = network({"features": windows.features})["stress"].argmax(dim=1)
    assert float((answers == windows.stress).float().mean()) > 0.85
    assert not any(module._forward_hooks for module in network.modules())


def test_the_file_is_the_same_twice_and_another_with_another_seed(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        made = pretrain(few_people(), replace(QUICK, seed=seed), name="same")
        save_backbone(tmp_path / name, made.card, made.weights)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2]


def test_axes_are_the_principal_components_of_the_embedding() -> None:
    table = few_people()
    scaled = scaled_features(table, "subject")
    network = new_network(QUICK, scaled.shape[1])
    weights = public_weights(network, scaled)
    with torch.no_grad():
        h = network.embed({"features": torch.from_numpy(scaled)}).double().numpy()
    np.testing.assert_allclose(weights.centre, h.mean(axis=0), atol=1e-7)
    turned = (h - weights.centre) @ weights.directions.T
    covariance = turned.T @ turned / len(h)
    variance = np.linalg.svd(h - weights.centre, compute_uv=False) ** 2 / len(h)
    np.testing.assert_allclose(covariance, np.diag(variance), atol=1e-8)


@pytest.mark.parametrize("model", ["compact_encoder", "stress_identity_cnn"])
def test_a_run_starts_from_the_trained_network(model: str, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=1, model=model)
    made = pretrain(few_people(), settings, name="mine")
    file = tmp_path / "mine.safetensors"
    save_backbone(file, made.card, made.weights)
    read = load_backbone(str(file))
    assert read.card == made.card
    start, config = with_release(tiny({"model.backbone": str(file), "data.normalise": "public"}))
    factory = network_of(config, start, 4)
    network = factory.with_params(factory.initial(0))
    told = dict(network.named_parameters())
    for name, values in made.weights["public"].values.items():
        np.testing.assert_allclose(told[name].detach().numpy(), values, atol=1e-7)


def test_a_width_is_that_of_the_embedding() -> None:
    made = pretrain(few_people(), replace(QUICK, epochs=1, width=3), name="narrow")
    assert made.card.options == {"hidden": 64, "width": 3}
    assert made.weights["public"].directions.shape == (3, 3)


def test_a_fixed_width_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        new_network(Settings(model="stress_identity_cnn", width=4), 60)
    assert caught.value.code == "E272"


def test_a_training_that_diverges_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        train_network(public(), {"stress": 1.0}, replace(QUICK, lr=1e30), nothing)
    assert caught.value.code == "E386"


def test_a_quarter_is_left_out_and_measured_on() -> None:
    assert [len(left_out(people, seed=0)) for people in (3, 8, 34, 120)] == [1, 2, 8, 30]
    made = pretrain(few_people(), QUICK, name="mine")
    away = tuple(few_people().subjects[i] for i in left_out(8, QUICK.seed))
    for scaling, figures in made.measured.items():
        assert figures.people == away
        assert figures.identity is not None and figures.identity.chance == 0.5
        assert made.card.measured[f"{scaling}/people_left_out"] == 2


def test_simulated_people_are_trained_on_with_silent_sensors_under_their_own_scaling() -> None:
    assert usual(simulated=False).silence == 0
    simulated = usual(simulated=True)
    assert simulated.under("subject") == simulated
    assert simulated.silence > 0 and simulated.under("public").silence == 0
    assert simulated.weights["public/consistency"] > 0  # the level of a person is to be unlearned


def test_a_finished_backbone_is_measured_on_anybody(tmp_path: Path) -> None:
    table, file = few_people(), tmp_path / "mine.safetensors"
    made = pretrain(table, replace(QUICK, epochs=1), name="mine")
    save_backbone(file, made.card, made.weights)
    found = measure_backbone(load_backbone(str(file)), table)
    for scaling, figures in found.items():
        assert figures.people == table.subjects
        assert figures.identity is not None and figures.identity.chance == 1 / 8
        network = new_network(QUICK, 60)
        values = {n: torch.from_numpy(v) for n, v in made.weights[scaling].values.items()}
        network.load_state_dict(values)
        with torch.no_grad():
            x = torch.from_numpy(scaled_features(table, scaling))
            answers = network({"features": x})["stress"].argmax(dim=1).numpy()
        recall = [np.mean(answers[table.stress == k] == k) for k in (0, 1)]
        assert figures.stress is not None
        assert figures.stress.value == pytest.approx(np.mean(recall))
