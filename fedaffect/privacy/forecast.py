"""What the noise will do to learning, before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedaffect.params import Layout
from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.promise import protects


@dataclass(frozen=True)
class Forecast:
    """Noise against signal, from the plan alone.

    Args:
        z: Noise parameter / clip norm (Gaussian: standard deviation; Laplace: b).
        noise_sd: Standard deviation of the noise per coordinate of the sum.
        n_break_even: Clients per round at which the noise on the average update is as long as
            the whole clipped signal.
        n_break_even_of: The same for each block, as if it alone were noised and released.
        noise_to_signal: Length of the noise / length of the signal with the planned clients.
        can_learn: Whether signal is at least as long as noise.
        sentences: Warnings and advice in plain words; empty where there is nothing to say.
    """

    z: float
    noise_sd: float
    n_break_even: float
    n_break_even_of: dict[str, float]
    noise_to_signal: float
    can_learn: bool
    sentences: tuple[str, ...]


def plan_forecast(mechanism: Mechanism, plan: ReleasePlan, layout: Layout) -> Forecast:
    """Return the forecast of a calibrated ``mechanism`` under ``plan``.

    Gaussian noise on d coordinates of a sum has length z C sqrt(d), the clipped updates of n
    clients at most n C: they are equal at n = z sqrt(d). Laplace noise has L1 length d b against
    n C: n = d b / C.
    """
    d = sum(group.parameters for group in mechanism.groups)
    needed = _break_even(mechanism, plan, d)
    ratio = needed / plan.clients_per_round
    if mechanism.noise_at == "client" and mechanism.spec.unit == "client":
        ratio = math.sqrt(ratio)  # noise on a mean of n falls with the root of n
    hopeless = ratio > 1 and mechanism.noise_at != "steps"
    sizes = mechanism.blocks.layout.block_sizes
    return Forecast(
        z=mechanism.scale,
        noise_sd=max((group.noise for group in mechanism.groups), default=0.0),
        n_break_even=needed,
        n_break_even_of={b: _break_even(mechanism, plan, size) for b, size in sizes.items()},
        noise_to_signal=ratio,
        can_learn=not hopeless,
        sentences=_advice(mechanism, plan, d, needed) if hopeless else (),
    )


def _break_even(mechanism: Mechanism, plan: ReleasePlan, d: int) -> float:
    """Return the clients at which noise on ``d`` coordinates is as long as the clipped signal."""
    scale = mechanism.scale * mechanism.spec.reach
    if mechanism.noise_at == "steps":  # one local step, averaged over clients
        batch = plan.local.batch_size if plan.local else 1
        return (scale * math.sqrt(d) / batch) ** 2
    laplace = bool(mechanism.events(plan)) and mechanism.events(plan)[0].noise == "laplace"
    if mechanism.noise_at == "client":
        return scale**2 * d * (d * 4 / math.pi if laplace else 1)
    return scale * (d if laplace else math.sqrt(d))


def _advice(mechanism: Mechanism, plan: ReleasePlan, d: int, needed: float) -> tuple[str, ...]:
    n, eps = plan.clients_per_round, mechanism.spec.eps
    laplace = mechanism.events(plan)[0].noise == "laplace"
    local = mechanism.noise_at == "client"
    affordable = _most_parameters(n, mechanism.scale * mechanism.spec.reach, laplace, local)
    budget = (
        f"with noise sized for a total of eps={eps:g} at delta={mechanism.spec.delta:.2g} per "
        f"client (zero-out, external observer) over {plan.releases} releases"
        if protects(mechanism)
        else "for the noised blocks alone: the others leave in the clear, without a finite epsilon"
    )
    lines = [
        f"With {n:,.4g} clients a round the noise is {needed / n:,.3g} times as long as the whole "
        f"clipped signal: the {d:,} noised parameters will not learn.",
        f"Noise and signal are equal at {math.ceil(needed):,} clients a round, {budget}.",
    ]
    fewer = f"at most {affordable:,}" if affordable else "none"
    lines.append(
        f"Release fewer noised parameters: with {n:,.4g} clients this budget carries {fewer} "
        "(a frozen or public backbone with a small head)."
    )
    if plan.releases > 1:
        lines.append("Use fewer rounds: each one costs budget. Use more clients: noise is shared.")
    else:
        lines.append("Use more clients: noise is shared between them.")
    if laplace:
        lines.append("Use --dp gaussian: its noise grows with the square root of the parameters.")
    return tuple(lines)


def _most_parameters(n: float, scale: float, laplace: bool, local: bool) -> int:
    """Return how many noised parameters ``n`` clients carry at noise as long as the signal."""
    if local:
        return int(math.sqrt(n * math.pi / 4) / scale if laplace else n / scale**2)
    return int(n / scale if laplace else (n / scale) ** 2)
