"""Some people of a data set: every second one, or by their ids."""

from __future__ import annotations

import pytest
from tiny import tiny

from fedaffect.build import build
from fedaffect.data.chosen_people import ChosenPeople
from fedaffect.data.synthetic import Synthetic
from fedaffect.errors import DataError
from fedaffect.outline import outline

WHOLE = Synthetic(people=5, sessions=1, session_s=60)


def test_even_and_odd_share_nobody_and_leave_nobody_out() -> None:
    even = ChosenPeople(WHOLE, ("even",)).subjects(None)
    odd = ChosenPeople(WHOLE, ("odd",)).subjects(None)
    assert even == ("P0001", "P0003", "P0005")
    assert odd == ("P0002", "P0004")


def test_ids_keep_the_order_of_the_data() -> None:
    assert ChosenPeople(WHOLE, ("P0004", "P0002")).subjects(None) == ("P0002", "P0004")


def test_only_their_recordings_are_read_as_they_are() -> None:
    chosen = ChosenPeople(WHOLE, ("odd",)).load(None)
    assert [r.subject for r in chosen.recordings] == ["P0002", "P0004"]
    of_all = {r.subject: r for r in WHOLE.load(None).recordings}
    for recording in chosen.recordings:
        whole = of_all[recording.subject]
        for channel, signal in recording.signals.items():
            assert (signal.values == whole.signals[channel].values).all()


def test_an_unknown_person_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match="'P0009' is not in the data") as error:
        ChosenPeople(WHOLE, ("P0001", "P0009")).subjects(None)
    assert error.value.code == "E371"
    assert "P0001" in error.value.do


def test_a_run_on_one_half_knows_nobody_of_the_other() -> None:
    config = tiny({"data.people": "even", "synthetic.people": 8, "federation.clients": 3})
    assert outline(config).subjects == ("P0001", "P0003", "P0005", "P0007")
    assert build(config).table.subjects == ("P0001", "P0003", "P0005", "P0007")
