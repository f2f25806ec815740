"""What the noise will do to learning, before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedaffect.params import Layout
from fedaffect.privacy.base import Mechanism, Noise, ReleasePlan
from fedaffect.privacy.break_even import clients_needed, noise_to_signal
from fedaffect.privacy.groups import NoiseGroup
from fedaffect.privacy.promise import protects
from fedaffect.privacy.wording import times


@dataclass(frozen=True)
class Forecast:
    """Noise against signal, from the plan alone.

    Args:
        z: Noise parameter / sensitivity of all groups of blocks jointly.
        noise_sd: Largest standard deviation of the noise per coordinate of the sum, of a
            contribution, or of a step.
        n_break_even: Clients per round at which the noise on the average update is as long as
            the whole clipped signal; for unit ``window`` the same of one local step.
        n_break_even_of: The same for each noised block, as if it alone were released.
        noise_to_signal: Length of the noise / length of the signal with the planned clients.
        can_learn: Whether signal is at least as long as noise; ``None`` where lengths do not
            tell, because many noised steps average out.
        sentences: Warnings and advice in plain words; empty where there is nothing to say.
    """

    z: float
    noise_sd: float
    n_break_even: float
    n_break_even_of: dict[str, float]
    noise_to_signal: float
    can_learn: bool | None
    sentences: tuple[str, ...]


def largest_sd(mechanism: Mechanism) -> float:
    """Return the largest standard deviation of noise on a coordinate; 0 without noise."""
    noise = max((group.noise for group in mechanism.groups), default=0.0)
    return noise * math.sqrt(2) if getattr(mechanism, "noise", "") == "laplace" else noise


def plan_forecast(mechanism: Mechanism, plan: ReleasePlan, layout: Layout) -> Forecast:
    """Return the forecast of a calibrated ``mechanism`` under ``plan`` (``break_even``)."""
    events = mechanism.events(plan)
    noise: Noise = events[0].noise if events else "gaussian"
    sizes = mechanism.blocks.layout.block_sizes
    whole = _noise_over_signal(
        [(g, g.parameters) for g in mechanism.groups], mechanism.spec.reach, noise
    )
    needed = _clients(mechanism, plan, noise, whole)
    ratio = noise_to_signal(needed, plan.clients_per_round, mechanism.noise_at)
    averaging = mechanism.noise_at == "steps"
    drowned = ratio > 1
    return Forecast(
        z=mechanism.scale,
        noise_sd=largest_sd(mechanism),
        n_break_even=needed,
        n_break_even_of={
            block: _clients(
                mechanism,
                plan,
                noise,
                _noise_over_signal([(g, sizes[block])], mechanism.spec.reach, noise),
            )
            for g in mechanism.groups
            for block in g.blocks
        },
        noise_to_signal=ratio,
        can_learn=None if drowned and averaging else not drowned,
        sentences=()
        if not drowned
        else (_of_steps(ratio, plan),)
        if averaging
        else _advice(mechanism, plan, noise, needed, ratio),
    )


def _noise_over_signal(parts: list[tuple[NoiseGroup, int]], reach: int, noise: Noise) -> float:
    """Return the length of the noise on one sum / the longest contribution, in the noise's norm.

    Args:
        parts: Groups with the number d of their coordinates that count.
        reach: Clip norms by which one unit moves a sum: the sensitivity is that many.
        noise: Decides the norm: L2 for Gaussian, L1 for Laplace noise.
    """
    if not parts:
        return 0.0
    signals = [g.sensitivity / reach for g, _ in parts]
    if noise == "laplace":
        return math.fsum(d * g.noise for g, d in parts) / math.fsum(signals)
    return math.hypot(*(math.sqrt(d) * g.noise for g, d in parts)) / math.hypot(*signals)


def _clients(mechanism: Mechanism, plan: ReleasePlan, noise: Noise, ratio: float) -> float:
    batch_size = plan.local.batch_size if plan.local else 1
    return clients_needed(ratio, noise, mechanism.noise_at, batch_size)


def _of_steps(ratio: float, plan: ReleasePlan) -> str:
    return (
        f"In one local step the noise on the average of {plan.clients_per_round:,.4g} clients is "
        f"{ratio:,.3g} times as long as the clipped gradient: steps and rounds average some of it "
        "out, so only a run tells how much is learnt."
    )


def _advice(
    mechanism: Mechanism, plan: ReleasePlan, noise: Noise, needed: float, ratio: float
) -> tuple[str, ...]:
    n, local = plan.clients_per_round, mechanism.noise_at == "client"
    d = sum(group.parameters for group in mechanism.groups)
    lines = [
        f"With {n:,.4g} clients a round the noise is {ratio:,.3g} times as long as the whole "
        f"clipped signal: the {d:,} noised parameters will not learn.",
        f"Noise and signal are equal at {math.ceil(needed):,} clients a round, "
        f"{_noised(mechanism, plan)}.",
    ]
    if plan.releases > 1:
        lines.append("Use fewer rounds: each one costs budget. Use more clients: noise is shared.")
    else:
        lines.append("Use more clients: noise is shared between them.")
    if local:
        lines.append(
            "Use --dp-where server where the server can be trusted: noise is then added once to "
            "the sum, and not by every client."
        )
    if noise == "laplace":
        lines.append("Use --dp gaussian: its noise grows with the square root of the parameters.")
    else:
        lines.append(
            "Use --unit window for far less noise: it protects single training windows, not people."
        )
    return tuple(lines)


def _noised(mechanism: Mechanism, plan: ReleasePlan) -> str:
    """Say which noise is meant."""
    if not protects(mechanism):
        return "for the noised blocks alone: the others leave in the clear, without a finite eps"
    return f"at a noise multiplier of {mechanism.scale:.4g} over {times(plan.releases, 'release')}"
