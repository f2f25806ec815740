"""What tuning finds on populations whose truth is planted, and what it writes down."""

import tomllib
from pathlib import Path

import pytest
from tiny import tiny

from fedaffect.config_sources import resolve
from fedaffect.home import state_home
from fedaffect.tuning.grid import Grid
from fedaffect.tuning.record import TuningRecord
from fedaffect.tuning.settings import settings_toml
from fedaffect.tuning.tune import tune

SMALL = Grid(
    releases=(2, "head", 9), rounds=(2, 4), local_epochs=(10,), lr=(0.5,), clip=(0.5, 2.0), draws=3
)
PEOPLE = {
    "synthetic.people": 24,
    "synthetic.sessions": 2,
    "synthetic.session_s": 300,
    "synthetic.seed": 77,
    "federation.clients": 12,
    "federation.rounds": None,
    "run.dtype": "float32",
    "dp.mechanism": "gaussian",
    "dp.eps": 8.0,
}


def tuned(shift: float = 2.0, **changes: object) -> TuningRecord:
    config = tiny({**PEOPLE, "synthetic.response_shift": shift, **changes})
    return tune(config, grid=SMALL, chosen_synthetic=True)


@pytest.fixture(scope="module")
def turned() -> TuningRecord:
    """People who react to stress otherwise than those who made the backbone."""
    return tuned()


def value(figure: object) -> float:
    found = getattr(figure, "value", figure)
    assert isinstance(found, float)
    return found


def test_training_pays_where_people_differ_and_not_where_they_do_not(turned: TuningRecord) -> None:
    alike = tuned(shift=0.0)
    gain = value(turned.chosen.stress) - value(turned.public_only)
    gain_of_none = value(alike.chosen.stress) - value(alike.public_only)
    assert gain > 0.03
    assert gain_of_none < 0.02
    assert value(alike.public_only) > value(turned.public_only) + 0.1


def test_candidates_are_all_combinations_the_best_first(turned: TuningRecord) -> None:
    assert len(turned.candidates) == 2 * 2 * 2  # releases of 2 and 9 numbers; 9 is the head
    assert {c.released_numbers for c in turned.candidates} == {2, 9}
    figures = [value(c.stress) for c in turned.candidates]
    assert figures == sorted(figures, reverse=True)
    assert turned.chosen == turned.candidates[0]
    for c in turned.candidates:
        assert c.noise_to_signal == pytest.approx(c.z * c.released_numbers**0.5 / 12)
        assert c.by_cohort == (value(c.stress),)
        assert c.stress.low is not None
        assert c.stress.high is not None
        assert c.stress.low <= value(c.stress) <= c.stress.high
        assert c.stress.n_people == 24


def test_noise_costs_what_its_size_says(turned: TuningRecord) -> None:
    """At eps 0.05 the noise is far longer than the signal: nothing is left of the gain."""
    drowned = tuned(**{"dp.eps": 0.05})
    widest = max(drowned.candidates, key=lambda c: c.noise_to_signal * c.clip)
    same = next(c for c in turned.candidates if (c.rounds, c.clip) == (widest.rounds, widest.clip))
    assert widest.noise_to_signal > 20
    assert value(widest.stress) < value(same.stress) - 0.1
    assert value(widest.stress) == pytest.approx(0.5, abs=0.12)
    assert value(widest.without_noise) == pytest.approx(
        value(next(c for c in turned.candidates if _setting(c) == _setting(widest)).without_noise)
    )


def _setting(candidate: object) -> tuple[object, ...]:
    names = ("release", "rounds", "local_epochs", "lr", "clip")
    return tuple(getattr(candidate, name) for name in names)


def test_the_same_seed_gives_the_same_record_and_no_budget_is_spent(
    turned: TuningRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDAFFECT_HOME", str(tmp_path))
    assert tuned() == turned
    other = tuned(**{"run.seed": 1})
    assert other.candidates != turned.candidates
    assert not list(state_home().glob("*.key"))
    assert not list(state_home().rglob("*ledger*"))


def test_record_survives_json(turned: TuningRecord) -> None:
    assert TuningRecord.model_validate_json(turned.model_dump_json()) == turned


def test_toml_is_a_configuration_that_simulate_takes(turned: TuningRecord, tmp_path) -> None:
    text = settings_toml(turned)
    assert text.startswith("# Chosen by fedaffect dp tune")
    assert "reaction turned by 2" in text
    file = tmp_path / "tuned.toml"
    file.write_text(text)
    assert tomllib.loads(text)["dp"]["eps"] == 8.0
    config, origins = resolve({}, file=file)
    best = turned.chosen
    assert config.model.release == best.release
    assert (config.rounds, config.local_epochs, config.lr) == (
        best.rounds,
        best.local_epochs,
        best.lr,
    )
    assert (config.dp.clip, config.batch_size) == (best.clip, 4096)
    assert config.model.backbone_sha256 == turned.backbone_sha256
    assert origins["federation.class_weights"] == str(file)


def test_weighted_classes_are_part_of_what_is_tuned(turned: TuningRecord) -> None:
    plain = tuned(**{"federation.class_weights": "none", "model.release": "head"})
    assert {c.release for c in plain.candidates} == {"head"}
    assert (turned.class_weights, plain.class_weights) == ("client", "none")
    weighted = {_setting(c): c.without_noise for c in turned.candidates}
    assert any(weighted[_setting(c)] != c.without_noise for c in plain.candidates)
