"""What leaves the devices under every release plan, and what a backbone refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backbone_cards import card, made_by
from tiny import tiny

import fedaffect
from fedaffect.config import RunConfig
from fedaffect.errors import DataError, FedaffectError, UsageError
from fedaffect.forecasts import forecast_of
from fedaffect.home import state_home
from fedaffect.models.backbone import PublicWeights, load_backbone, save_backbone
from fedaffect.models.stress_identity_cnn import StressIdentityCNN
from fedaffect.outline import Outline, outline
from fedaffect.summary import promised
from fedaffect.verification import verify

DP = {"dp.mechanism": "gaussian", "dp.eps": 2.0}
WIDTH = load_backbone("synthetic").card.options["width"]
HIDDEN = load_backbone("synthetic").card.options["hidden"]


def planned(**changes: Any) -> Outline:
    return outline(tiny({k.replace("__", "."): v for k, v in changes.items()}))


def released(plan: Outline) -> int:
    return len(plan.mechanism.blocks.released)


def write_cnn(path: Path, **changes: Any) -> str:
    """Write a backbone of the paper's network with random weights."""
    network = StressIdentityCNN(60, 3, ("stress",))
    values = {n: p.detach().numpy() for n, p in network.named_parameters()}
    weights = PublicWeights(values, np.zeros(100), np.eye(100))
    said = card(**{"model": "stress_identity_cnn"} | changes)
    save_backbone(path, said, {"public": weights, "subject": weights})
    return str(path)


class TestPlans:
    def test_full_is_everything_and_the_default(self) -> None:
        plan = planned()
        assert released(plan) == plan.factory.layout.size
        assert plan.config.model.release == "full"
        assert plan.config.model.backbone == "none"
        assert plan.start.public_data == ()

    def test_head_is_one_line_through_the_embedding(self) -> None:
        assert released(planned(model__release="head")) == WIDTH + 1

    def test_adapter_adds_the_constants_of_the_shared_layers(self) -> None:
        assert released(planned(model__release="adapter")) == WIDTH + 1 + HIDDEN + WIDTH

    @pytest.mark.parametrize("numbers", [2, 3, WIDTH + 1])
    def test_so_many_numbers(self, numbers: int) -> None:
        assert released(planned(model__release=numbers)) == numbers

    def test_of_the_network_of_the_paper(self, tmp_path: Path) -> None:
        mine = write_cnn(tmp_path / "mine.safetensors")
        convolutions = 20 * 8 + 40 * 20 * 8 + 60 * 40 * 8
        constants = 20 + 40 + 60 + 100
        whole = convolutions + 360 * 100 + constants + 202
        counts = {"head": 202, "adapter": 202 + constants, 9: 9, "full": whole}
        for release, count in counts.items():
            plan = planned(model__backbone=mine, model__release=release, model__tasks="stress")
            assert released(plan) == count, release

    def test_an_identity_head_never_leaves_under_a_plan(self) -> None:
        for release in ("head", "adapter", 5):
            plan = planned(model__release=release, model__tasks="stress,identity", **{})
            blocks = plan.mechanism.blocks
            assert blocks.named("keep_local") == ("task:identity",)
            identity = plan.factory.layout.indices("task:identity")
            assert not np.isin(identity, blocks.released).any()

    def test_what_stays_is_public_and_the_same_for_every_seed(self) -> None:
        one, two = planned(model__release="head"), planned(model__release="head", run__seed=9)
        a, b = one.factory.initial(0), two.factory.initial(9)
        shared = one.factory.layout.indices("shared")
        np.testing.assert_array_equal(a[shared], b[shared])
        assert np.abs(a[shared]).max() > 0

    def test_few_numbers_are_trained_in_few_rounds_on_own_scales(self) -> None:
        few = RunConfig().replace({"model.release": "head"})
        assert few.rounds < RunConfig().rounds == 40
        plan = outline(few)
        assert plan.config.data.normalise == "subject"
        assert plan.config.model.tasks == ("stress",)
        assert outline(plan.config).config == plan.config  # resolved once is resolved

    def test_windows_of_several_people_are_not_scaled_by_the_person(self) -> None:
        plan = planned(model__release="head", data__partition="iid")
        assert plan.config.data.normalise == "public"

    def test_a_backbone_alone_trains_its_head(self) -> None:
        assert planned(model__backbone="synthetic").config.model.release == "head"

    def test_the_noise_is_that_of_the_few_numbers(self) -> None:
        """Break-even people are z sqrt(d): PRIVACY 9, closed form."""
        plan = planned(model__release="head", **{k.replace(".", "__"): v for k, v in DP.items()})
        told = forecast_of(plan)
        z = told.noise_multiplier
        assert z is not None and told.break_even_clients is not None
        assert told.break_even_clients == pytest.approx(z * np.sqrt(WIDTH + 1), rel=1e-9)


class TestStatement:
    def test_is_formal_and_names_who_is_not_protected(self) -> None:
        plan = planned(model__release="head", **{k.replace(".", "__"): v for k, v in DP.items()})
        said = promised(plan)
        assert said.status == "FORMAL"
        public = [line for line in said.assumptions if line.startswith("Public data")]
        assert len(public) == 1
        assert "not protected" in public[0] and "simulated people" in public[0]

    def test_of_a_run_from_random_weights_assumes_no_public_data(self) -> None:
        said = promised(planned(**{k.replace(".", "__"): v for k, v in DP.items()}))
        assert not [line for line in said.assumptions if "Public" in line]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "code", "told"),
        [
            ({"model.release": 1}, "E228", "--release 2"),
            ({"model.release": 9, "model.backbone": "none"}, "E229", "--backbone synthetic"),
            ({"model.release": "head", "model.name": "stress_identity_cnn"}, "E229",
             "--model compact_encoder"),
            ({"model.backbone": "synthetix"}, "E380", "synthetic"),
            ({"model.backbone": "synthetic", "model.backbone_sha256": "0" * 64}, "E382", "restore"),
            ({"model.release": "head", "data.normalise": "global"}, "E382", "--normalise"),
        ],
    )  # fmt: skip
    def test_says_what_to_do(self, changes: dict[str, Any], code: str, told: str) -> None:
        with pytest.raises(FedaffectError) as error:
            outline(tiny(changes))
        assert error.value.code == code
        assert told in error.value.do

    @pytest.mark.parametrize("release", ["heads", "0", "-3", "1.5", "nan", ""])
    def test_a_plan_that_is_none(self, release: str) -> None:
        with pytest.raises(UsageError, match="--release") as error:
            RunConfig().replace({"model.release": release})
        assert "full, head, adapter" in error.value.do

    def test_people_who_made_the_backbone_cannot_be_private(self, tmp_path: Path) -> None:
        public = made_by("P0002", "P0031", synthetic=False)
        mine = write_cnn(tmp_path / "mine.safetensors", public_data=(public,))
        with pytest.raises(DataError, match="P0002") as error:
            planned(model__backbone=mine)
        assert error.value.code == "E383"
        assert planned(model__backbone=mine, data__people="even", synthetic__people=9).subjects

    def test_signals_of_another_device(self) -> None:
        with pytest.raises(DataError, match="reads wrist signals"):
            outline(tiny({"model.release": "head", "data.name": "wesad", "data.modality": "chest"}))

    def test_weights_of_another_shape(self, tmp_path: Path) -> None:
        mine = write_cnn(tmp_path / "m.safetensors", model="compact_encoder")
        with pytest.raises(DataError, match="does not fit") as error:
            planned(model__backbone=mine)
        assert error.value.code == "E381"

    def test_a_file_that_is_no_backbone(self, tmp_path: Path) -> None:
        for raw in (b"", b"nonsense", b"\xff" * 64):
            (tmp_path / "x.safetensors").write_bytes(raw)
            with pytest.raises(DataError, match="not a backbone"):
                planned(model__backbone=str(tmp_path / "x.safetensors"))


def test_a_run_is_formal_and_verified(tmp_path: Path) -> None:
    config = tiny({"model.release": "head", "run.out": tmp_path / "run"} | DP)
    record = fedaffect.simulate(config)
    assert record.privacy["status"] == "FORMAL"
    assert record.privacy["eps"] == pytest.approx(2.0, rel=1e-3)
    assert record.model.name == "compact_encoder"
    checks = verify(tmp_path / "run", state_home())
    assert [c.name for c in checks if c.failure] == []
