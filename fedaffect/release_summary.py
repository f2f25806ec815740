"""What a run releases of its network, and what it started from, for its record."""

from __future__ import annotations

from dataclasses import replace

from fedaffect.models.backbone import Backbone
from fedaffect.outline import Outline
from fedaffect.privacy.blocks import block_plan
from fedaffect.privacy.spec import PrivacySpec
from fedaffect.record import BackboneSummary, PublicPeople, ReleaseSummary
from fedaffect.release_choice import policies


def release_summary(planned: Outline) -> ReleaseSummary:
    """Return how many numbers leave the clients, and the facts of the backbone's card."""
    backbone, plan = planned.start.backbone, str(planned.config.model.release)
    released = len(planned.mechanism.blocks.released)
    return ReleaseSummary(
        plan=plan,
        released=released,
        total=planned.factory.layout.size,
        plans=_numbers_of_plans(planned) | {plan: released},
        backbone=None if backbone is None else _backbone(backbone),
    )


def _numbers_of_plans(planned: Outline) -> dict[str, int]:
    """Return the numbers that every named plan releases of the network of the run."""
    factory = replace(planned.factory, numbers=None)
    model, numbers = factory.build(), {}
    for release in ("full", "adapter", "head"):
        spec = PrivacySpec("none", policies=policies(release, model))
        numbers[release] = len(block_plan(spec, factory.layout, noise=False).released)
    return numbers


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
