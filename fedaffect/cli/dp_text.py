"""A plan of ``fedaffect dp plan`` as lines of text, at most 96 wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from fedaffect.privacy.planning import Cell, Claim, NoisePlan, Setting
from fedaffect.privacy.wording import delta_text, eps_text

WIDTH = 96
LABEL = 12
UNITS = {
    "client": "one client: its contribution becomes zero, the denominator stays (zero-out)",
    "window": "one training window, NOT a person: its gradient becomes zero (zero-out)",
}
ASKED, PLAIN = "bold", ""
Styled = tuple[str, str]


def lines(ready: NoisePlan, advice: str = "") -> Iterator[Styled]:
    """Yield every line with its style.

    Args:
        ready: The plan.
        advice: What to do instead; a command at its end, after a colon, gets a line of its own.
    """
    s = ready.setting
    yield from _part("plan", "nothing is trained, no data are read")
    yield from _part("protects", UNITS[s.unit])
    yield from _part("against", ready.total.observer)
    yield from _part("over", f"{ready.total.horizon}; delta {delta_text(s.delta)}; {_taking(s)}")
    yield "", PLAIN
    yield from _part("total eps", _total(ready), ASKED)
    yield from _part("", _noise(ready))
    for text in _other_claims(ready):
        yield from _part("", text)
    yield from _part("on average", _on_average(ready))
    if ready.alone and ready.every_round:
        yield from _part("per round", _per_round(ready.alone, ready.every_round))
    yield from _part("break-even", _break_even(ready))
    times, n = ready.noise_to_signal, ready.setting.clients_per_round
    yield from _part("", f"with {n:,.4g} the noise is {times:,.3g} times as long as the signal")
    if advice:
        text, _, command = advice.partition("Type: ")
        yield from _part("instead", text.strip())
        yield from _typed(command)
    if ready.table:
        yield "", PLAIN
        yield from _table(ready)


def _part(label: str, text: str, style: str = PLAIN) -> Iterator[Styled]:
    room = " " * (LABEL + 2)
    wrapped = textwrap.wrap(text, WIDTH - len(room), break_on_hyphens=False)
    for i, line in enumerate(wrapped):
        yield f"  {label:<{LABEL}}{line}" if i == 0 else room + line, style


def _typed(command: str) -> Iterator[Styled]:
    """Yield a command so that it can be copied: a shell reads its lines as one."""
    if "'" in command:  # a quoted word must stay in one line
        yield f"  {command}", ASKED
        return
    parts = textwrap.wrap(command, WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    for part in parts[:-1]:
        yield f"  {part} \\", ASKED
    yield from [(f"  {part}", ASKED) for part in parts[-1:]]


def _taking(s: Setting) -> str:
    n = f"{s.clients_per_round:g} of {s.clients:,} clients a round"
    if s.unit == "window":
        taken = f"{s.local_steps:,} local steps a round, a window in each with chance"
        return f"{s.clients:,} clients, {taken} {s.local_rate:.3g}, in secret"
    if s.fraction >= 1:
        return f"all {s.clients:,} clients in every round"
    if not s.poisson:
        return f"{n}, which earns nothing: counted as if always there"
    earns = "" if s.where == "server" else ", which earns nothing against the server"
    return f"each of {s.clients:,} clients with chance {s.fraction:g} a round, in secret{earns}"


def _total(ready: NoisePlan) -> str:
    total, second = ready.total, ready.second
    if math.isclose(total.noise_multiplier, second.noise_multiplier):
        shown = [f"{eps_text(c.eps)} ({c.accountant})" for c in (total, second)]
        return f"{shown[0]}, {shown[1]} for noise multiplier {size(total.noise_multiplier)}"
    shown = [f"{size(c.noise_multiplier)} ({c.accountant})" for c in (total, second)]
    return f"{eps_text(total.eps)} takes noise multiplier {shown[0]}, {shown[1]}"


def _noise(ready: NoisePlan) -> str:
    s, z = ready.setting, ready.total.noise_multiplier
    kind = "Laplace noise of scale b" if s.noise == "laplace" else "Gaussian noise of sd"
    norm = "L1" if s.noise == "laplace" else "L2"
    each = {
        "steps": f"on every step's sum of gradients, each clipped to {s.clip:g}",
        "server": f"on the server's sum of updates, each clipped to {s.clip:g}",
        "client": f"on every client's update, clipped to {s.clip:g}",
    }["steps" if s.unit == "window" else s.where]
    return f"{kind} = {size(z * s.clip)} per parameter {each} in {norm}"


def _other_claims(ready: NoisePlan) -> Iterator[str]:
    if ready.pure:
        yield f"also eps {eps_text(ready.pure.eps)} at delta 0 ({ready.pure.accountant})"
    if ready.participants:
        yield f"eps {_counted(ready.participants)} to those who know who took part"
    if ready.replaced:
        yield f"eps {_counted(ready.replaced)} if it may become any other, not zero (replace-one)"


def _counted(claim: Claim) -> str:
    return f"{eps_text(claim.eps)} ({claim.accountant})"


def _on_average(ready: NoisePlan) -> str:
    values = ready.noise_on_average.items()
    parts = [f"{size(sd)} at {n:,.4g}" for n, sd in values]
    what = "gradient of a step" if ready.setting.unit == "window" else "update"
    return f"sd / clip of the noise on the clients' average {what}: {', '.join(parts)} clients"


def _per_round(alone: Claim, every: Claim) -> str:
    return (
        f"eps {eps_text(alone.eps)} PER ROUND would be multiplier {size(alone.noise_multiplier)}, "
        f"which is a total eps of {eps_text(every.eps)} over {every.horizon}"
    )


def _break_even(ready: NoisePlan) -> str:
    sizes = {"all": ready.setting.parameters, **ready.setting.blocks}
    blocks = [
        f"{name} ({sizes[name]:,}) {count(n)}" for name, n in ready.break_even_clients.items()
    ]
    signal = "gradient of a step" if ready.setting.unit == "window" else "update"
    return (
        f"clients in a round at which the noise is as long as the whole clipped {signal}, if the "
        f"block alone had noise: {', '.join(blocks)}"
    )


def _table(ready: NoisePlan) -> Iterator[Styled]:
    """Yield one line for every budget and number of rounds, one column group a way to draw."""
    cells: dict[tuple[float, int], dict[tuple[str, str], Cell]] = {}
    for cell in ready.table:
        row = cells.setdefault((cell.asked_eps, cell.rounds), {})
        row[cell.sampling, cell.where] = cell
    ways = list(next(iter(cells.values())))
    samplings = list(dict.fromkeys(sampling for sampling, _ in ways))
    yield from _part(
        "choose",
        f"noise multiplier, and break-even clients for all {ready.setting.parameters:,} parameters",
    )
    first, second = f"{'total':>7}{'':8}", f"{'eps':>7}{'rounds':>8}"
    for sampling in samplings:
        places = [where for name, where in ways if name == sampling]
        width = 12 + 10 * len(places)
        first += f"{_drawn(sampling):>{width}}"
        second += f"{'multiplier':>12}" + "".join(f"{_place(ready, p):>10}" for p in places)
    yield first, PLAIN
    yield second, PLAIN
    asked = (ready.setting.rounds, f"{ready.total.eps:.3g}")
    for (eps, rounds), row in cells.items():
        line = f"{eps:>7.4g}{rounds:>8,}"
        for sampling in samplings:
            of = [cell for (name, _), cell in row.items() if name == sampling]
            z = of[0].claim.noise_multiplier if of[0].claim else None
            line += f"{'-' if z is None else size(z):>12}"
            line += "".join(f"{count(cell.break_even_clients):>10}" for cell in of)
        is_asked = (rounds, f"{eps:.3g}") == asked
        yield (line + "  <", ASKED) if is_asked else (line, PLAIN)
    yield "", PLAIN
    for text in _legend(ready, samplings):
        yield from _part("", text)


def _drawn(sampling: str) -> str:
    if sampling == "full":
        return "everyone, every round"
    return f"{float(sampling.split()[1]):.3g} of them, secret"


def _place(ready: NoisePlan, where: str) -> str:
    return "in steps" if ready.setting.unit == "window" else f"at {where}"


def _legend(ready: NoisePlan, samplings: list[str]) -> Iterator[str]:
    if ready.setting.unit == "window":
        yield "Noise in the local steps holds against the server and everyone else."
        return
    yield (
        "Noise at the server holds against everyone who sees the models, if the server is honest; "
        "at the client against the server too. The multiplier is the same, the cost is not."
    )
    if len(samplings) > 1:
        yield (
            "Secret draws (--sampler bernoulli) amplify only against those who do not learn who "
            "took part; break-even counts the clients of a round, not the whole crowd."
        )


def size(value: float) -> str:
    """Return four digits, rounded up: noise is never shown smaller than it is."""
    digits = 3 - math.floor(math.log10(value))
    unit = 10.0**-digits
    return f"{math.ceil(value / unit * (1 - 1e-9)) * unit:,.{max(0, digits)}f}"


def count(value: float | None) -> str:
    """Return a number of clients, rounded up; three digits from a million on."""
    if value is None:
        return "-"
    return f"{math.ceil(value):,}" if value < 1e6 else f"{value:.2e}".replace("e+0", "e")
