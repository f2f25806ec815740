"""Cards of public backbones, and whose data they say made them."""

from __future__ import annotations

from typing import Any

from fedaffect.models.backbone_card import BackboneCard, PublicData


def made_by(*people: str, **changes: Any) -> PublicData:
    """Return who made a backbone: ``people``, simulated unless ``changes`` say otherwise."""
    said: dict[str, Any] = {
        "name": "synthetic",
        "title": "Some people",
        "people": people,
        "windows": 7,
        "synthetic": True,
        "licence": "none",
        "citation": "none",
        "fingerprint": "00",
    }
    return PublicData(**(said | changes))


def card(**changes: Any) -> BackboneCard:
    """Return a card that says nothing of features or people unless ``changes`` do."""
    said: dict[str, Any] = {
        "name": "mine",
        "about": "for a test",
        "model": "compact_encoder",
        "options": {},
        "tasks": ("stress",),
        "modality": "wrist",
        "feature_names": (),
        "objective": {"public/stress": 1.0},
        "training": {"epochs": 1.0},
        "public_data": (),
        "measured": {},
        "command": "fedaffect pretrain",
        "version": "0",
    }
    return BackboneCard(**(said | changes))
