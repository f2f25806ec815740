"""Public people -> a backbone: its weights for every scaling, and its card with what it does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fedaffect import registry
from fedaffect.data.schema import WindowTable
from fedaffect.models.backbone import PublicWeights
from fedaffect.models.backbone_card import BackboneCard
from fedaffect.models.base import MultitaskModel
from fedaffect.one_thread import one_thread
from fedaffect.pretraining.measure import Measured, embeddings, left_out, measure
from fedaffect.pretraining.people import public_data
from fedaffect.pretraining.settings import SCALINGS, Settings
from fedaffect.pretraining.train import Tick, train_network
from fedaffect.pretraining.windows import PublicWindows, scaled_features
from fedaffect.version import __version__

TRAININGS = 2 * len(SCALINGS)  # one to measure, one on everybody
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Pretrained:
    """A backbone that is not written down yet.

    Args:
        card: What is said of it.
        weights: Scaling of the features to the weights for it.
        measured: Scaling of the features to figures on people left out of a training.
    """

    card: BackboneCard
    weights: Mapping[str, PublicWeights]
    measured: Mapping[str, Measured]


def pretrain(
    table: WindowTable,
    settings: Settings,
    *,
    name: str,
    modality: str = "wrist",
    command: str = "",
    progress: Progress = lambda done, total, text: None,
) -> Pretrained:
    """Train a backbone on all people of ``table``, once for each scaling of the features.

    The figures are those of another training, without a quarter of the people.

    Args:
        table: Windows of public people, at least 3.
        settings: How to train.
        name: How the card calls it.
        modality: Device whose windows it reads.
        command: What the user typed.
        progress: Told how many epochs of how many are done, and what is under way.

    Raises:
        UsageError: E272 a width for a network whose width is fixed.
        DataError: E385 a term that the data cannot serve; E386 the training diverged.
    """
    done = 0

    def tick(text: str) -> Tick:
        def one() -> None:
            nonlocal done
            done += 1
            progress(done, TRAININGS * settings.epochs, text)

        return one

    away = left_out(len(table.subjects), settings.seed)
    kept = ~np.isin(table.subject, away)
    everyone = np.ones(len(table), dtype=bool)
    weights: dict[str, PublicWeights] = {}
    measured: dict[str, Measured] = {}
    with one_thread():
        for scaling in SCALINGS:
            scaled, terms = scaled_features(table, scaling), settings.objective[scaling]
            own = settings.under(scaling)
            part = PublicWindows.of(table, scaled, kept)
            network = train_network(part, terms, own, tick(f"{scaling} scaling, measured"))
            measured[scaling] = measure(network, table, scaling, away, settings.seed)
            whole = PublicWindows.of(table, scaled, everyone)
            network = train_network(whole, terms, own, tick(f"{scaling} scaling, everybody"))
            weights[scaling] = public_weights(network, scaled)
    card = BackboneCard(
        name=name,
        about=_about(table, settings),
        model=settings.model,
        options=_options(settings, table.features.shape[1]),
        tasks=("stress",),
        modality=modality,
        feature_names=table.feature_names,
        objective=settings.weights,
        training=settings.numbers,
        public_data=(public_data(table),),
        measured={k: v for s, m in measured.items() for k, v in m.numbers(s).items()},
        command=command,
        version=__version__,
    )
    return Pretrained(card, weights, measured)


def public_weights(network: MultitaskModel, scaled: np.ndarray) -> PublicWeights:
    """Return the weights with the principal axes of the embeddings of ``scaled`` (N, F).

    An axis points to where its largest component is positive.
    """
    h = embeddings(network, scaled).astype(np.float64)
    centre = h.mean(axis=0)
    _, vectors = np.linalg.eigh((h - centre).T @ (h - centre))
    axes = vectors.T[::-1]  # (H, H), largest variance first
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    values = {name: p.detach().numpy() for name, p in network.named_parameters()}
    return PublicWeights(values, centre, axes * np.sign(largest))


def _options(settings: Settings, features: int) -> dict[str, int]:
    """Return the sizes of the network that neither data nor tasks decide."""
    known = inspect.signature(registry.resolve("model", settings.model)).parameters
    given = {} if settings.width is None else {"width": settings.width}
    sizes = {k: p.default for k, p in known.items() if isinstance(p.default, int)}
    return {k: v for k, v in (sizes | given).items() if k not in ("n_features", "n_identities")}


def _about(table: WindowTable, settings: Settings) -> str:
    kind = "simulated people" if table.synthetic else f"people of {table.dataset}"
    terms = sorted({term for weights in settings.objective.values() for term in weights})
    return f"{len(table.subjects)} {kind}; trained for {', '.join(terms)}"
