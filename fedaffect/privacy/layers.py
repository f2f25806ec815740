"""Clip and noise of a model's blocks, as a statement lists them."""

from __future__ import annotations

from typing import Any

from fedaffect.privacy.base import Mechanism
from fedaffect.privacy.promise import Promise


def clip_of(mechanism: Mechanism) -> dict[str, Any] | None:
    """Return how contributions are bounded; ``None`` without a clip."""
    if not mechanism.groups:
        return None
    spec = mechanism.spec.clip
    adaptive = spec.adaptive
    return {
        "target": "gradient of a window" if mechanism.noise_at == "steps" else spec.target,
        "norm": getattr(mechanism, "norm", spec.norm),
        "bounds": [g.clip for g in mechanism.groups],
        "adaptive": None
        if adaptive is None
        else {
            "quantile": adaptive.quantile,
            "rate": adaptive.rate,
            "count_noise": getattr(mechanism, "count_noise", adaptive.count_noise),
        },
    }


def block_lines(mechanism: Mechanism, conditional: Promise | None) -> list[dict[str, Any]]:
    """Return one line a block: its policy, and the clip and noise of its group."""
    group_of = {block: group for group in mechanism.groups for block in group.blocks}
    sizes = mechanism.blocks.layout.block_sizes
    lines = []
    for name, policy in mechanism.blocks.policies:
        group = group_of.get(name)
        alone = conditional if group is not None else None
        lines.append(
            {
                "name": name,
                "policy": policy,
                "parameters": sizes[name],
                "clip": group.clip if group else None,
                "sigma": group.noise if group else None,
                "conditional_status": "CONDITIONAL" if alone else None,
                "conditional_eps": alone.eps if alone else None,
                "conditional_delta": alone.delta if alone else None,
            }
        )
    return lines
