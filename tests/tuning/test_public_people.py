"""Who may be tuned on, and how they are dealt."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny

from fedaffect.config import RunConfig
from fedaffect.data.stress_predict import StressPredict
from fedaffect.errors import UsageError
from fedaffect.tuning.grid import Grid
from fedaffect.tuning.public_people import MOST_FOLDS, folds_of
from fedaffect.tuning.tune import tune

ONE = Grid(releases=(3,), rounds=(1,), local_epochs=(2,), lr=(0.5,), clip=(1.0,), draws=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(1, 40), st.integers(0, 5))
def test_everybody_is_tested_once_and_never_by_a_model_that_saw_them(
    people: int, clients: int, seed: int
) -> None:
    folds = folds_of(people, clients, seed)
    assert sorted(i for f in folds for i in f.tested) == list(range(people))
    assert 2 <= len(folds) <= MOST_FOLDS
    for fold in folds:
        assert not set(fold.clients) & set(fold.tested)
        assert len(set(fold.clients)) == len(fold.clients)
        assert len(fold.clients) == min(clients, people - len(fold.tested))
    assert folds == folds_of(people, clients, seed)


@pytest.mark.parametrize(("people", "clients", "count"), [(40, 20, 2), (24, 20, 5), (17, 20, 5)])
def test_there_are_as_few_folds_as_leave_enough_to_train(
    people: int, clients: int, count: int
) -> None:
    assert len(folds_of(people, clients, 0)) == count


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stress_predict")
    StressPredict().write_sample(root, people=3)
    return root


def on(sample: Path, backbone: str, *people: str) -> RunConfig:
    return tiny(
        {
            "data.name": "stress_predict",
            "data.root": sample,
            "data.people": people or ("all",),
            "model.backbone": backbone,
            "synthetic.people": None,
            "dp.mechanism": "gaussian",
            "dp.eps": 2.0,
        }
    )


def test_people_who_are_not_public_are_refused_before_they_are_read(sample: Path) -> None:
    with pytest.raises(UsageError, match="3 of these people") as told:
        tune(on(sample, "synthetic"), grid=ONE, stage=pytest.fail)
    assert told.value.code == "E276"


def test_people_whom_the_user_calls_public_are_tuned_on(sample: Path) -> None:
    record = tune(on(sample, "synthetic", "S02", "S04"), grid=ONE, public=True)
    (cohort,) = record.cohorts
    assert (cohort.people, cohort.training) == (2, 1)
    assert "made the backbone" not in cohort.title
    assert any("1 people stood in for 4 clients" in note for note in record.notes)


def test_people_who_made_the_backbone_are_public(sample: Path) -> None:
    record = tune(on(sample, "stress-predict"), grid=ONE)
    assert "3 of whom made the backbone" in record.cohorts[0].title
    assert any("The backbone knows" in note for note in record.notes)
