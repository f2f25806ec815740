"""The shared representations of clients' windows, where training never moves what makes them."""

from __future__ import annotations

import torch

from fedaffect.models.base import EMBEDDING, MultitaskModel
from fedaffect.models.batch_dependence import batch_dependent
from fedaffect.params import Layout


class FixedEmbeddings:
    """Computed once a client, and again where the shared block is another one.

    Args:
        model: The network that trains.
        shared: Its shared parameters.
    """

    def __init__(self, model: MultitaskModel, shared: list[torch.Tensor]) -> None:
        self.model, self.shared = model, shared
        self.made_with: list[torch.Tensor] = []
        self.known: dict[int, torch.Tensor] = {}

    @classmethod
    def where_frozen(
        cls, model: MultitaskModel, frozen: torch.Tensor | None
    ) -> FixedEmbeddings | None:
        """Return them for ``model``, or ``None`` where they may change from step to step.

        They may where some of the shared block moves, or a layer drops values or mixes windows.

        Args:
            model: The network.
            frozen: Mask of the coordinates that never move, (d,) bool.
        """
        layout = Layout.of(model, model.blocks())
        if frozen is None or not frozen[torch.from_numpy(layout.indices("shared"))].all():
            return None
        if batch_dependent(model):
            return None
        parameters = dict(model.named_parameters())
        return cls(model, [parameters[name] for name in layout.blocks["shared"]])

    def of(self, client_id: int, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the column (n, H) of a client's windows ``x`` (n, F)."""
        if not (self.made_with and all(map(torch.equal, self.made_with, self.shared))):
            self.made_with, self.known = [p.detach().clone() for p in self.shared], {}
        if client_id not in self.known:
            with torch.no_grad():
                self.known[client_id] = self.model.embed({"features": x.to(self.shared[0].device)})
        return {EMBEDDING: self.known[client_id]}
