"""The backbones that come with the package: small, whole, and honest about whose they are."""

from pathlib import Path

import numpy as np
import pytest
from command_line import call

from fedaffect.data.public_scale import public_scale
from fedaffect.models import shipped
from fedaffect.models.backbone import load_backbone
from fedaffect.models.compact_encoder import CompactEncoder
from fedaffect.models.shipped import SHIPPED

FOLDER = Path(shipped.__file__).parent


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_small_and_its_card_agrees_with_its_weights(name: str) -> None:
    assert (FOLDER / SHIPPED[name]).stat().st_size < 1_000_000
    backbone = load_backbone(name)
    card = backbone.card
    assert card.name == name
    assert set(card.feature_names) <= set(public_scale())
    assert set(backbone.weights) == {"public", "subject"}
    network = CompactEncoder(len(card.feature_names), 2, card.tasks, **card.options)
    shapes = {n: tuple(p.shape) for n, p in network.named_parameters()}
    width = card.options["width"]
    for weights in backbone.weights.values():
        assert {n: v.shape for n, v in weights.values.items()} == shapes
        assert weights.centre.shape == (width,)
        np.testing.assert_allclose(
            weights.directions @ weights.directions.T, np.eye(width), atol=1e-5
        )


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_names_people_figures_and_command(name: str) -> None:
    card = load_backbone(name).card
    (data,) = card.public_data
    assert data.people and data.windows > 0 and data.licence and data.citation
    assert len(data.fingerprint) >= 32
    for scaling in ("public", "subject"):
        stress = [card.measured[f"{scaling}/stress_balanced_accuracy{e}"] for e in ("_low", "")]
        assert 0.5 < stress[0] <= stress[1] < 1
        assert card.measured[f"{scaling}/identity_chance"] > 0
        assert card.measured[f"{scaling}/identity_accuracy"] > 0
    assert card.command.startswith("fedaffect pretrain --data ")
    assert card.command.endswith(f" --out {SHIPPED[name]}")
    assert card.command in Path("docs/backbones.md").read_text(encoding="utf-8")


def test_the_real_people_are_those_of_the_data_set_with_its_licence() -> None:
    (data,) = load_backbone("stress-predict").card.public_data
    assert data.people == tuple(f"S{number:02d}" for number in range(2, 36))
    assert (data.name, data.synthetic, data.windows) == ("stress_predict", False, 19_369)
    notice = (FOLDER / "stress-predict.LICENSE.txt").read_text(encoding="utf-8")
    assert "Copyright (c) 2022 Talha Iqbal" in notice
    assert "The above copyright notice and this permission notice shall be included" in notice


def test_simulated_people_are_of_no_population_that_a_run_uses() -> None:
    from fedaffect.pretraining.people import POPULATION

    card = load_backbone("synthetic").card
    assert card.public_data[0].synthetic
    assert len(card.public_data[0].people) == POPULATION["synthetic.people"]
    assert POPULATION["synthetic.seed"] == 1_000_003


def test_backbones_are_listed_with_their_cards() -> None:
    assert call("list", "backbone").out.split() == ["backbone", "stress-predict,", "synthetic"]
    said = call("list", "backbone", "synthetic").document
    assert said == load_backbone("synthetic").card.model_dump(mode="json")
