import pytest

from fedaffect.errors import FedaffectError
from fedaffect.sweeping.cells import Cell, label_of, plan_cells
from fedaffect.sweeping.grid import read_grid

SMALL = {"clients": 4, "rounds": 2}


def cells_of(*grid: str, overrides=(), file=None, **flags) -> tuple[Cell, ...]:
    return plan_cells(read_grid(grid), {**SMALL, **flags}, overrides, file)[0]


def test_a_cell_has_its_values_and_what_all_share():
    cells = cells_of("eps=1,5", "seed=0..1", dp="gaussian", overrides=["federation.momentum=0.5"])
    assert [c.name for c in cells] == [
        "1-eps=1-seed=0",
        "2-eps=1-seed=1",
        "3-eps=5-seed=0",
        "4-eps=5-seed=1",
    ]
    for cell in cells:
        config = cell.planned.config
        assert config.dp.eps == float(cell.values["dp.eps"])
        assert config.run.seed == int(cell.values["run.seed"])
        assert (config.dp.mechanism, config.federation.momentum) == ("gaussian", 0.5)
        assert (config.run.engine, config.run.reference, config.run.out) == ("local", False, None)


def test_none_is_a_run_without_dp_whatever_the_other_sources_say(tmp_path, monkeypatch):
    file = tmp_path / "run.toml"
    file.write_text('[dp]\nmechanism = "gaussian"\nclip = 2.0\n')
    monkeypatch.setenv("FEDAFFECT_DP__DELTA", "1e-6")
    private, plain = cells_of("eps=5,none", file=file, noise_layers="all")
    assert (private.planned.config.dp.clip, private.planned.config.dp.delta) == (2.0, 1e-6)
    assert plain.planned.config.dp.mechanism == "none"
    assert not plain.planned.mechanism.groups
    assert plain.name == "2-no-dp"


def test_cells_without_dp_that_differ_in_dp_alone_are_one():
    cells = cells_of("eps=5,none", "noise-layers=all;task:identity", "seed=0..1", dp="gaussian")
    without = [c for c in cells if c.values["dp.eps"] is None]
    assert len(cells) == 6
    assert [c.values for c in without] == [
        {"dp.eps": None, "dp.noise_layers": None, "run.seed": seed} for seed in "01"
    ]


def test_mechanism_none_is_without_dp_too():
    cells = cells_of("dp=none,gaussian,laplace", "eps=5")
    assert [c.planned.config.dp.mechanism for c in cells] == ["none", "gaussian", "laplace"]


def test_none_takes_another_value_away_or_is_one_itself():
    a, b = cells_of("delta=1e-6,none", dp="gaussian", eps=5)
    assert a.planned.config.dp.delta == 1e-6
    assert b.planned.config.dp.delta is None
    a, b = cells_of("normalise=public,none")
    assert [c.planned.config.data.normalise for c in (a, b)] == ["public", "none"]


def test_values_with_commas_and_tables_reach_the_configuration():
    _, b = cells_of("noise-layers=all;shared,task:stress", dp="gaussian", eps=5)
    assert b.planned.config.dp.noise_layers == "shared,task:stress"
    _, b = cells_of("dp.blocks.task:identity=noise,keep_local", dp="gaussian", eps=5)
    assert b.planned.config.dp.blocks == {"task:identity": "keep_local"}


def test_the_grid_wins_over_file_and_environment(tmp_path, monkeypatch):
    file = tmp_path / "run.toml"
    file.write_text("[run]\nseed = 9\n")
    monkeypatch.setenv("FEDAFFECT_RUN__SEED", "8")
    assert [c.planned.config.run.seed for c in cells_of("seed=3..4", file=file)] == [3, 4]


@pytest.mark.parametrize(
    ("code", "grid", "options"),
    [
        ("E263", ["eps=1,5"], {"eps": 5, "dp": "gaussian"}),
        ("E263", ["eps=1,5"], {"dp": "gaussian", "overrides": ["dp.eps=3"]}),
        ("E262", ["clip=1,1.0"], {"dp": "gaussian", "eps": 5}),
        ("E265", ["seed=0..1"], {"engine": "ray"}),
        ("E265", ["seed=0..1"], {"overrides": ["run.workers=2"]}),
        ("E220", ["eps=1,5"], {}),
        ("E203", ["eps=1,-5"], {"dp": "gaussian"}),
        ("E201", ["rounds=1,many"], {"rounds": None}),
        ("E221", ["clients=4,99"], {"clients": None, "overrides": ["synthetic.people=5"]}),
    ],
)
def test_a_bad_cell_is_found_before_anything_runs(code, grid, options):
    with pytest.raises(FedaffectError) as caught:
        cells_of(*grid, **options)
    assert caught.value.code == code


def test_the_bad_cell_is_named():
    with pytest.raises(FedaffectError, match="cell 2-clients=99-seed=0: --clients 99 is more"):
        cells_of("clients=4,99", "seed=0", clients=None, overrides=["synthetic.people=5"])


def test_references_are_trained_where_they_are_asked_for():
    assert all(c.planned.config.run.reference for c in cells_of("seed=0..1", reference=True))


def test_the_setting_is_told_without_the_seed():
    values = {"dp.eps": "5", "data.partition": "iid", "run.seed": "3"}
    assert label_of(values, without=["run.seed"]) == "eps=5, partition=iid"
    assert label_of({**values, "dp.eps": None}) == "no DP, partition=iid, seed=3"
    assert label_of({"run.seed": "3"}, without=["run.seed"]) == "one setting"
