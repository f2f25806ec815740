"""What a linear probe knows beyond its first answer: nats, and the right name among three.

Shapes: n enrolment windows, m test windows, H dimensions, N enrolled people, P tested people.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fedaffect.audit_record import AttackRow
from fedaffect.metrics import room_at_the_ends
from fedaffect.privacy.attacks.enrolment import finite, thinned
from fedaffect.privacy.attacks.identity import LinearProbe
from fedaffect.privacy.attacks.naming import ClosedSet
from fedaffect.privacy.attacks.statistics import over_people
from fedaffect.record import Estimate

BEST = 3  # names
TOP = f"top-{BEST}"
TEMPERATURES = np.geomspace(0.5, 50, 40)
DOUBT = 1e-6  # share of the uniform distribution in what the probe believes: no loss is infinite


def information(
    embedding: np.ndarray, people: ClosedSet, where: str, seed: int
) -> tuple[AttackRow, ...]:
    """Return nats and, with more than three people, top-3 accuracy of the linear probe.

    Nats are ``log N`` less the cross-entropy on held-out windows, at least 0: a lower bound on
    the mutual information between the embedding and the person (Barber & Agakov 2003). Every
    person counts alike, so that the entropy of who it is equals ``log N``. The probe's belief is
    tempered by what it gets wrong on the last third of every person's enrolment.

    Args:
        embedding: Embeddings of the windows of ``people``, (n, H).
        people: Who is enrolled and tested.
        where: Name of the layer.
        seed: Master seed.
    """
    log_p, right = _beliefs(embedding, people, seed)
    truth, count = people.truth, log_p.shape[1]
    loss = _by_person(-_tempered(log_p, _temperature(embedding, people, seed))[right], truth)

    def nats(drawn: np.ndarray) -> float:
        return max(0.0, math.log(count) - float(loss[drawn].mean()))

    rows = [_row("nats", where, nats, len(loss), 0.0, seed)]
    if count > BEST:
        hits = _by_person((log_p > log_p[right][:, None]).sum(axis=1) < BEST, truth)

        def top_3(drawn: np.ndarray) -> float:
            return float(hits[drawn].mean())

        rows.append(_row(TOP, where, top_3, len(hits), BEST / count, seed))
    return tuple(rows)


def _beliefs(
    embedding: np.ndarray, people: ClosedSet, seed: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return log-probabilities (m, N) of the test windows, and where the right names are."""
    enrol = thinned(np.flatnonzero(people.enrol), people.subject, seed)
    x, y = finite(embedding[enrol]), people.subject[enrol]
    log_p = LinearProbe().log_probabilities(x, y, finite(embedding[people.test]))
    return log_p, (np.arange(len(log_p)), np.searchsorted(np.unique(y), people.truth))


def _temperature(embedding: np.ndarray, people: ClosedSet, seed: int) -> float:
    """Return the temperature that suits the probe best within enrolment (Guo et al. 2017)."""
    within = people.held_out(2, 3)
    if within is None:
        return 1.0
    log_p, right = _beliefs(embedding, within, seed)
    losses = [-float(_tempered(log_p, t)[right].mean()) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _tempered(log_p: np.ndarray, temperature: float) -> np.ndarray:
    """Return log-probabilities (m, N) raised to 1 / temperature, with a little doubt."""
    soft = log_p / temperature
    soft = soft - np.logaddexp.reduce(soft, axis=1, keepdims=True)
    doubtful: np.ndarray = np.logaddexp(math.log1p(-DOUBT) + soft, math.log(DOUBT / log_p.shape[1]))
    return doubtful


def _row(
    metric: str,
    where: str,
    statistic: Callable[[np.ndarray], float],
    count: int,
    chance: float,
    seed: int,
) -> AttackRow:
    low, high = over_people(statistic, range(count), seed=seed)
    value = statistic(np.arange(count))
    if metric == TOP:
        low, high = room_at_the_ends(value, low, high, count)
    figure = Estimate(value=value, low=low, high=high, chance=chance, n_people=count)
    return AttackRow(name=LinearProbe.name, where=where, metric=metric, figure=figure)


def _by_person(values: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return the mean of ``values`` (m,) of every person, ascending, (P,)."""
    _, who = np.unique(person, return_inverse=True)
    means: np.ndarray = np.bincount(who, weights=values) / np.bincount(who)
    return means
