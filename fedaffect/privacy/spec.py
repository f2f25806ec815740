"""What a user asks of privacy, as one frozen value: mechanism, budget, clip, blocks, unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Adjacency = Literal["zero_out", "replace_one"]
Unit = Literal["client", "window"]
Place = Literal["server", "client"]
BlockPolicy = Literal["noise", "freeze", "keep_local", "clear"]
Allocation = Literal["uniform", "optimal", "equal-z", "custom"]


@dataclass(frozen=True)
class AdaptiveClip:
    """A clip norm that follows a quantile of the clients' norms (Andrew et al. 2021).

    Args:
        quantile: Share gamma of the clients whose norm should lie within the clip.
        rate: Step eta of the geometric update.
        count_noise: Standard deviation sigma_b of the noise on the number of clients within;
            ``None``: the larger of n / 20 and 2 z.
    """

    quantile: float = 0.5
    rate: float = 0.2
    count_noise: float | None = None


@dataclass(frozen=True)
class ClipSpec:
    """How one contribution is bounded before it is summed.

    Args:
        bound: Clip norm C over the noised blocks together; the first C where it adapts.
        norm: ``l2``, ``l1`` or ``linf`` (every coordinate by itself); ``None``: the mechanism's.
        target: What is clipped and released: the ``update``, or the ``weights`` themselves.
        per_block: Block name to its own C: these blocks are clipped one by one.
        adaptive: Set where C follows the clients' norms.
    """

    bound: float = 1.0
    norm: Literal["l1", "l2", "linf"] | None = None
    target: Literal["update", "weights"] = "update"
    per_block: Mapping[str, float] = field(default_factory=dict)
    adaptive: AdaptiveClip | None = None


@dataclass(frozen=True)
class PrivacySpec:
    """What the user asked for.

    Args:
        mechanism: Registered name of the mechanism.
        eps: Total budget over all releases of the run; ``None`` without one.
        delta: Total delta; ``None`` for the default.
        eps_per_round: Budget of one round, in the paper's modes only.
        z: Noise multiplier, given instead of (or beside) a budget.
        sigma: Standard deviation of plain noise that claims nothing.
        noise_layers: ``all``, ``shared``, ``task`` or block names separated by commas.
        policies: Block name to what happens to it, where it gets no noise (default ``clear``).
        clip: How a contribution is bounded.
        allocation: How noise is divided between blocks that are clipped one by one.
        ratios: Block name to the relative size of its noise, for allocation ``custom``.
        where: Who adds the noise.
        unit: What is protected.
        adjacency: ``zero_out``: one unit's contribution becomes zero; ``replace_one``: it becomes
            any other.
        records: |D_i| in the paper's sensitivity 2C / |D_i|, in the paper's modes only.
    """

    mechanism: str
    eps: float | None = None
    delta: float | None = None
    eps_per_round: float | None = None
    z: float | None = None
    sigma: float | None = None
    noise_layers: str = "all"
    policies: Mapping[str, BlockPolicy] = field(default_factory=dict)
    clip: ClipSpec = field(default_factory=ClipSpec)
    allocation: Allocation = "uniform"
    ratios: Mapping[str, float] = field(default_factory=dict)
    where: Place = "server"
    unit: Unit = "client"
    adjacency: Adjacency = "zero_out"
    records: int = 1000

    @property
    def reach(self) -> int:
        """How many clip norms one unit can move a sum: 1 if zeroed, 2 if replaced."""
        return 2 if self.adjacency == "replace_one" else 1
