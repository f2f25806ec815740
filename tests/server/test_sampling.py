"""Who takes part in a round, and which node trains whom."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaffect.errors import ClientsLostError
from fedaffect.privacy.noise import SecretNoiseKey, TestNoiseKey
from fedaffect.server.cohort import SHARES, assign, clients_of
from fedaffect.server.sampling import Sampler

sizes = st.integers(1, 40)
names = st.tuples(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 500))


@given(sizes, names)
def test_full_is_everyone(clients: int, name: tuple[int, int, int]) -> None:
    seed, fold, server_round = name
    sampler = Sampler("full", clients, 1.0, seed)
    assert sampler.draw(clients, fold, server_round, 1, None) == list(range(clients))


@given(sizes, st.data(), names)
def test_fixed_is_n_different_clients(
    clients: int, data: st.DataObject, name: tuple[int, int, int]
) -> None:
    seed, fold, server_round = name
    n = data.draw(st.integers(1, clients))
    sampler = Sampler("fixed", n, n / clients, seed)
    drawn = sampler.draw(clients, fold, server_round, 1, None)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == n and set(drawn) <= set(range(clients))
    assert drawn == sampler.draw(clients, fold, server_round, 99, None)


@given(sizes, st.floats(0.01, 1), names)
def test_poisson_is_a_subset_that_grows_with_the_rate(
    clients: int, q: float, name: tuple[int, int, int]
) -> None:
    seed, fold, server_round = name

    def draw(rate: float) -> set[int]:
        return set(Sampler("poisson", 1, rate, seed).draw(clients, fold, server_round, 1, None))

    assert draw(q / 2) <= draw(q) <= set(range(clients)) == draw(1.0)


@pytest.mark.parametrize(("kind", "rate"), [("fixed", 0.25), ("poisson", 0.25)])
def test_every_client_is_drawn_at_the_rate_and_rounds_are_independent(
    kind: str, rate: float
) -> None:
    clients, rounds = 12, 2000
    sampler = Sampler(kind, 3, rate, 0)  # type: ignore[arg-type]
    taken = np.zeros((rounds, clients))
    for r in range(rounds):
        taken[r, sampler.draw(clients, 0, r + 1, r + 1, None)] = 1
    # five standard deviations of a binomial share
    assert np.abs(taken.mean(0) - rate).max() < 5 * np.sqrt(rate * (1 - rate) / rounds)
    followed = (taken[1:] * taken[:-1]).mean(0)
    assert np.abs(followed - rate**2).max() < 5 * np.sqrt(rate**2 / rounds)
    variance = taken.sum(1).var()
    if kind == "fixed":
        assert variance == 0
    else:
        assert variance == pytest.approx(clients * rate * (1 - rate), rel=0.2)


@given(st.integers(2, 15), st.data(), st.integers(0, 10**6))
def test_nobody_takes_part_in_more_rounds_than_the_cap(
    clients: int, data: st.DataObject, seed: int
) -> None:
    n, cap = data.draw(st.integers(1, clients)), data.draw(st.integers(1, 4))
    rounds = data.draw(st.integers(1, 12))
    capped = Sampler("fixed", n, n / clients, seed, cap=cap)
    drawn = [capped.draw(clients, 0, r, r, None) for r in range(1, rounds + 1)]
    taken = Counter(i for chosen in drawn for i in chosen)
    assert max(taken.values()) <= cap
    for number, chosen in enumerate(drawn):
        before = Counter(i for earlier in drawn[:number] for i in earlier)
        free = sum(before[i] < cap for i in range(clients))
        assert len(chosen) == len(set(chosen)) == min(n, free)  # as many as may take part


def test_amplifying_draw_comes_from_the_secret_alone() -> None:
    def drawn(key: SecretNoiseKey | TestNoiseKey, seed: int, run: str, release: int) -> list[int]:
        sampler = Sampler("poisson", 1, 0.5, seed)
        return sampler.draw(60, 0, 1, release, key.draws(run))

    one, other = SecretNoiseKey(b"1" * 32), SecretNoiseKey(b"2" * 32)
    assert drawn(one, 0, "run", 1) == drawn(one, 5, "run", 1)  # the public seed has no say
    draws = [
        drawn(one, 0, "run", 1),
        drawn(other, 0, "run", 1),
        drawn(one, 0, "next run", 1),
        drawn(one, 0, "run", 2),
        Sampler("poisson", 1, 0.5, 0).draw(60, 0, 1, 1, None),
    ]
    assert all(a != b for a, b in itertools.combinations(draws, 2))


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=30),
    st.integers(1, 6),
    st.data(),
)
def test_assignment_is_longest_first(windows: list[int], nodes: int, data: st.DataObject) -> None:
    everyone = list(range(len(windows)))
    chosen = data.draw(st.lists(st.sampled_from(everyone), unique=True, min_size=1))
    hosts = {node + 2: everyone for node in range(nodes)}
    shares = assign(chosen, windows, hosts)
    assert all(len(clients_of(share)) == 1 for mine in shares.values() for share in mine)
    asked = {
        node: [i for share in mine for i in clients_of(share)] for node, mine in shares.items()
    }
    assert sorted(i for ids in asked.values() for i in ids) == sorted(chosen)
    assert all(ids == sorted(ids) for ids in asked.values())
    assert list(asked) == sorted(asked)

    load = [0] * nodes  # Graham's longest-processing-time rule, with ties to the lowest number
    for client in sorted(sorted(chosen), key=lambda c: windows[c], reverse=True):
        load[load.index(min(load))] += windows[client]
    assert [sum(windows[i] for i in asked.get(n + 2, [])) for n in range(nodes)] == load
    assert max(load) - min(load) <= max(windows[i] for i in chosen)

    shuffled = dict(reversed(list(hosts.items())))
    assert assign(list(reversed(chosen)), windows, shuffled) == shares


def test_client_trains_where_it_lives() -> None:
    asked = assign([0, 1, 2, 3], [10, 10, 99, 5], {4: [3, 0], 2: [1, 2], 3: [2, 1]})
    assert asked == {2: [((2,),)], 3: [((1,),)], 4: [((0,),), ((3,),)]}
    # those of one hospital train side by side, the larger first; nobody moves to another
    homes = {2: [0, 1, 2], 3: [3, 4]}
    asked = assign([0, 1, 2, 3, 4], [5, 9, 7, 3, 8], homes, 2)
    assert asked == {2: [((0,),), ((1, 2),)], 3: [((4, 3),)]}


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(1, 8),
    st.data(),
)
def test_stacks_do_not_depend_on_the_nodes(
    windows: list[int], nodes: int, size: int, data: st.DataObject
) -> None:
    everyone = list(range(len(windows)))
    chosen = data.draw(st.lists(st.sampled_from(everyone), unique=True, min_size=1))
    asked = assign(chosen, windows, {node + 2: everyone for node in range(nodes)}, size)
    shares = sorted(share for mine in asked.values() for share in mine)
    (alone,) = assign(chosen, windows, {9: everyone}, size).values()
    assert shares == alone
    stacks = [stack for share in shares for stack in share]
    assert len(stacks) == len(shares)  # small rounds: a share each
    assert sorted(client for stack in stacks for client in stack) == sorted(chosen)
    assert sorted(map(len, stacks))[1:] == [size] * (len(stacks) - 1)
    for one, other in itertools.permutations(stacks, 2):  # clients alike are together
        smallest, largest = (sorted(windows[c] for c in s) for s in (one, other))
        assert smallest[0] >= largest[-1] or smallest[-1] <= largest[-1]


@given(st.integers(1, 2000), st.integers(1, 20), st.integers(1, 4))
def test_a_large_round_has_few_shares(clients: int, size: int, nodes: int) -> None:
    windows = [1 + (7 * i) % 50 for i in range(clients)]
    everyone = range(clients)
    asked = assign(everyone, windows, {node + 2: everyone for node in range(nodes)}, size)
    shares = sorted(share for mine in asked.values() for share in mine)
    assert len(shares) <= SHARES
    assert sorted(i for share in shares for i in clients_of(share)) == list(everyone)
    stacks = -(-clients // size)
    assert {len(share) for share in shares} <= {-(-stacks // SHARES), stacks % -(-stacks // SHARES)}
    (alone,) = assign(everyone, windows, {9: everyone}, size).values()
    assert shares == alone


def test_client_without_a_host_is_named() -> None:
    with pytest.raises(ClientsLostError, match="client 3 is hosted by no node") as caught:
        assign([0, 3], [1, 1, 1, 1], {2: [0, 1]})
    assert caught.value.code == "E701"
