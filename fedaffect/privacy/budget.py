"""The budget of a run: default delta, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

from fedaffect.errors import UsageError
from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.spec import PrivacySpec


@dataclass(frozen=True)
class Budget:
    """Total budget over all releases of a run; ``eps`` is ``None`` where only noise was given."""

    eps: float | None
    delta: float


def budget_of(spec: PrivacySpec, plan: ReleasePlan) -> Budget:
    """Return the total budget; delta defaults to min(1e-5, 1 / (10 N)).

    With delta = 1 / N a mechanism may publish one client's update in the clear and still keep
    its promise; such a delta is refused.

    Raises:
        UsageError: E224 delta is not in (0, 1 / N); E226 there is neither an eps above 0 nor a
            noise level.
    """
    eps = 1.0 if spec.eps is None else spec.eps
    noise_given = not (spec.z is spec.sigma is spec.eps_per_round is None)
    if (spec.eps is None and not noise_given) or not 0 < eps < float("inf"):
        raise UsageError(
            "E226", f"--dp {spec.mechanism} needs a finite --eps above 0, got {spec.eps}"
        )
    if spec.delta is None:
        return Budget(spec.eps, min(1e-5, 1 / (10 * plan.n_units)))
    limit, units = 1 / plan.n_units, f"{spec.unit}s"
    if not 0 < spec.delta < limit:
        raise UsageError(
            "E224",
            f"--delta {spec.delta:g} is not below 1/N = {limit:.4g} (N = {plan.n_units} {units})",
            do=f"give a value above 0 and well below {limit:.4g}, such as {limit / 10:.1g}",
        )
    return Budget(spec.eps, spec.delta)
