"""The sentences of a statement: what the releases satisfy, what holds it up, what voids it."""

from __future__ import annotations

from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.blocks import BlockPlan
from fedaffect.privacy.mechanisms.window_noise import sampling_rate
from fedaffect.privacy.scope import Scope
from fedaffect.privacy.wording import (
    LARGEST_MEANINGFUL_EPS,
    delta_text,
    eps_text,
    names,
    pair_text,
    times,
)

_PUBLIC = "Number of clients, rounds, clip norm and denominator are public and do not depend on "
_ASSUMPTIONS = {
    "server": (
        "The server is honest: it clips every update, adds the noise and publishes nothing else.",
        "The noise key stays secret, and its stream cannot be told from random.",
        f"{_PUBLIC}data.",
        "Clients hold disjoint data; initial model and architecture do not depend on these data.",
    ),
    "client": (
        "The client is honest to itself: it clips its contribution and adds the noise before it "
        "sends. The server need not be trusted.",
        "The client's own noise key stays secret, and its stream cannot be told from random.",
        "Where a smaller eps is stated for those who see only the global models: the other "
        "clients add their noise honestly, too, and nobody pools what he knows of it with others.",
        f"{_PUBLIC}data.",
        "Clients hold disjoint data; initial model and architecture do not depend on these data.",
    ),
    "steps": (
        "The client is honest to itself: it clips the gradient of every window and adds the noise "
        "in every local step. The server need not be trusted.",
        "The client's own key stays secret: noise, and the draws of windows, come from it and "
        "cannot be told from random.",
        f"{_PUBLIC}data, and neither does each client's number of windows.",
        "A window is with one client; initial model and architecture do not depend on these data.",
    ),
}


def full(scope: Scope, eps: float, delta: float, releases: int, accountant: str) -> str:
    """Return the sentence for a run in which every released block is noised."""
    noise = scope.noise.capitalize()
    promise = f"{pair_text(eps, delta)}-differential privacy with respect to {scope.change}"
    if scope.noise_at == "client":
        return (
            f"The contributions that a client sends in up to {times(releases, 'round')} satisfy "
            f"{promise}, against the server too, assuming an honest client and {noise} noise added "
            f"by the client before it sends ({accountant} accountant)."
        )
    if scope.noise_at == "steps":
        return (
            f"All that leaves the clients in up to {times(releases, 'round')} satisfies {promise}, "
            f"against the server too, assuming honest clients and {noise} noise added in every "
            f"local step ({accountant} accountant)."
        )
    return (
        f"The final global model and all {releases} intermediate models satisfy {promise}, "
        f"assuming an honest server and {noise} noise added at aggregation "
        f"({accountant} accountant)."
    )


def partial(blocks: BlockPlan) -> str:
    """Return the sentence for a release with blocks in the clear."""
    noised = blocks.named("noise")
    begin = (
        f"Noise was added only to {names(noised)} ({int(blocks.mask('noise').sum()):,} of "
        f"{blocks.layout.size:,} parameters). "
    )
    if len(noised) + len(blocks.named("clear")) == len(blocks.policies):
        begin += "Parameters outside it are released without a DP guarantee; "
    else:
        begin += f"{names(blocks.named('clear'))}: released without a DP guarantee; "
    return f"{begin}the overall model has no finite epsilon."


def withheld(blocks: BlockPlan, noise_at: str) -> list[str]:
    """Return what is said of frozen blocks and of those that stay on the clients."""
    lines = []
    if kept := blocks.named("keep_local"):
        how = ", with the same noise in every step" if noise_at == "steps" else ""
        lines.append(
            f"{names(kept)}: trained on each client for itself{how}, never leave the client."
        )
    if frozen := blocks.named("freeze"):
        lines.append(f"{names(frozen)}: frozen at public initial values, never trained.")
    if lines and not blocks.named("clear"):
        lines.append("What releases nothing leaves the eps finite.")
    return lines


def of_blocks(scope: Scope, blocks: BlockPlan, eps: float, delta: float, accountant: str) -> str:
    """Return the conditional sentence for the noised blocks of a partial release."""
    seen_by = "the server" if scope.noise_at == "client" else "observers of the global models"
    return (
        f"{names(blocks.named('noise'))} alone: (eps_b={eps_text(eps)}, "
        f"delta_b={delta_text(delta)}), one round, given the broadcast model (unit: {scope.one}; "
        f"{scope.adjacency}; {seen_by}; {accountant} accountant). Rounds do not compose: from "
        "round 2 on the updates of others depend on a client through the blocks in the clear."
    )


def scope_line(scope: Scope, done: int, planned: int) -> str:
    """Return horizon, unit, adjacency and observer in one line."""
    counted = " a client" if scope.noise_at in ("client", "steps") else ""
    return (
        f"Horizon: the whole run, {done} of {planned} planned releases{counted}. Unit: "
        f"{scope.one}. Adjacency: {scope.adjacency_text}. Observer: {scope.observer}."
    )


def per_round(scope: Scope, eps: float, basic: float, delta: float, accountant: str) -> str:
    """Return what one round costs, and the sum over rounds, beside the total."""
    return (
        f"One round alone: {scope.pair(eps, delta, 'one round', accountant)}; rounds compose to "
        f"the total above, by simple addition to (eps={eps_text(basic)}, "
        f"delta={delta_text(delta)}) over the run."
    )


def pure(eps: float) -> str:
    """Return the second claim of Laplace noise."""
    return f"By basic composition also (eps={eps_text(eps)}, delta=0), same unit and horizon."


def under_other(adjacency: str, one: str, eps: float, delta: float) -> str:
    """Return the same releases under the other adjacency."""
    return (
        f"The same noise under {adjacency}: {pair_text(eps, delta)} for {one}, same observer, "
        "horizon and accountant."
    )


def too_large(eps: float) -> list[str]:
    """Return a plain word on an eps that bounds nothing anyone cares for."""
    if eps <= LARGEST_MEANINGFUL_EPS:
        return []
    return ["An eps above 20 is a bound in form only: in practice it protects nobody."]


def sampling(plan: ReleasePlan, noise_at: str) -> str:
    """Return how clients, and windows in a step, were drawn and what it earns."""
    clients = _clients_drawn(plan, noise_at)
    if plan.local is None:
        return clients
    rates = [sampling_rate(smallest, plan.local.batch_size) for smallest, _ in plan.local.spans]
    return (
        f"in a local step each window of a client with probability up to {max(rates):.3g}, "
        "independently, from the client's secret key: this amplifies, against everyone outside "
        f"the client. Clients: {clients}"
    )


def _clients_drawn(plan: ReleasePlan, noise_at: str) -> str:
    if plan.sampler == "poisson":
        drawn = f"each client with probability {plan.sampling_rate:.4g}, independently, "
        if noise_at == "client":
            return (
                f"{drawn}from the secret key: no amplification, as the size of the clients' own "
                "noise tells how many took part"
            )
        if noise_at == "steps":
            return f"{drawn}from the secret key: no further amplification is counted"
        return f"{drawn}from the secret key: amplification for the external observer only"
    if plan.sampler == "fixed" and plan.participation_cap is not None:
        return (
            "a fixed number of clients a round, nobody in more than "
            f"{times(plan.participations, 'release')}: accounted as if everyone took part so often"
        )
    if plan.sampler == "fixed":
        return "a fixed number of clients a round: accounted as if everyone took part, always"
    return "everyone takes part in every round: no amplification"


def canaries(count: int, clients: float) -> str:
    """Return what simulated canary clients change, and what they do not."""
    return (
        f"{times(count, 'canary client')} with random updates, each in every round or in none by "
        "a fair coin: a constant in every sum that depends on nobody's data, so the promise to "
        f"the clients is as without them; sums are divided by {clients + count / 2:g}."
    )


def assumptions(scope: Scope, public_data: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a promise rests on.

    Args:
        scope: What an eps refers to.
        public_data: Whose data made what the training started from.
    """
    secret_draws = "Who takes part in a round, and how many, is never published."
    known = _ASSUMPTIONS[scope.noise_at]
    public = tuple(
        f"Public data: the training started from weights made of {whose}. These people are not "
        "protected, and nobody of them is among the clients."
        for whose in public_data
    )
    return (*known, *([secret_draws] if scope.amplified else []), *public)


def not_covered(scope: Scope) -> tuple[str, ...]:
    """Return what no promise here speaks of."""
    drawn = "accuracies and losses printed by this run are un-noised releases"
    if scope.noise_at in ("client", "steps"):
        drawn = (
            "losses stay on the clients, but the accuracies that this simulation prints come from "
            "everybody's data, without noise"
        )
    rounding = (
        "Laplace draws have the granularity of float64, which is not mitigated (Mironov 2012)"
        if scope.noise == "laplace"
        else "mitigated (sum of four Gaussians in float64), not proven"
    )
    return (
        "hyper-parameters: their choice on the same data is not accounted",
        f"metrics: {drawn}",
        "failures: whether a client answered, and the kind of its failure, is not noised",
        f"floating point: {rounding}",
        "timing and other side channels",
        "test-time biometrics: who gives signals to the model can be recognised from them",
        "other runs on the same data: each has a budget of its own, and the budgets add up",
    )
