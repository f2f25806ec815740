"""How to build the network of a run, anywhere: its class and the sizes that the data decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from fedaffect import rng
from fedaffect.defences.base import Defence
from fedaffect.defences.none import UNDEFENDED
from fedaffect.models.backbone import PublicWeights
from fedaffect.models.base import MultitaskModel
from fedaffect.models.narrow_head import NarrowHead
from fedaffect.params import Layout, read_flat, write_flat


@dataclass(frozen=True)
class ModelFactory:
    """Builds a network in the run's precision.

    Args:
        model_class: The network's class.
        options: Its arguments, such as the number of features.
        dtype: ``float32`` or ``float64``.
        defence: What training does against recognising people; part of the network's ``forward``.
        public: Weights that training starts from, where they are in the network; heads that are
            not stay random.
        numbers: Train a correction of so many numbers; ``None``: the network as it is.
    """

    model_class: type[MultitaskModel]
    options: Mapping[str, Any]
    dtype: str
    defence: Defence = UNDEFENDED
    public: PublicWeights | None = None
    numbers: int | None = None

    def build(self) -> MultitaskModel:
        """Return the network with undefined initial values, in the run's precision."""
        with torch.random.fork_rng(devices=[]):
            model = self._network()
        model.defence = self.defence
        return model.to(getattr(torch, self.dtype))

    @cached_property
    def layout(self) -> Layout:
        """Layout of the flat parameter vector."""
        model = self.build()
        return Layout.of(model, model.blocks())

    def initial(self, seed: int) -> np.ndarray:
        """Return initial parameters (d,) float64 that depend on ``seed`` and nothing else."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(rng.torch_seed(seed, "initial"))
            model = self._network()  # always drawn in float32
        params: np.ndarray = read_flat(model).double().numpy()
        for name, values in self._public_values().items():
            if name in self.layout.slices:
                params[self.layout.slices[name]] = values.ravel()
        return params

    def with_params(self, params: np.ndarray) -> MultitaskModel:
        """Return the network with ``params`` (d,), ready for inference."""
        model = self.build()
        write_flat(model, torch.as_tensor(params).to(getattr(torch, self.dtype)))
        return model.eval()

    def _network(self) -> MultitaskModel:
        model = self.model_class(**self.options)
        if self.numbers is None:
            return model
        assert self.public is not None  # a correction reads its axes
        return NarrowHead(model, self.numbers, len(self.public.centre))

    def _public_values(self) -> Mapping[str, np.ndarray]:
        """Return public values by the names that they have in the network of the run."""
        if self.public is None or self.numbers is None:
            return self.public.values if self.public else {}
        inner = {f"inner.{name}": values for name, values in self.public.values.items()}
        axes = self.layout.shapes[self.layout.names.index("directions")][0]
        directions = self.public.directions[:axes]
        return inner | {"centre": self.public.centre, "directions": directions}
