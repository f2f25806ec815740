"""What a budget costs in noise, and noise in budget, before there are data or a model to train.

Break-even clients: ``fedaffect.privacy.break_even``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from fedaffect.errors import UsageError
from fedaffect.privacy.accountants import accountant, rdp
from fedaffect.privacy.base import Event, Method, Noise
from fedaffect.privacy.break_even import NoiseAt, clients_needed, noise_to_signal
from fedaffect.privacy.spec import Adjacency, Place, Unit

TABLE_EPS = (1.0, 2.0, 5.0, 8.0, 15.0)
TABLE_ROUNDS = (1, 10, 40)
TABLE_RATE = 0.1
CROWDS = (100, 1000)
SERVER_SEES = "the server and everyone else"
MODELS_SEEN = "everyone who sees the global models, participants included; the server is trusted"
OUTSIDE = "whoever sees the global models but not who took part; the server is trusted"


@dataclass(frozen=True)
class Setting:
    """A training that could be, as far as privacy is concerned.

    Args:
        noise: Kind of noise.
        method: How it is accounted.
        where: Who adds the noise, for unit ``client``.
        unit: What is protected.
        delta: Total delta.
        rounds: Number of rounds; every one is a release.
        clients: Number of clients.
        fraction: Share of the clients in a round.
        poisson: Whether every client is drawn by itself, in secret: only that can amplify.
        clip: Clip norm C.
        blocks: Block name to its number of parameters.
        local_rate: q of one local step under unit ``window``.
        local_steps: Steps of a client in a round under unit ``window``.
        batch_size: Windows in a step under unit ``window``.
    """

    noise: Noise
    method: Method
    where: Place
    unit: Unit
    delta: float
    rounds: int
    clients: int
    fraction: float
    poisson: bool
    clip: float
    blocks: Mapping[str, int]
    local_rate: float = 1.0
    local_steps: int = 1
    batch_size: int = 1

    @property
    def clients_per_round(self) -> float:
        """Number n of clients in a round, planned or expected."""
        n = self.clients * self.fraction
        return n if self.poisson else max(1.0, round(n))

    @property
    def parameters(self) -> int:
        """Number d of parameters."""
        return sum(self.blocks.values())

    @property
    def observer(self) -> str:
        """Against whom the budget holds."""
        if self.where == "client":
            return SERVER_SEES
        return OUTSIDE if self.poisson and self.fraction < 1 else MODELS_SEEN

    def event(self, scale: float, rounds: int) -> Event:
        """Return what an accountant reads of ``rounds`` rounds with this noise / clip norm."""
        if self.unit == "window":
            return Event("gaussian", scale, self.local_rate, rounds * self.local_steps)
        amplified = self.poisson and self.where == "server"
        return Event(self.noise, scale, self.fraction if amplified else 1.0, rounds)

    @property
    def noise_at(self) -> NoiseAt:
        """Where noise is drawn."""
        return "steps" if self.unit == "window" else self.where

    def break_even(self, scale: float, parameters: int) -> float:
        """Return the clients in a round at which noise is as long as the clipped signal."""
        ratio = scale * (parameters if self.noise == "laplace" else math.sqrt(parameters))
        return clients_needed(ratio, self.noise, self.noise_at, self.batch_size)

    def noise_to_signal(self, scale: float) -> float:
        """Return length of the noise / length of the clipped signal, with the planned clients."""
        needed = self.break_even(scale, self.parameters)
        return noise_to_signal(needed, self.clients_per_round, self.noise_at)

    def on_average(self, scale: float, clients: float) -> float:
        """Return sd / C of the noise, per coordinate of the average over ``clients`` clients."""
        sd = scale * (math.sqrt(2) if self.noise == "laplace" else 1) / self.batch_size
        return sd / (clients if self.noise_at == "server" else math.sqrt(clients))


@dataclass(frozen=True)
class Claim:
    """An eps, with all that it means nothing without.

    Args:
        eps: Epsilon.
        delta: Delta.
        unit: What is protected.
        adjacency: What neighbours are.
        observer: Against whom.
        horizon: What it covers.
        accountant: Who counted.
        noise_multiplier: Noise parameter / clip norm C: z for Gaussian noise, b / C for Laplace.
    """

    eps: float
    delta: float
    unit: Unit
    adjacency: Adjacency
    observer: str
    horizon: str
    accountant: str
    noise_multiplier: float


@dataclass(frozen=True)
class Cell:
    """One choice of the table; ``claim`` is ``None`` where no noise in reach meets the budget."""

    asked_eps: float
    rounds: int
    sampling: str
    where: Place
    claim: Claim | None
    break_even_clients: float | None


@dataclass(frozen=True)
class NoisePlan:
    """What was asked, and the other figures that a choice needs.

    Args:
        setting: The training.
        total: The budget of the whole run, counted as the mechanism does.
        second: The same by the other accountant: its noise for the eps, or its eps for the noise.
        alone: The same eps spent on one round alone; ``None`` if no noise in reach is so weak.
        every_round: What it comes to when every round spends it.
        participants: What ``total`` is to those who know who took part, where that is more.
        replaced: What it is if a contribution may become any other instead of zero.
        pure: What it is at delta = 0, for Laplace noise.
        noise_on_average: Clients to sd / C of the noise on their average, per coordinate.
        noise_to_signal: Length of the noise / length of the signal with the planned clients.
        break_even_clients: Block, or ``all``, to the clients at which noise equals signal.
        table: Other budgets, rounds, samplings and places.
    """

    setting: Setting
    total: Claim
    second: Claim
    alone: Claim | None
    every_round: Claim | None
    participants: Claim | None
    replaced: Claim | None
    pure: Claim | None
    noise_on_average: Mapping[float, float]
    noise_to_signal: float
    break_even_clients: Mapping[str, float]
    table: tuple[Cell, ...]


def plan_noise(
    setting: Setting,
    *,
    eps: float | None = None,
    multiplier: float | None = None,
    table: bool = True,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> NoisePlan:
    """Return noise for a total ``eps``, or the eps of a noise ``multiplier``, with what goes along.

    Args:
        setting: The training.
        eps: Total budget over all rounds, or
        multiplier: noise parameter / clip norm.
        table: Whether to fill the table too.
        tell: Told how many cells of the table are done, and of how many.

    Raises:
        UsageError: E222 the budget cannot be met.
        ValueError: not exactly one of ``eps`` and ``multiplier`` is given.
    """
    if (eps is None) is (multiplier is None):
        raise ValueError("give either eps or multiplier")
    total = _claim(setting, eps=eps, multiplier=multiplier)
    other = replace(setting, method="tight" if setting.method == "rdp" else "rdp")
    z, spent = total.noise_multiplier, total.eps if eps is None else eps
    sampled = setting.observer == OUTSIDE
    known = replace(setting, poisson=False)
    alone = _reachable(setting, spent, rounds=1)
    sizes = {"all": setting.parameters, **setting.blocks}
    return NoisePlan(
        setting=setting,
        total=total,
        second=_claim(other, eps=eps, multiplier=multiplier),
        alone=alone,
        every_round=_claim(setting, multiplier=alone.noise_multiplier) if alone else None,
        participants=_claim(known, multiplier=z) if sampled else None,
        replaced=_claim(setting, multiplier=z, adjacency="replace_one"),
        pure=_pure(setting, total) if setting.noise == "laplace" else None,
        noise_on_average={
            n: setting.on_average(z, n) for n in (setting.clients_per_round, *CROWDS)
        },
        noise_to_signal=setting.noise_to_signal(z),
        break_even_clients={name: setting.break_even(z, d) for name, d in sizes.items()},
        table=tuple(_table(setting, eps or float(f"{spent:.3g}"), tell)) if table else (),
    )


def _claim(
    setting: Setting,
    *,
    eps: float | None = None,
    multiplier: float | None = None,
    rounds: int | None = None,
    adjacency: Adjacency = "zero_out",
) -> Claim:
    """Return the claim of an eps or of a noise multiplier, over all rounds or fewer."""
    n = setting.rounds if rounds is None else rounds
    covered = "one round" if rounds else f"the whole run, {n} round{'s' * (n > 1)}"
    reach = 2 if adjacency == "replace_one" else 1
    event = replace(setting.event((multiplier or 1.0) / reach, n), adjacency=adjacency)
    counting = accountant(setting.method, event)
    if multiplier is None:
        assert eps is not None  # one of the two is always given
        event = replace(event, scale=counting.scale(event, eps, setting.delta))
    return Claim(
        eps=counting.epsilon(event, setting.delta),
        delta=setting.delta,
        unit=setting.unit,
        adjacency=adjacency,
        observer=setting.observer,
        horizon=covered,
        accountant=counting.name,
        noise_multiplier=event.scale * reach,
    )


def _reachable(setting: Setting, eps: float, rounds: int | None = None) -> Claim | None:
    """Return the claim of an eps, ``None`` where no noise in reach makes it."""
    try:
        return _claim(setting, eps=eps, rounds=rounds)
    except UsageError:
        return None


def _pure(setting: Setting, total: Claim) -> Claim:
    event = setting.event(total.noise_multiplier, setting.rounds)
    return replace(total, eps=rdp.pure_epsilon(event), delta=0.0, accountant="basic composition")


def _table(setting: Setting, eps: float, tell: Callable[[int, int], None]) -> Iterator[Cell]:
    """Yield every choice; draws in secret are counted where they were asked for."""
    draws: list[tuple[str, Setting]] = []
    everyone = replace(setting, fraction=1.0, poisson=False)
    if setting.unit == "window":
        draws.append(("full", everyone))
    else:
        draws += [("full", replace(everyone, where=where)) for where in ("server", "client")]
        rates = {TABLE_RATE, setting.fraction} if setting.observer == OUTSIDE else set()
        draws += [
            (f"bernoulli {rate:g}", replace(setting, fraction=rate)) for rate in sorted(rates)
        ]
    wanted = [
        (budget, rounds, name, drawn)
        for budget in sorted({*TABLE_EPS, eps})
        for rounds in sorted({*TABLE_ROUNDS, setting.rounds})
        for name, drawn in draws
    ]
    for done, (budget, rounds, name, drawn) in enumerate(wanted):
        tell(done, len(wanted))
        claim = _reachable(replace(drawn, rounds=rounds), budget)
        clients = drawn.break_even(claim.noise_multiplier, drawn.parameters) if claim else None
        yield Cell(budget, rounds, name, drawn.where, claim, clients)
