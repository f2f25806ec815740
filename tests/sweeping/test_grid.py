import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.errors import UsageError
from fedaffect.sweeping.grid import Axis, choices, read_grid, short_name


def one(text: str) -> Axis:
    (axis,) = read_grid([text])
    return axis


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("dp.eps", "dp.eps"),
        ("eps", "dp.eps"),
        ("mechanism", "dp.mechanism"),
        ("dp", "dp.mechanism"),
        ("noise-layers", "dp.noise_layers"),
        ("noise_layers", "dp.noise_layers"),
        ("--local-epochs", "federation.local_epochs"),
        ("partition", "data.partition"),
        ("strategy", "federation.strategy"),
        ("momentum", "federation.momentum"),
        ("dp.blocks.task:identity", "dp.blocks.task:identity"),
    ],
)
def test_keys_flags_and_last_parts_name_a_key(name, key):
    assert one(f"{name}=1,2").key == key


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("eps=1, 5 ,none", ("1", "5", "none")),
        ("seed=0..4", ("0", "1", "2", "3", "4")),
        ("seed=7,0..2", ("7", "0", "1", "2")),
        ("seed=3..3", ("3",)),
        ("noise-layers=all;shared,task:stress", ("all", "shared,task:stress")),
        ('noise-layers=all,"shared,task:stress"', ("all", "shared,task:stress")),
        ("strategy=fedavg,fedprox:0.1", ("fedavg", "fedprox:0.1")),
        ("clip=0.5,1.", ("0.5", "1.")),
    ],
)
def test_values_are_read(text, values):
    assert one(text).values == values


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("E261", []),
        ("E261", ["eps"]),
        ("E261", ["epps=1"]),
        ("E261", ["name=a,b"]),  # of data, model or another section
        ("E261", ["eps=1", "dp.eps=2"]),
        ("E262", ["eps="]),
        ("E262", ["eps=1,,2"]),
        ("E262", ["eps=1,1"]),
        ("E262", ['eps=1,"2']),
        ("E262", ["seed=4..0"]),
        ("E262", ["seed=0..2,1"]),
        ("E263", ["data=synthetic,wesad"]),
        ("E263", ["run.out=a,b"]),
        ("E263", ["engine=ray,local"]),
        ("E264", ["seed=0..1000"]),
        ("E264", ["seed=0..999999999999999999"]),
        ("E264", ["seed=0..99", "clients=1..11"]),
    ],
)
def test_what_is_no_grid_is_refused_with_a_remedy(code, texts):
    with pytest.raises(UsageError) as caught:
        read_grid(texts)
    assert caught.value.code == code
    assert caught.value.do


def test_a_misspelt_key_is_guessed():
    with pytest.raises(UsageError, match="did you mean noise-layers"):
        read_grid(["noise-layer=all"])


def test_an_unknown_key_is_answered_in_one_short_line():
    with pytest.raises(UsageError) as caught:
        read_grid(["qqqq=1,2"])
    assert caught.value.do == "flags: fedaffect sweep --help; keys: fedaffect simulate --dry-run"


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_every_combination_comes_once_and_the_last_axis_is_fastest(sizes):
    axes = [Axis(f"k{i}", tuple(map(str, range(size)))) for i, size in enumerate(sizes)]
    found = [tuple(choice.values()) for choice in choices(axes)]
    assert len(set(found)) == len(found) == math.prod(sizes)
    assert found == sorted(found)


def test_short_names_lead_back_to_their_keys():
    for key in ("dp.eps", "dp.mechanism", "defence.name", "model.name", "federation.momentum"):
        assert one(f"{short_name(key)}=1,2").key == key
