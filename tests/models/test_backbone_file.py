"""Reading and writing backbones: exact values back, and nothing but a whole file."""

import json
from pathlib import Path

import numpy as np
import pytest
from backbone_cards import card, made_by
from safetensors.numpy import save

from fedaffect.errors import DataError
from fedaffect.models.backbone import PublicWeights, load_backbone, save_backbone

CARD = card(
    options={"hidden": 3, "width": 2},
    feature_names=("wrist.eda/mean",),
    public_data=(made_by("P0001", "P0002"),),
)


def weights(seed: int = 0) -> dict[str, PublicWeights]:
    rng = np.random.default_rng(seed)
    return {
        scaling: PublicWeights(
            {"code.bias": rng.normal(size=2).astype(np.float32)},
            rng.normal(size=2).astype(np.float32),
            np.eye(2, dtype=np.float32),
        )
        for scaling in ("public", "subject")
    }


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_backbone(file, CARD, weights())
    read = load_backbone(str(file))
    assert read.card == CARD
    assert read.card.whose == "2 simulated people"
    for scaling, expected in weights().items():
        found = read.weights[scaling]
        assert set(found.values) == {"code.bias"}
        np.testing.assert_array_equal(found.values["code.bias"], expected.values["code.bias"])
        np.testing.assert_array_equal(found.centre, expected.centre)
        np.testing.assert_array_equal(found.directions, expected.directions)


def test_the_digest_tells_files_apart(tmp_path: Path) -> None:
    digests = set()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_backbone(tmp_path / name, CARD, weights(seed))
        digests.add(load_backbone(str(tmp_path / name)).sha256)
    assert len(digests) == 2


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_backbone(file, CARD, weights())
    whole = file.read_bytes()
    for length in {0, 4, 8, 20, len(whole) // 2, len(whole) - 1}:
        file.write_bytes(whole[:length])
        refused(file)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    file, bad = tmp_path / "mine.safetensors", weights()
    bad["public"].values["code.bias"][0] = np.nan
    save_backbone(file, CARD, bad)
    assert "not finite" in refused(file)


@pytest.mark.parametrize("missing", ["axes.centre", "axes.directions"])
def test_a_file_without_axes_is_refused(missing: str, tmp_path: Path) -> None:
    tensors = {
        f"public/{name}": np.zeros(2, np.float32)
        for name in ("code.bias", "axes.centre", "axes.directions")
        if name != missing
    }
    file = tmp_path / "mine.safetensors"
    file.write_bytes(save(tensors, metadata={"card": CARD.model_dump_json()}))
    refused(file)


@pytest.mark.parametrize("change", [{"tasks": 3}, {"secret": 1}, {"format_version": 2}])
def test_a_card_of_another_form_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    said = json.dumps(CARD.model_dump(mode="json") | change)
    file = tmp_path / "mine.safetensors"
    file.write_bytes(save({"public/x": np.zeros(2, np.float32)}, metadata={"card": said}))
    refused(file)


def test_safetensors_of_anything_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    file.write_bytes(save({"weight": np.zeros(3, np.float32)}))
    refused(file)


def test_no_file_is_told_from_a_misspelt_name(tmp_path: Path) -> None:
    for name in ("synthetc", str(tmp_path), str(tmp_path / "none.safetensors")):
        with pytest.raises(DataError) as caught:
            load_backbone(name)
        assert caught.value.code == "E380"
    with pytest.raises(DataError, match="neither shipped") as caught:
        load_backbone("synthetc")
    assert "did you mean synthetic?" in caught.value.do


def refused(file: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_backbone(str(file))
    assert caught.value.code == "E381"
    return caught.value.message
