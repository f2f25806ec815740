"""Which windows an attack on identity learns from, and numbers that any attacker can take."""

from __future__ import annotations

import numpy as np

from fedaffect.errors import DataError
from fedaffect.rng import generator, stream_key

MOST_ENROLLED = 4000  # windows; more cost time and hardly help
LARGEST = 1e30  # stands in for infinity, whose square would overflow


def check_enrolment(subject: np.ndarray, enrol_mask: np.ndarray, test_mask: np.ndarray) -> None:
    """Raise where a closed-set attack makes no sense: masks (N,) over windows of ``subject``.

    Raises:
        DataError: E364, E365 or E366, as ``attack_identity`` says.
    """
    if (enrol_mask & test_mask).any():
        raise DataError("E366", "identity attack: a window is both enrolled and tested")
    enrolled, tested = np.unique(subject[enrol_mask]), np.unique(subject[test_mask])
    if len(enrolled) < 2 or not len(tested):
        raise DataError(
            "E364",
            f"identity attack: {len(enrolled)} people enrolled, {len(tested)} tested",
            do="at least two people with training windows, and held-out windows of theirs",
        )
    strangers = np.setdiff1d(tested, enrolled)
    if len(strangers):
        raise DataError(
            "E365",
            f"identity attack: person {strangers[0]} is tested but not enrolled",
            do="test only people who were seen in training",
        )


def thinned(windows: np.ndarray, subject: np.ndarray, seed: int) -> np.ndarray:
    """Return at most about 4,000 of ``windows``, the same share of every person, ascending."""
    if len(windows) <= MOST_ENROLLED:
        return windows
    share = MOST_ENROLLED / len(windows)
    rng = generator(seed, "attack", "enrol")
    kept = []
    for person in np.unique(subject[windows]):
        own = windows[subject[windows] == person]
        kept.append(rng.permutation(own)[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(kept))


def finite(x: np.ndarray) -> np.ndarray:
    """Return ``x`` as float64 without NaN and infinities: a diverged model is attacked too."""
    return np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=LARGEST, neginf=-LARGEST)


def narrowed(h: np.ndarray, enrol_mask: np.ndarray, widest: int, seed: int) -> np.ndarray:
    """Return ``h`` (N, H) as it is, or the ``widest`` principal components of the enrolment.

    Columns are scaled to deviation 1 first, and the components are turned by a random rotation:
    attackers scale every column, which would blow the weakest components up to the strongest.
    Constant columns drop out.

    Args:
        h: Activations of windows, (N, H).
        enrol_mask: Windows that the attacker may learn from, (N,) bool.
        widest: Most columns.
        seed: Master seed of the rotation.
    """
    if h.shape[1] <= widest:
        return h
    from scipy.stats import ortho_group
    from sklearn.decomposition import PCA

    h = finite(h)
    enrol = h[enrol_mask]
    mean, deviation = enrol.mean(axis=0), enrol.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
    h = (h[:, varies] - mean[varies]) / deviation[varies]
    width = min(widest, *h[enrol_mask].shape)
    if width < 2:
        return h
    pca = PCA(
        width, svd_solver="randomized", random_state=stream_key(seed, "attack", "pca") % 2**32
    )
    turn = ortho_group.rvs(width, random_state=generator(seed, "attack", "rotation", width))
    turned: np.ndarray = pca.fit(h[enrol_mask]).transform(h) @ turn
    return turned
