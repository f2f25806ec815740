import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_tables import people, table_of, tables

from fedaffect.data.partition.base import Partition
from fedaffect.data.partition.blocks import condition_runs, pieces
from fedaffect.data.partition.dirichlet import Dirichlet
from fedaffect.data.partition.iid import Iid
from fedaffect.data.partition.quantity import Quantity
from fedaffect.data.partition.shards import Shards
from fedaffect.data.partition.subject import Subject
from fedaffect.errors import UsageError
from fedaffect.registry import PARTITIONS, resolve

SCHEMES = [
    Subject(),
    Iid(),
    Dirichlet(),
    Dirichlet(alpha=1.0, by="stress"),
    Shards(),
    Shards(shards_per_client=1, by="stress"),
    Quantity(),
]
DEALT = SCHEMES[1:]


def everyone(table):
    return np.ones(len(table), dtype=bool)


@settings(max_examples=40, deadline=None)
@given(
    tables(), st.sampled_from(SCHEMES), st.integers(1, 6), st.integers(0, 2**20), st.floats(0.3, 1)
)
def test_every_training_window_is_at_exactly_one_client(table, scheme, clients, seed, share):
    train = np.random.default_rng(seed).random(len(table)) < share
    if not train.any():
        return
    try:
        partition = scheme.assign(table, train, clients, seed)
    except UsageError as error:
        assert error.code in {"E221", "E223"}
        return
    assert len(partition.clients) == clients
    assert all(len(mine) for mine in partition.clients)
    assert all((np.diff(mine) > 0).all() for mine in partition.clients)
    dealt = np.concatenate(partition.clients)
    assert np.array_equal(np.sort(dealt), np.flatnonzero(train))
    for k, mine in enumerate(partition.clients):
        for s in range(len(table.subjects)):
            assert partition.counts[k, s] == sum(table.subject[i] == s for i in mine)
        assert partition.stress_counts[k].tolist() == [
            sum(table.stress[i] == c for i in mine) for c in (0, 1)
        ]


@pytest.mark.parametrize("scheme", DEALT, ids=str)
def test_the_seed_alone_decides(scheme):
    table = people(6)
    one, again, other = (scheme.assign(table, everyone(table), 5, seed) for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)


def same(a: Partition, b: Partition) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.clients, b.clients, strict=True))


@pytest.mark.parametrize("scheme", DEALT, ids=str)
def test_pieces_of_about_ten_consecutive_windows_stay_together(scheme):
    table = people(6)  # blocks of 40 windows, rows in time order: pieces are rows 0-9, 10-19, ...
    partition = scheme.assign(table, everyone(table), 5, 0)
    assert partition.options["windows_per_piece"] == 10
    home = np.empty(len(table), dtype=int)
    for k, mine in enumerate(partition.clients):
        home[mine] = k
    assert (home.reshape(-1, 10) == home[::10, None]).all()


def test_runs_end_at_pauses_and_at_changes_of_condition_or_recording():
    blocks = [(0, 0, 10, 0, 4), (0, 0, 10, 600, 3), (0, 0, 12, 720, 2), (0, 1, 12, 0, 5)]
    table = table_of(blocks, shuffle=3)
    runs = condition_runs(table)
    assert [len(run) for run in runs] == [4, 3, 2, 5]
    for run in runs:
        assert (np.diff(table.start_s[run]) > 0).all()
        assert len(set(table.condition[run])) == len(set(table.recording[run])) == 1
    assert condition_runs(table, np.zeros(len(table), bool)) == []


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(3, 10))
def test_no_piece_mixes_people_or_conditions(table, length):
    cut = pieces(table, everyone(table), length)
    assert sum(len(piece) for piece in cut) == len(table)
    for piece in cut:
        assert len(piece) < 2 * length
        assert len(set(table.subject[piece])) == len(set(table.condition[piece])) == 1


def test_subject_puts_person_i_at_client_i():
    table = people(5)
    train = table.subject != 2
    partition = Subject().assign(table, train, 4, 0)
    assert [set(table.subject[mine]) for mine in partition.clients] == [{0}, {1}, {3}, {4}]
    assert partition.max_subjects_per_client == partition.max_clients_per_subject == 1
    assert partition.clients_per_subject.tolist() == [1, 1, 0, 1, 1]


def test_subject_with_fewer_clients_deals_people_round():
    table = people(5)
    partition = Subject().assign(table, everyone(table), 2, 0)
    assert [set(table.subject[mine]) for mine in partition.clients] == [{0, 2, 4}, {1, 3}]
    assert partition.subjects_per_client.tolist() == [3, 2]
    assert partition.max_subjects_per_client == 3
    assert partition.max_clients_per_subject == 1


def test_more_clients_than_people():
    table = people(15)
    with pytest.raises(UsageError) as caught:
        Subject().assign(table, everyone(table), 20, 0)
    assert caught.value.code == "E221"
    assert caught.value.message == (
        "--clients 20 is more than the 15 subjects of toy (partition subject)"
    )
    assert caught.value.do == "--clients 15, or --partition dirichlet"
    with pytest.raises(UsageError, match="14 subjects that are not held out, of 15 of toy"):
        Subject().assign(table, table.subject != 3, 15, 0)


def test_iid_gives_equal_shares_of_everyone():
    table = people(6)
    partition = Iid().assign(table, everyone(table), 4, 0)
    assert [len(mine) for mine in partition.clients] == [240] * 4
    assert (partition.subjects_per_client >= 5).all()


def test_dirichlet_is_more_skewed_for_smaller_alpha():
    table = people(10)

    def largest_share(alpha):
        spread = [
            Dirichlet(alpha=alpha).assign(table, everyone(table), 5, seed).counts
            for seed in range(10)
        ]
        return np.mean([(counts.max(axis=0) / counts.sum(axis=0)).mean() for counts in spread])

    assert largest_share(0.1) > 0.75  # expectation of the largest of 5 shares is about 0.9
    assert largest_share(100.0) < 0.4  # 0.2 were even


def test_dirichlet_by_stress_separates_classes():
    table = people(10)
    counts = Dirichlet(alpha=0.1, by="stress").assign(table, everyone(table), 3, 1).stress_counts
    even = Iid().assign(table, everyone(table), 3, 1).stress_counts
    skew = [np.abs(c[:, 0] / c.sum(axis=1) - 0.5).mean() for c in (counts, even)]
    assert skew[0] > 0.2 > 0.1 > skew[1]


def test_shards_limit_how_many_people_a_client_holds():
    table = people(10)  # 16 pieces each; 20 shards of 8 pieces: half a person each
    partition = Shards(shards_per_client=2).assign(table, everyone(table), 10, 0)
    assert [len(mine) for mine in partition.clients] == [160] * 10
    assert partition.max_subjects_per_client == 2
    assert partition.max_clients_per_subject == 2


def test_quantity_skews_sizes_not_people():
    table = people(10)
    sizes = [len(m) for m in Quantity(alpha=0.3).assign(table, everyone(table), 5, 0).clients]
    assert max(sizes) > 3 * min(sizes)
    even = [len(m) for m in Quantity(alpha=1e6).assign(table, everyone(table), 5, 0).clients]
    assert max(even) - min(even) <= 30


@pytest.mark.parametrize("scheme", [Iid(), Shards(), Quantity(), Dirichlet()], ids=str)
def test_fewer_pieces_than_clients(scheme):
    table = people(1, conditions=(10,), windows=9)
    with pytest.raises(UsageError, match="leaves one of 8 clients without data") as caught:
        scheme.assign(table, everyone(table), 8, 0)
    assert caught.value.code == "E223"
    assert caught.value.exit_code == 2


def test_dirichlet_gives_up_after_a_hundred_draws():
    table = people(1, windows=40)  # one label: nearly everything at one of 4 clients
    with pytest.raises(UsageError, match="100 draws with alpha 1e-05") as caught:
        Dirichlet(alpha=1e-5).assign(table, everyone(table), 4, 0)
    assert caught.value.code == "E223"


def test_every_registered_partition_is_a_frozen_dataclass():
    for name in PARTITIONS:
        scheme = resolve("partition", name)()
        with pytest.raises(AttributeError):
            scheme.alpha = 2
        assert scheme.assign(people(4), np.ones(640, bool), 2, 0).name == name


def test_dealing_prints_nothing_and_importing_it_loads_no_heavy_library():
    program = (
        "import sys; from fedaffect.data.partition.dirichlet import Dirichlet; "
        "heavy = {'datasets', 'flwr_datasets', 'sklearn', 'torch'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "from window_tables import people; import numpy as np; t = people(4); "
        "Dirichlet().assign(t, np.ones(len(t), bool), 4, 0)"
    )
    paths = [os.path.dirname(__file__), *sys.path]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
