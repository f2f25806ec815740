"""Blocks that are clipped together, and how noise is divided between such groups.

Groups with sensitivity s_g and Gaussian noise sigma_g are one Gaussian release of multiplier
z_eff = (sum_g (s_g / sigma_g)^2)^(-1/2) (McMahan et al. 2018, arXiv 1812.06210); Laplace noise b_g
costs eps = sum_g s_g / b_g. The groups are never accounted one by one under sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fedaffect.errors import UsageError
from fedaffect.privacy.base import Noise, Norm
from fedaffect.privacy.blocks import BlockPlan, by_block
from fedaffect.privacy.spec import PrivacySpec


@dataclass(frozen=True)
class NoiseGroup:
    """Blocks that are clipped together and get noise of one size.

    Args:
        blocks: Names of the blocks.
        parameters: Number of their coordinates.
        clip: Clip norm C of the group, in the norm of the clip.
        sensitivity: How far one unit moves the group in the norm of the noise, under the stated
            adjacency.
        noise: Standard deviation sigma (Gaussian) or b (Laplace); 0 before calibration.
    """

    blocks: tuple[str, ...]
    parameters: int
    clip: float
    sensitivity: float
    noise: float = 0.0


def groups_of(
    spec: PrivacySpec, plan: BlockPlan, norm: Norm, noise: Noise
) -> tuple[NoiseGroup, ...]:
    """Return the groups of noised blocks: one for all, or one each where blocks have own clips.

    Args:
        spec: Clip norms and adjacency.
        plan: Which blocks get noise.
        norm: The norm of the clip.
        noise: Kind of noise, whose norm is that of the sensitivity.

    Raises:
        UsageError: E234 a block with a clip of its own gets no noise, or a noised block has none.
    """
    sizes = plan.layout.block_sizes
    noised = tuple(block for block in plan.named("noise") if sizes[block])
    own = _by_block(spec.clip.per_block, plan, "clip norm")
    if not own:
        parts = [(noised, spec.clip.bound)]
    elif missing := [b for b in noised if b not in own]:
        raise UsageError(
            "E234",
            f"blocks are clipped one by one, but {', '.join(missing)} has no clip norm",
            do="give one to every noised block, in dp.block_clips",
        )
    else:
        parts = [((b,), own[b]) for b in noised]
    made = []
    for blocks, bound in parts:
        d = sum(sizes[b] for b in blocks)
        reach = bound * norm_ratio(norm, noise, d) * spec.reach
        made.append(NoiseGroup(blocks, d, bound, reach))
    return tuple(made)


def norm_ratio(norm: Norm, noise: Noise, d: int) -> float:
    """Return the longest vector of clip norm 1 in the norm of the noise, over ``d`` coordinates.

    Gaussian noise needs L2 (an L1 ball lies in the L2 ball; a cube reaches sqrt(d)), Laplace
    noise L1 (an L2 ball reaches sqrt(d), a cube d).
    """
    if noise == "gaussian":
        return math.sqrt(d) if norm == "linf" else 1.0
    return {"l1": 1.0, "l2": math.sqrt(d), "linf": float(d)}[norm]


def joint_scale(groups: tuple[NoiseGroup, ...], noise: Noise) -> float:
    """Return noise / sensitivity of all groups jointly; 0 where a group gets no noise."""
    if not groups or any(g.noise <= 0 for g in groups):
        return 0.0
    if noise == "laplace":
        return 1 / sum(g.sensitivity / g.noise for g in groups)
    return 1 / math.hypot(*(g.sensitivity / g.noise for g in groups))


def allocate(
    groups: tuple[NoiseGroup, ...], scale: float, spec: PrivacySpec, plan: BlockPlan, noise: Noise
) -> tuple[NoiseGroup, ...]:
    """Return the groups with noise whose joint scale is ``scale``.

    Allocations: ``uniform``: the same noise everywhere; ``equal-z``: noise in proportion to the
    sensitivity; ``optimal``: least energy sum d_g sigma_g^2, at
    sigma_g = z sqrt(s_g / sqrt(d_g) * sum_j s_j sqrt(d_j)) for Gaussian and
    b_g in proportion to (s_g / d_g)^(1/3) for Laplace noise; ``custom``: in proportion to
    ``spec.ratios``.

    Raises:
        UsageError: E234 a custom ratio is missing or names a block without noise.
    """
    if spec.allocation == "uniform":
        shape = [1.0 for _ in groups]
    elif spec.allocation == "equal-z":
        shape = [g.sensitivity for g in groups]
    elif spec.allocation == "optimal":
        power = 1 / 3 if noise == "laplace" else 1 / 2
        weight = 1 / 3 if noise == "laplace" else 1 / 4
        shape = [g.sensitivity**power / g.parameters**weight for g in groups]
    else:
        shape = _custom(groups, spec, plan)
    drawn = tuple(replace(g, noise=size) for g, size in zip(groups, shape, strict=True))
    factor = scale / joint_scale(drawn, noise)
    return tuple(replace(g, noise=g.noise * factor) for g in drawn)


def _custom(groups: tuple[NoiseGroup, ...], spec: PrivacySpec, plan: BlockPlan) -> list[float]:
    ratios = _by_block(spec.ratios, plan, "noise ratio")
    if missing := [g.blocks[0] for g in groups if g.blocks[0] not in ratios]:
        raise UsageError(
            "E234",
            f"noise allocation custom has no ratio for {', '.join(missing)}",
            do="give one to every noised block, in dp.noise_ratios",
        )
    return [ratios[g.blocks[0]] for g in groups]


def _by_block(values: Mapping[str, float], plan: BlockPlan, what: str) -> dict[str, float]:
    named = by_block(values, plan.layout)
    if odd := [b for b in named if b not in plan.named("noise")]:
        raise UsageError("E234", f"block {odd[0]} has a {what} of its own, but gets no noise")
    return named
