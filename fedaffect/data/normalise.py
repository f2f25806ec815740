"""Scaling of features, and in plain words whose data it was computed from.

The choice decides what a privacy statement covers and how much of a person's identity is left in
the features, so every choice comes with a description for the report.
"""

from __future__ import annotations

import numpy as np

from fedaffect.data.public_scale import public_columns
from fedaffect.errors import DataError

LIMIT = 10.0  # scaled features are clipped to [-LIMIT, LIMIT]
CHOICES = ("public", "global", "subject", "none")


def normalise(
    features: np.ndarray,
    *,
    choice: str,
    train: np.ndarray,
    subject: np.ndarray,
    feature_names: tuple[str, ...],
) -> tuple[np.ndarray, str]:
    """Return scaled features (N, F) float32, and where the statistics come from, in one line.

    - ``public``: constants shipped with the package, then asinh, which is linear near 0 and
      logarithmic in the tails. Nothing is computed from the data.
    - ``global``: mean and standard deviation over the training windows of all people.
    - ``subject``: mean and standard deviation over each person's own training windows; over all
      windows of a person who has none, without their labels.
    - ``none``: the features as they are.

    All but ``none`` are clipped to [-10, 10]. A constant feature is only centred.

    Args:
        features: Windows of all people, (N, F).
        choice: One of ``CHOICES``.
        train: Which windows may be learnt from, bool (N,).
        subject: Person of each window, (N,).
        feature_names: Names of the columns, as in ``WindowTable``.

    Raises:
        DataError: E335 a feature has no public scale; E336 ``global`` without training windows.
        ValueError: ``choice`` is not one of ``CHOICES``.
    """
    if choice == "none":
        return features.astype(np.float32), "no normalisation"
    x = features.astype(np.float64)
    if choice == "public":
        centre, scale = public_columns(feature_names)
        z = np.arcsinh((x - centre) / scale)
        text = "public: constants from simulated people; nothing computed from private data"
    elif choice == "global":
        if not train.any():
            raise DataError(
                "E336", "no training windows to compute a global scale from", do="change data.eval"
            )
        z = _standard(x, x[train])
        text = (
            "global: mean and standard deviation over the training windows of all people;"
            " not covered by the privacy statement"
        )
    elif choice == "subject":
        z, calibrated = _by_subject(x, train, subject)
        text = (
            "subject: mean and standard deviation over each person's own training windows;"
            " they stay with the person"
        )
        if calibrated:
            text += f"; {calibrated} people calibrated on the person's own unlabelled windows"
    else:
        raise ValueError(f"normalise {choice!r} is none of {', '.join(CHOICES)}")
    return np.clip(z, -LIMIT, LIMIT).astype(np.float32), text


def _by_subject(x: np.ndarray, train: np.ndarray, subject: np.ndarray) -> tuple[np.ndarray, int]:
    """Return features (N, F) scaled per person, and how many people had no training window."""
    z = np.empty_like(x)
    calibrated = 0
    for person in np.unique(subject):
        own = subject == person
        known = own & train
        if not known.any():
            known, calibrated = own, calibrated + 1
        z[own] = _standard(x[own], x[known])
    return z, calibrated


def _standard(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return ``x`` less the mean of ``reference``, over its standard deviation, per column."""
    mean, sd = reference.mean(axis=0), reference.std(axis=0)
    rounding = 1e-9 * np.abs(reference).max(axis=0)
    scaled: np.ndarray = (x - mean) / np.where(sd > rounding, sd, 1.0)
    return scaled
