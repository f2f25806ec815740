"""The words of privacy: fixed sentences, and numbers that are never rounded in our favour."""

from __future__ import annotations

import math

ADJACENCY = (
    "zero_out: one client's contribution is replaced by zero, under a fixed denominator, which "
    "has the formulas of adding or removing one client"
)
OBSERVERS = {
    "server": "sees every update in the clear; trusted, it adds the noise",
    "participants": "see the global models and know when they took part",
    "external": "sees the global models, not who took part",
}
_ASSUMPTIONS = (
    "The server is honest: it clips every update, adds the noise and publishes nothing else.",
    "The noise key stays secret, and its stream cannot be told from random.",
    "Number of clients, rounds, clip norm and denominator are public and do not depend on data.",
    "Clients hold disjoint data; initial model and architecture do not depend on these data.",
)
NOT_COVERED = (
    "hyper-parameters: their choice on the same data is not accounted",
    "metrics: accuracies and losses printed by this run are un-noised releases",
    "floating point: mitigated (sum of four Gaussians in float64), not proven",
    "timing and other side channels",
    "test-time biometrics: who gives signals to the model can be recognised from them",
    "other runs on the same data: each has a budget of its own, and the budgets add up",
)
NO_NOISE = "No differential privacy: no noise was added and updates were not clipped."
TEST_NOISE = "NO GUARANTEE: noise reproducible."
NOTHING = "No statement: nothing has been released yet."
NO_LEDGER = "No guarantee is stated: the releases were charged to no privacy ledger."


def eps_text(eps: float) -> str:
    """Return ``eps`` rounded up: two decimals, or three digits where it is small or large."""
    digits = 2 if 0.1 <= eps < 1000 else 2 - math.floor(math.log10(eps)) if eps > 0 else 2
    unit = 10.0**-digits
    rounded = math.ceil(eps / unit * (1 - 1e-9)) * unit
    return f"{rounded:,.{max(digits, 0)}f}"


def delta_text(delta: float) -> str:
    """Return ``delta`` as in ``1e-5``, rounded up to three digits."""
    power = math.floor(math.log10(delta) + 1e-12)
    leading = math.ceil(delta / 10.0**power * 100 * (1 - 1e-9)) / 100
    return f"{leading:g}e{power}"


def pair_text(eps: float, delta: float) -> str:
    """Return ``(eps=5.00, delta=1e-5)``."""
    return f"(eps={eps_text(eps)}, delta={delta_text(delta)})"


def full(eps: float, delta: float, releases: int, noise: str, accountant: str) -> str:
    """Return the sentence for a release in which every block is noised."""
    return (
        f"The final global model and all {releases} intermediate models satisfy "
        f"{pair_text(eps, delta)}-differential privacy with respect to adding or removing one "
        f"client, assuming an honest server and {noise.capitalize()} noise added at aggregation "
        f"({accountant} accountant)."
    )


def partial(blocks: list[str], noised: int, parameters: int) -> str:
    """Return the sentence for a release with blocks in the clear."""
    names = ", ".join(f"`{block}`" for block in blocks)
    return (
        f"Noise was added only to {names} ({noised:,} of {parameters:,} parameters). Parameters "
        "outside it are released without a DP guarantee; the overall model has no finite epsilon."
    )


def of_blocks(blocks: list[str], eps: float, delta: float, accountant: str) -> str:
    """Return the conditional sentence for the noised blocks of a partial release."""
    names = ", ".join(f"`{block}`" for block in blocks)
    return (
        f"{names} alone: (eps_b={eps_text(eps)}, delta_b={delta_text(delta)}), one round, given "
        f"the broadcast model (unit: one client; zero_out; observers of the global models; "
        f"{accountant} accountant). Rounds do not compose: from round 2 on the updates of others "
        "depend on a client through the blocks in the clear."
    )


def scope(done: int, planned: int, amplified: bool) -> str:
    """Return horizon, unit, adjacency and observer in one line."""
    seen_by = (
        "an external observer who does not learn who took part"
        if amplified
        else "anyone who sees the global models, participants included"
    )
    return (
        f"Horizon: the whole run, {done} of {planned} planned releases. Unit: one client. "
        f"Adjacency: {ADJACENCY}. Observer: {seen_by}."
    )


def assumptions(amplified: bool) -> tuple[str, ...]:
    """Return what a promise rests on."""
    secret_draws = "Who takes part in a round, and how many, is never published."
    return (*_ASSUMPTIONS, secret_draws) if amplified else _ASSUMPTIONS


def sampling(sampler: str, rate: float) -> str:
    """Return how clients were drawn and what it earns."""
    if sampler == "poisson":
        return (
            f"each client with probability {rate:.4g}, independently, from the secret key: "
            "amplification for the external observer only"
        )
    if sampler == "fixed":
        return "a fixed number of clients a round: accounted as if everyone took part, always"
    return "everyone takes part in every round: no amplification"


def clear_statistics(normalisation: str) -> str:
    """Return why data preparation left no finite epsilon."""
    return (
        f"No finite epsilon: data preparation (normalise {normalisation}) shared statistics of "
        "clients' data in the clear, beside the noised updates."
    )


def pure(eps: float) -> str:
    """Return the second claim of Laplace noise."""
    return f"By basic composition also (eps={eps_text(eps)}, delta=0), same unit and horizon."


def people(
    clients_per_subject: int,
    subjects_per_client: int,
    eps_person: float | None,
    delta: float | None,
) -> tuple[str, ...]:
    """Return the W120 warnings: where a client is not one person."""
    lines = []
    if clients_per_subject > 1:
        counted = ""
        if eps_person is not None and delta is not None:
            counted = f": for a person it is {pair_text(eps_person, delta)} over the run"
        lines.append(
            f"W120: one person's data is spread over up to {clients_per_subject} clients, so there "
            f"is no per-person guarantee at the stated eps{counted}."
        )
    if subjects_per_client > 1:
        lines.append(
            f"W120: a client holds data of up to {subjects_per_client} people, so the unit "
            "'client' is a group of people, not one person."
        )
    return tuple(lines)
