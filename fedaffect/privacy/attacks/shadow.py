"""Shadow clients: what do uploads look like when it is known what was trained on?

The attacker trains clients of its own from the parameters that were broadcast, on windows of
unseen people and on enrolment windows, drawn anew for every shadow client; it clips and noises
their updates as the run does, and learns to tell them apart. Then it looks at the real uploads.

Paper: G. Ateniese et al., "Hacking smart machines with smarter ones", IJSN 2015; L. Melis et al.,
"Exploiting Unintended Feature Leakage in Collaborative Learning", S&P 2019.

Shapes: S shadow clients, n attacked clients, m windows of a client, r released coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fedaffect.privacy.attacks.attacker_uploads import released
from fedaffect.privacy.attacks.enrolment import finite
from fedaffect.privacy.attacks.evidence import Evidence, RoundUploads
from fedaffect.rng import generator, stream_key

FEWEST_APART = 5  # shadow clients of either answer that share nobody with the attacked client
TILT = 0.25  # how far the share of stress windows of shadow clients is moved, at most
FOLDS = 5
RIDGE = 10.0  # L2 penalty on standardised features
FAR = 4.0  # deviations at which a feature is cut off: ratios have outliers
SCREENED = 12  # features that are kept
WIDTH = 16  # random projections of a layer
WIDEST_INPUT = 64  # random projections of what a layer was fed
Change = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True, eq=False)
class Seen:
    """Uploads of one round as the attacker reads them.

    Args:
        shadow: Features of the shadow clients' uploads, (S, f).
        target: Features of the attacked uploads, (k, f).
        clients: Whose they are, (k,) positions among the attacked clients.
    """

    shadow: np.ndarray
    target: np.ndarray
    clients: np.ndarray


@dataclass(frozen=True, eq=False)
class Shadows:
    """Shadow clients beside the clients that are attacked.

    Args:
        evidence: What the attacker may know.
        rounds: Rounds whose uploads are looked at.
        clients: The attacked clients, (n,) ascending.
        targets: Windows of each of them, n times (m,): known to the judge, not to the attacker.
        drawn: Windows of each shadow client, S times (m,).
    """

    evidence: Evidence
    rounds: tuple[RoundUploads, ...]
    clients: np.ndarray
    targets: tuple[np.ndarray, ...]
    drawn: tuple[np.ndarray, ...]

    def apart(self) -> np.ndarray:
        """Return which shadow clients share no person with which attacked client, (n, S) bool."""
        subject = self.evidence.windows.subject
        held = [set(subject[rows].tolist()) for rows in self.drawn]
        return np.array([[h.isdisjoint(subject[t].tolist()) for h in held] for t in self.targets])

    def real(self) -> list[Seen]:
        """Return shadow clients beside the uploads that the server received."""
        found = []
        for round_ in self.rounds:
            known = np.isin(round_.clients, self.clients)
            uploads = finite(round_.rows[known])
            shadow = [
                self._upload(round_, rows, f"shadow {i}") for i, rows in enumerate(self.drawn)
            ]
            who = np.searchsorted(self.clients, np.array(round_.clients)[known])
            found.append(self._seen(np.stack(shadow), uploads, who))
        return found

    def planted(self, change: Change, of_shadow: np.ndarray, of_target: np.ndarray) -> list[Seen]:
        """Return shadow clients beside the attacked ones, some of both trained otherwise.

        Args:
            change: Windows (m,) of a client to those that it trains on instead, and to their
                features, ``None`` for the windows' own.
            of_shadow: Whose training is changed, (S,) bool.
            of_target: The same among the attacked clients, (n,) bool.
        """
        found = []
        for round_ in self.rounds:
            sides = []
            for side, held, changed in (
                ("shadow", self.drawn, of_shadow),
                ("target", self.targets, of_target),
            ):
                uploads = []
                for i, rows in enumerate(held):
                    trained, x = change(rows) if changed[i] else (rows, None)
                    uploads.append(self._upload(round_, trained, f"{side} {i}", x))
                sides.append(np.stack(uploads))
            found.append(self._seen(sides[0], sides[1], np.arange(len(self.clients))))
        return found

    def _upload(
        self, round_: RoundUploads, rows: np.ndarray, name: str, x: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the upload (r,) of a client with windows ``rows``; zeros where it diverges."""
        e, name = self.evidence, f"{name} of round {round_.server_round}"
        identity = e.windows.identity[rows].copy()
        if (identity < 0).any():  # a stranger pretends to be somebody
            draw = generator(e.seed, "shadow", "identity", name)
            pretended = draw.integers(0, e.windows.identity.max() + 1, len(e.windows.people))
            identity = np.where(identity < 0, pretended[e.windows.subject[rows]], identity)
        seed = stream_key(e.seed, "shadow", name) % 2**31
        update = e.trainer.update(round_.params, rows, seed, {"identity": identity}, x)
        upload = released(e, update, round_.params, name)
        return np.zeros(len(e.mechanism.blocks.released)) if upload is None else upload

    def _seen(self, shadow: np.ndarray, target: np.ndarray, clients: np.ndarray) -> Seen:
        both = upload_features(self.evidence, np.concatenate([shadow, target]))
        return Seen(both[: len(shadow)], both[len(shadow) :], clients)


def shadows_of(evidence: Evidence, count: int, rounds: int) -> Shadows | str:
    """Draw shadow clients, or say why there cannot be any.

    A shadow client has as many windows and people as one of the attacked clients. Its windows are
    drawn with replacement from unseen people and enrolment windows, with a share of stress that
    is up to ``TILT`` away from theirs.

    Args:
        evidence: What the attacker may know.
        count: Number S of shadow clients.
        rounds: Most rounds, spread over those that are known.
    """
    w = evidence.windows
    if not evidence.uploads:
        return evidence.no_uploads or "the server's uploads are not known"
    which = np.unique(np.linspace(0, len(evidence.uploads) - 1, rounds).round().astype(int))
    used = tuple(evidence.uploads[i] for i in which)
    held = np.unique(w.client[w.train & (w.client >= 0)])
    clients = np.intersect1d(held, [c for round_ in used for c in round_.clients])
    owned = np.flatnonzero(w.enrol | w.unseen)
    if not len(clients) or not len(owned):
        return "no client whose windows are known sent uploads, or the attacker owns no windows"
    targets = tuple(np.flatnonzero(w.train & (w.client == c)) for c in clients)
    draw = generator(evidence.seed, "shadow", "windows")
    people, prevalence = np.unique(w.subject[owned]), float(np.mean(w.stress[owned] == 1))
    drawn = []
    for _ in range(count):
        like = targets[draw.integers(len(targets))]
        several = min(len(people), len(np.unique(w.subject[like])))
        chosen = draw.choice(people, several, replace=False)
        pool = owned[np.isin(w.subject[owned], chosen)]
        share = np.clip(prevalence + draw.uniform(-TILT, TILT), 0.02, 0.98)
        stressed = w.stress[pool] == 1
        weight = np.where(stressed, share / max(1, stressed.sum()), 0.0)
        weight += np.where(stressed, 0.0, (1 - share) / max(1, (~stressed).sum()))
        drawn.append(draw.choice(pool, len(like), p=weight / weight.sum()))
    return Shadows(evidence, used, clients, targets, tuple(drawn))


def upload_features(evidence: Evidence, uploads: np.ndarray) -> np.ndarray:
    """Return what a classifier reads of uploads (n, r): (n, f).

    Of every layer the logarithm of its norm, its mean, random projections, and what it was fed:
    the update of a weight matrix is a sum of outer products dW = v x, that of its bias is
    db = v, so that dW db / |db|^2 is about the mean input x, whatever the size and sign of v.
    """
    blocks, columns = evidence.mechanism.blocks, []
    layout, parts = blocks.layout, {}
    for name, at in layout.slices.items():
        first, end = np.searchsorted(blocks.released, [at.start, at.stop])
        if end > first:
            parts[name] = uploads[:, first:end]
    for name, part in parts.items():
        norm = np.sqrt((part**2).sum(axis=1, keepdims=True))
        columns += [np.log(norm + 1e-12), part.mean(axis=1, keepdims=True)]
        columns.append(_projected(part, WIDTH, evidence.seed, name))
        bias = parts.get(f"{name.removesuffix('weight')}bias")
        if name.endswith("weight") and bias is not None:
            weight = part.reshape(len(part), bias.shape[1], -1)
            fed = np.einsum("nhf,nh->nf", weight, bias) / ((bias**2).sum(axis=1)[:, None] + 1e-12)
            columns.append(_projected(fed, WIDEST_INPUT, evidence.seed, name))
    return np.hstack(columns)


def _projected(part: np.ndarray, width: int, seed: int, name: str) -> np.ndarray:
    """Return ``part`` (n, s) as it is, or ``width`` random projections of it where it is wider."""
    size = part.shape[1]
    if size <= width:
        return part
    turn = generator(seed, "projection", name, width).normal(size=(size, width))
    projected: np.ndarray = part @ (turn / np.sqrt(size))
    return projected


def answers(
    seen: Sequence[Seen], truth: np.ndarray, apart: np.ndarray, *, regress: bool = False
) -> np.ndarray:
    """Return a score of every attacked client, (n,): higher is "yes", the mean over rounds.

    Each client is judged by shadow clients that share nobody with it, where there are enough.

    Args:
        seen: Uploads of the rounds.
        truth: The shadow clients' answers, (S,): 0 or 1, -1 where unknown; or figures.
        apart: Which shadow clients share nobody with which attacked client, (n, S) bool.
        regress: Whether ``truth`` holds figures.
    """
    total, count = np.zeros(len(apart)), np.zeros(len(apart))
    for uploads in seen:
        for fold in folds(len(apart)):
            of_fold = np.isin(uploads.clients, fold)
            if not of_fold.any():
                continue
            chosen = usable(truth, apart[fold].all(axis=0), regress=regress)
            said = _scores(uploads.shadow[chosen], truth[chosen], uploads.target[of_fold], regress)
            total[uploads.clients[of_fold]] += said
            count[uploads.clients[of_fold]] += 1
    scores: np.ndarray = total / np.maximum(count, 1)
    return scores


def folds(clients: int) -> list[np.ndarray]:
    """Return which clients are judged by the same shadow clients, at most ``FOLDS`` sets."""
    return [np.arange(first, clients, FOLDS) for first in range(min(FOLDS, clients))]


def usable(truth: np.ndarray, apart: np.ndarray, *, regress: bool = False) -> np.ndarray:
    """Return which shadow clients (S,) bool teach about attacked clients.

    Args:
        truth: The shadow clients' answers, (S,), as of :func:`answers`.
        apart: Which of them share nobody with these clients, (S,) bool.
        regress: Whether ``truth`` holds figures.
    """
    if regress:
        return apart if apart.sum() >= 2 * FEWEST_APART else np.ones_like(apart)
    enough = all((truth[apart] == answer).sum() >= FEWEST_APART for answer in (0, 1))
    chosen: np.ndarray = (truth >= 0) & (apart if enough else True)
    return chosen


def _scores(x: np.ndarray, y: np.ndarray, test: np.ndarray, regress: bool) -> np.ndarray:
    """Return what a linear model of shadow uploads x (s, f) says about uploads (k, f), (k,).

    Features are more than shadow clients: those that go with the answers most are kept (sure
    independence screening, Fan & Lv 2008).
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    mean, deviation = x.mean(axis=0), x.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
    x, test = (((z - mean)[:, varies] / deviation[varies]).clip(-FAR, FAR) for z in (x, test))
    kept = np.argsort(-np.abs((y - y.mean()) @ x), kind="stable")[:SCREENED]
    x, test = x[:, kept], test[:, kept]
    if regress:
        predicted: np.ndarray = Ridge(alpha=RIDGE).fit(x, y).predict(test)
        return predicted
    model = LogisticRegression(C=1 / RIDGE, class_weight="balanced", max_iter=500)
    decided: np.ndarray = model.fit(x, y).decision_function(test)
    return decided
