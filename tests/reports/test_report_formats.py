from __future__ import annotations

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.record import Estimate
from fedaffect.reports.formats import (
    NBSP,
    accuracy,
    count,
    delta,
    duration,
    epsilon,
    number,
    percent,
    plural,
    with_chance,
)
from fedaffect.toml_text import to_toml


def plain(text: str) -> str:
    return text.replace(NBSP, " ")


def test_an_accuracy_has_one_decimal_its_interval_and_its_chance():
    e = Estimate(value=0.7024, low=0.581, high=0.8033, chance=0.5, n_people=4)
    assert plain(accuracy(e)) == "70.2 % [58.1, 80.3]"
    assert plain(with_chance(e)) == "70.2 % [58.1, 80.3], chance 50.0 %"


def test_an_undefined_accuracy_says_why_and_is_never_zero():
    assert accuracy(Estimate(value=None, note="one class")) == "n/a (one class)"
    assert accuracy(None) == "not measured"
    assert percent(math.nan) == "n/a"
    assert plain(accuracy(Estimate(value=0.5))) == "50.0 % [no interval]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.0, "5.00"),
        (4.9991, "5.00"),
        (5.001, "5.01"),
        (48.42, "48.42"),
        (857640.3, "858,000"),
        (0.65, "0.65"),
        (0, "0.00"),
        (None, "no finite value"),
        (math.inf, "no finite value"),
        ("5", "no finite value"),
        (10**400, "no finite value"),
        (-1.0, "no finite value"),
    ],
)
def test_epsilon_is_rounded_up_and_absence_is_never_a_number(value, text):
    assert epsilon(value) == text


@given(st.floats(1e-6, 1e9))
def test_a_written_epsilon_is_never_below_the_true_one(value):
    assert float(epsilon(value).replace(",", "")) >= value * (1 - 1e-6)


def test_other_numbers():
    assert delta(1e-5) == "1e-5"
    assert delta(None) == "n/a"
    assert count(96997) == "96,997"
    assert number(5.64067) == "5.641"
    assert [number(v) for v in (20.0, 96997, 1756.75, 4.185e32, 0.0000123)] == [
        "20",
        "96,997",
        "1,757",
        "4.185e+32",
        "1.23e-5",
    ]
    assert number(True) == "yes"
    assert number(None) == "n/a"
    assert plural(1, "person", "people") == "1 person"
    assert plural(1200, "client") == "1,200 clients"
    assert [duration(s) for s in (4.4, 48, 178, 3840)] == [
        "4.4 s",
        "48 s",
        "2 min 58 s",
        "1 h 04 min",
    ]


scalars = (
    st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(st.characters(blacklist_categories=["Cs"]))
)
names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)


@given(
    st.dictionaries(
        names,
        scalars | st.lists(scalars, max_size=3) | st.dictionaries(names, scalars, max_size=3),
        max_size=5,
    )
)
def test_toml_reads_back_as_what_was_written(config):
    read = tomllib.loads(to_toml(config))
    assert read == {k: v for k, v in config.items() if v != {}}


def test_toml_leaves_out_what_is_not_set():
    assert to_toml({"a": None, "b": {"c": 1, "d": None}}) == "[b]\nc = 1\n"
