"""What a run releases of its network, and what it started from, for its record."""

from __future__ import annotations

from fedaffect.models.backbone import Backbone
from fedaffect.outline import Outline
from fedaffect.record import BackboneSummary, PublicPeople, ReleaseSummary


def release_summary(planned: Outline) -> ReleaseSummary:
    """Return how many numbers leave the clients, and the facts of the backbone's card."""
    backbone = planned.start.backbone
    return ReleaseSummary(
        plan=str(planned.config.model.release),
        released=len(planned.mechanism.blocks.released),
        total=planned.factory.layout.size,
        backbone=None if backbone is None else _backbone(backbone),
    )


def _backbone(backbone: Backbone) -> BackboneSummary:
    card = backbone.card
    return BackboneSummary(
        name=card.name,
        about=card.about,
        sha256=backbone.sha256,
        objective=card.objective,
        public_data=tuple(
            PublicPeople(
                title=data.title,
                people=len(data.people),
                windows=data.windows,
                synthetic=data.synthetic,
                licence=data.licence,
                citation=data.citation,
            )
            for data in card.public_data
        ),
    )
