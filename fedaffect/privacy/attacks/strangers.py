"""People whom the model never saw: which windows enrol them, which are tested, and their scores.

Shapes: N windows, H embedding dimensions, P people, m tested windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.attacks.enrolment import finite
from fedaffect.privacy.attacks.evidence import Windows
from fedaffect.privacy.attacks.pair_scores import PairScores, unit_rows

GAP_S = 60.0
SHRINKAGE = 0.01  # as LinearDiscriminant
FEWEST_PEOPLE = 4  # below that people with one recording are needed too


@dataclass(frozen=True)
class Strangers:
    """How unseen people are enrolled and tested.

    Args:
        people: Who they are, (P,).
        enrol: Whom a window enrols, (N,) position among ``people``, -1 for nobody: windows of
            earlier recordings, or of the first half of the only one.
        within: The same from the first half of the recording that is tested.
        test: Whose attempt a window is, (N,), -1 for none: second half of the last recording.
        background: Seen person whose labelled window the attacker holds, (N,), -1 for none.
        across: Whether ``enrol`` and ``test`` are different recordings.
    """

    people: np.ndarray
    enrol: np.ndarray
    within: np.ndarray
    test: np.ndarray
    background: np.ndarray
    across: bool

    def scores(self, h: np.ndarray, *, within: bool = False) -> tuple[PairScores, ...]:
        """Return the scores of all attempts by every attacker, for embeddings ``h`` (N, H).

        ``cosine`` is the cosine to the mean of the enrolment. ``whitened cosine`` first takes off
        the mean of seen people and their covariance within a person (Hatch et al. 2006).
        """
        h = finite(h)
        enrol = self.within if within else self.enrol
        spaces = {"cosine": h}
        if len(np.unique(self.background[self.background >= 0])) > 1:
            spaces["whitened cosine"] = self._whitened(h)
        owner = self.test[self.test >= 0]
        found = []
        for name, x in spaces.items():
            means = np.stack([x[enrol == i].mean(axis=0) for i in range(len(self.people))])
            scores = unit_rows(x[self.test >= 0]) @ unit_rows(means).T  # (m, P)
            found.append(PairScores(name, scores, owner))
        return tuple(found)

    def _whitened(self, h: np.ndarray) -> np.ndarray:
        """Return ``h`` in the metric of the seen people's covariance within a person."""
        seen = h[self.background >= 0]
        mean, deviation = seen.mean(axis=0), seen.std(axis=0)
        varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
        if not varies.any():
            return h
        h = (h[:, varies] - mean[varies]) / deviation[varies]
        seen = h[self.background >= 0]
        _, who = np.unique(self.background[self.background >= 0], return_inverse=True)
        member = np.eye(who.max() + 1)[who]
        off = seen - (member.T @ seen / member.sum(axis=0)[:, None])[who]
        covariance = off.T @ off / len(off)
        variance = np.trace(covariance) / len(covariance)
        covariance += np.eye(len(covariance)) * (SHRINKAGE * variance + 1e-9)
        whitened: np.ndarray = np.linalg.solve(np.linalg.cholesky(covariance), h.T).T
        return whitened


def strangers_of(w: Windows) -> Strangers | None:
    """Return the unseen people who can be enrolled and tested; ``None`` without any.

    People with one recording are left out where four others have several: their enrolment would
    share whatever is special about the recording.
    """
    unseen = np.unique(w.subject[w.unseen])
    recordings = {int(p): np.unique(w.recording[w.unseen & (w.subject == p)]) for p in unseen}
    several = [p for p, of in recordings.items() if len(of) > 1]
    across = len(several) >= FEWEST_PEOPLE
    enrol, within, test = (np.full(len(w.subject), -1) for _ in range(3))
    kept: list[int] = []
    for person in several if across else recordings:
        mine = w.unseen & (w.subject == person)
        last = mine & (w.recording == recordings[person][-1])
        first, second = _halves(w, last)
        earlier = mine & ~last if across else first
        if not (first.any() and second.any() and earlier.any()):
            continue
        for places, mask in ((enrol, earlier), (within, first), (test, second)):
            places[mask] = len(kept)
        kept.append(person)
    background = np.where(w.enrol & ~w.unseen, w.subject, -1)
    return Strangers(np.array(kept), enrol, within, test, background, across) if kept else None


def _halves(w: Windows, recording: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows before and after the middle of a recording, with a gap, (N,) bool each.

    The gap is a minute, at most a sixth of the recording, at least one window.
    """
    start, end = w.start_s[recording].min(), w.start_s[recording].max() + w.window_s
    gap = max(w.window_s, min(GAP_S, (end - start) / 6))
    middle = (start + end) / 2
    first = recording & (w.start_s + w.window_s <= middle - gap / 2)
    return first, recording & (w.start_s >= middle + gap / 2)
