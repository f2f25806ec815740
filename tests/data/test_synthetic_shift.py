"""Populations whose average reaction to stress is turned away from the default one's."""

import numpy as np
import pytest

from fedaffect.config import RunConfig
from fedaffect.data import synthetic_person
from fedaffect.data.synthetic_person import average_reaction, draw_person
from fedaffect.errors import UsageError
from fedaffect.outline import outline

HEART, LEAN = 32.82570212285789, -0.35898489909760545


def test_a_shifted_population_reacts_as_strongly_and_otherwise() -> None:
    sds = {k: sd for k, (_, sd) in synthetic_person._REACTIONS.items()}

    def in_sds(shift: float) -> np.ndarray:
        return np.array([m / sds[k] for k, m in average_reaction(shift).items()])

    usual = in_sds(0)
    for shift in (0.3, 0.85, 1.0, 2.0):
        turned = in_sds(shift)
        assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(usual))
        cosine = turned @ usual / np.linalg.norm(usual) ** 2
        assert cosine == pytest.approx(np.cos(shift * np.pi / 2), abs=1e-12)
    assert average_reaction(1.0)["heart_bpm"] < 0 < average_reaction(1.0)["scr_log"]


def test_without_a_shift_people_are_the_same_to_the_last_bit() -> None:
    usual, turned = (draw_person(0, 3, response_shift=shift) for shift in (0.0, 0.5))
    # golden: population 0, person 3, before populations could be shifted
    assert usual.reactions["heart_bpm"] == HEART
    assert usual.reactions["lean_y"] == LEAN
    assert turned.traits == usual.traits
    own = [p.reactions["eda_log"] - average_reaction(s)["eda_log"]
           for p, s in ((usual, 0.0), (turned, 0.5))]  # fmt: skip
    assert own[0] == pytest.approx(own[1])  # what is one's own stays


def test_the_option_reaches_the_people_and_is_bounded() -> None:
    config = RunConfig().replace({"synthetic.response_shift": 0.5, "synthetic.people": 3,
                                  "federation.clients": 2})  # fmt: skip
    assert outline(config).dataset.response_shift == 0.5  # type: ignore[attr-defined]
    with pytest.raises(UsageError):
        RunConfig().replace({"synthetic.response_shift": -0.1})
    with pytest.raises(UsageError):
        RunConfig().replace({"synthetic.response_shift": 2.1})
