import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from window_tables import least_distance_s, people, share_samples, table_of, tables

from fedaffect.data.splits import Fold, Split, assert_no_shared_samples, make_split
from fedaffect.errors import DataError, UsageError

SAFE = ["auto", "unseen", "blocks", "loso"]
quiet = settings(max_examples=60, deadline=None)


@quiet
@given(tables(), st.sampled_from(SAFE), st.floats(0, 90), st.sampled_from(["subject", "iid"]))
def test_no_window_shares_samples_or_comes_closer_than_the_gap(table, spec, gap_s, partition):
    try:
        split = make_split(table, spec, clients=1, seed=3, gap_s=gap_s, partition=partition)
    except DataError as error:
        assert error.code == "E362"
        return
    assert split.gap_s >= table.window_s
    assert not split.leaks_overlap
    for fold in split.folds:
        test = fold.stress_test | fold.identity_test
        assert not share_samples(table, fold.train, test)
        assert least_distance_s(table, fold.train, test) >= split.gap_s - 1e-3
        assert not (fold.train & test).any()
        assert np.array_equal(fold.enrol, fold.train)
        assert set(table.subject[fold.train]) == set(fold.seen_subjects)
        assert set(table.subject[fold.identity_test]) <= set(fold.seen_subjects)
        assert not set(fold.seen_subjects) & set(fold.unseen_subjects)
        if fold.unseen_subjects:
            assert set(table.subject[fold.stress_test]) == set(fold.unseen_subjects)
        else:
            assert np.array_equal(fold.stress_test, fold.identity_test)


@quiet
@given(tables(), st.integers(0, 2**20))
def test_the_proof_agrees_with_the_slow_oracle_on_arbitrary_masks(table, seed):
    rng = np.random.default_rng(seed)
    part = rng.choice(3, size=len(table), p=[0.6, 0.3, 0.1])  # unused, train, test
    train, test = part == 1, part == 2
    fold = Fold(train, test, np.zeros_like(test), train, (), ())
    split = Split("blocks", (fold,), "planted", 60.0, leaks_overlap=False)
    if share_samples(table, train, test):
        with pytest.raises(DataError, match="share samples") as caught:
            assert_no_shared_samples(split, table)
        assert caught.value.code == "E360"
    else:
        assert_no_shared_samples(split, table)


@quiet
@given(tables(), st.sampled_from(SAFE), st.data())
def test_one_planted_window_is_found(table, spec, data):
    try:
        split = make_split(table, spec, clients=1, seed=0)
    except DataError:
        assume(False)
    fold = split.folds[0]
    test = fold.stress_test | fold.identity_test
    moved = data.draw(st.sampled_from(np.flatnonzero(test).tolist()))
    train = fold.train.copy()
    train[moved] = True
    planted = Fold(
        train, fold.stress_test, fold.identity_test, train, fold.seen_subjects, fold.unseen_subjects
    )
    with pytest.raises(DataError) as caught:
        assert_no_shared_samples(
            Split(split.spec, (planted,), "planted", split.gap_s, False), table
        )
    assert caught.value.code == "E360"


def test_windows_that_only_touch_share_nothing():
    table = table_of([(0, 0, 10, 0.1, 2)], window_s=0.3, step_s=0.3)
    fold = Fold(
        np.array([True, False]), np.array([False, True]), *[np.zeros(2, bool)] * 2, (0,), ()
    )
    assert_no_shared_samples(Split("blocks", (fold,), "", 0.3, False), table)


def test_a_person_in_both_parts_is_found_even_across_recordings():
    table = table_of([(0, 0, 10, 0, 2), (0, 1, 10, 0, 2)])
    first = table.recording == 0
    fold = Fold(first, ~first, ~first, first, (), (0,))
    with pytest.raises(DataError, match="P0 is held out") as caught:
        assert_no_shared_samples(Split("unseen", (fold,), "", 60.0, False), table)
    assert caught.value.exit_code == 3


def test_the_end_of_each_block_is_held_out_where_classes_have_one_block():
    # Blocks of 19 windows of 60 s every 30 s: 0 to 600 s and 600 to 1200 s. The last 30 % start
    # at 420 s and at 1020 s; 60 s stay free before 420, after 600 and before 1020.
    table = table_of([(0, 0, 10, 0, 19), (0, 0, 11, 600, 19)])
    split = make_split(table, "blocks", clients=1, seed=0)
    fold = split.folds[0]
    assert table.start_s[fold.identity_test].tolist() == [
        *range(420, 541, 30),
        *range(1020, 1141, 30),
    ]
    assert table.start_s[fold.train].tolist() == [*range(0, 301, 30), *range(660, 901, 30)]
    assert split.gap_s == 60.0


def test_the_gap_shrinks_inside_short_blocks_but_not_below_one_window():
    # Blocks of 20 s with windows of 2 s: a sixth of a block is 3.33 s, below 60 s.
    table = table_of([(0, 0, 10, 0, 19), (0, 0, 11, 20, 19)], window_s=2.0, step_s=1.0)
    assert make_split(table, "blocks", clients=1, seed=0).gap_s == pytest.approx(20 / 6)
    table = table_of([(0, 0, 10, 0, 19), (0, 0, 11, 20, 19)], window_s=4.0, step_s=1.0)
    assert make_split(table, "blocks", clients=1, seed=0).gap_s == 4.0


def test_the_last_block_of_each_class_is_held_out_where_there_are_two():
    table = people(1, conditions=(10, 11, 12, 11, 10))
    fold = make_split(table, "blocks", clients=1, seed=0).folds[0]
    length_s = 30.0 * 40 + 60.0
    held_out = table.start_s >= 3 * length_s
    assert np.array_equal(fold.identity_test, held_out)
    assert np.array_equal(fold.train, table.start_s + 60 + 60 <= 3 * length_s)


def test_a_last_block_of_a_few_windows_is_no_test():
    blocks = [(0, 0, 10, 0, 40), (0, 0, 11, 2000, 40), (0, 0, 11, 4000, 40), (0, 0, 10, 6000, 1)]
    table = table_of(blocks)
    fold = make_split(table, "blocks", clients=1, seed=0).folds[0]
    tested = fold.identity_test[table.condition == 10]  # the end of the first block instead
    assert tested.tolist() == [False] * 29 + [True] * 11 + [False]


def test_the_last_session_is_held_out_where_there_are_several():
    table = people(2, conditions=(10, 11), sessions=3)
    fold = make_split(table, "blocks", clients=2, seed=0).folds[0]
    assert np.array_equal(fold.identity_test, np.isin(table.recording, [2, 5]))
    assert np.array_equal(fold.train, ~fold.identity_test)


def test_a_session_with_the_only_stress_stays_in_training():
    table = table_of([(0, 0, 10, 0, 40), (0, 1, 11, 0, 40)])
    fold = make_split(table, "blocks", clients=1, seed=0).folds[0]
    assert set(table.stress[fold.train]) == {0, 1}


def test_people_with_one_class_are_kept():
    table = people(3, conditions=(11,))
    fold = make_split(table, "blocks", clients=3, seed=0).folds[0]
    assert fold.seen_subjects == (0, 1, 2)
    assert all((fold.train & (table.subject == p)).any() for p in range(3))


@pytest.mark.parametrize(
    ("count", "clients", "partition", "held_out"),
    [(15, 12, "subject", 3), (24, 20, "subject", 4), (15, 20, "iid", 3), (3, 9, "dirichlet", 1)],
)
def test_how_many_people_are_unseen(count, clients, partition, held_out):
    split = make_split(people(count), "auto", clients=clients, seed=1, partition=partition)
    assert split.spec == "unseen"
    assert len(split.unseen_subjects[0]) == held_out
    assert len(split.seen_subjects[0]) == count - held_out
    who = "1 unseen person" if held_out == 1 else f"{held_out} unseen people"
    assert split.description == f"stress: {who}; identity: held-out blocks, 60 s gap"


def test_auto_tests_on_blocks_where_every_person_trains():
    split = make_split(people(4), "auto", clients=4, seed=0)
    assert split.spec == "blocks"
    assert split.unseen_subjects == ((),)


def test_the_seed_alone_decides_who_is_unseen():
    table = people(12)
    drawn = [make_split(table, "unseen", clients=9, seed=s).unseen_subjects[0] for s in range(20)]
    assert drawn == [
        make_split(table, "unseen", clients=9, seed=s).unseen_subjects[0] for s in range(20)
    ]
    assert len(set(drawn)) > 10


def test_loso_holds_out_each_person_once():
    split = make_split(people(4), "loso", clients=3, seed=0)
    assert split.unseen_subjects == ((0,), (1,), (2,), (3,))
    assert split.seen_subjects[1] == (0, 2, 3)


def test_random_deals_every_cell_evenly_and_says_that_it_leaks():
    table = people(3, windows=21)
    split = make_split(table, "random", clients=3, seed=0)
    assert split.leaks_overlap
    assert split.gap_s == 0
    assert "overlap" in split.description
    assert len(split.folds) == 5
    assert (sum(fold.identity_test.astype(int) for fold in split.folds) == 1).all()
    for fold in split.folds:
        assert np.array_equal(fold.train, ~fold.stress_test)
        for person in range(3):
            for stress in (0, 1):
                cell = (table.subject == person) & (table.stress == stress)
                assert abs(np.count_nonzero(fold.stress_test & cell) - cell.sum() / 5) < 1
    with pytest.raises(DataError, match="share samples"):
        assert_no_shared_samples(split, table)


def test_rows_in_another_order_give_the_same_split():
    blocks = [(p, 0, c, 2000.0 * i, 40) for p in range(3) for i, c in enumerate((10, 11, 10, 11))]
    plain, mixed = table_of(blocks), table_of(blocks, shuffle=5)
    a = make_split(plain, "unseen", clients=2, seed=0).folds[0]
    b = make_split(mixed, "unseen", clients=2, seed=0).folds[0]
    for mask in ("train", "stress_test", "identity_test"):
        assert keys(plain, getattr(a, mask)) == keys(mixed, getattr(b, mask))


def keys(table, mask):
    return set(zip(table.recording[mask].tolist(), table.start_s[mask].tolist(), strict=True))


def test_no_one_left_unseen_is_a_usage_error():
    with pytest.raises(UsageError, match="--clients 4 leaves none of 4 subjects") as caught:
        make_split(people(4), "unseen", clients=4, seed=0)
    assert caught.value.code == "E221"
    assert caught.value.do == "--clients 3, or --eval blocks"


def test_a_table_of_one_window_leaves_nothing_to_train():
    with pytest.raises(DataError, match="no training window") as caught:
        make_split(people(1, conditions=(10,), windows=1), "random", clients=1, seed=0)
    assert caught.value.code == "E361"


def test_a_person_too_short_to_test_still_trains():
    table = table_of([(0, 0, 10, 0, 40), (1, 0, 10, 0, 2)])
    fold = make_split(table, "blocks", clients=2, seed=0).folds[0]
    assert fold.seen_subjects == (0, 1)
    assert set(table.subject[fold.identity_test]) == {0}


def test_recordings_too_short_to_hold_anything_out():
    table = table_of([(p, 0, 10, 0, 2) for p in range(3)])
    with pytest.raises(DataError, match="left to test") as caught:
        make_split(table, "blocks", clients=3, seed=0)
    assert caught.value.code == "E362"


@pytest.mark.parametrize("spec", ["unseen", "loso"])
def test_one_person_cannot_be_both_seen_and_unseen(spec):
    with pytest.raises(DataError) as caught:
        make_split(people(1), spec, clients=1, seed=0)
    assert caught.value.code == "E363"
