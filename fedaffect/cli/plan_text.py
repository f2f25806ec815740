"""The plan of a run as lines of text: what is trained, who is protected, what it will cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedaffect.build import Experiment
    from fedaffect.outline import Outline
    from fedaffect.privacy.base import Mechanism
    from fedaffect.privacy.spending import Spending
    from fedaffect.privacy.statement import PrivacyStatement
    from fedaffect.record import Forecast

PLACES = {
    "server": "at the server: it adds noise once, to the sum",
    "client": "at the clients: each adds noise before it sends",
    "steps": "at the clients, in every local step",
}
UNITS = {"client": "client", "window": "window (one training window, NOT a person)"}
TREATED = {
    "noise": "noise on",
    "freeze": "frozen, never trained",
    "keep_local": "kept on the clients, never uploaded",
    "clear": "released in the clear",
}
ROOM = " " * 11


def plan_lines(
    outline: Outline, forecast: Forecast, folder: str | None, spent: Spending | None = None
) -> list[str]:
    """Return the plan before round 1.

    Args:
        outline: What is known before a signal is read.
        forecast: Noise against signal.
        folder: Where the run goes; ``None`` for a dry run.
        spent: What other runs on the same data have spent.
    """
    from fedaffect.device import named

    c, layout, f = outline.config, outline.factory.layout, outline.config.federation
    heads = ", ".join(f"{t.name}({t.n_outputs})" for t in outline.factory.build().tasks)
    lines = [
        f"  run      {folder or 'dry run: nothing is trained'}   seed {c.run.seed}",
        f"  model    {c.model.name}, {layout.size:,} parameters, tasks {heads}",
        f"  rounds   {c.rounds} x {outline.folds} fold(s), {f.clients} clients, {f.strategy}, "
        f"{c.local_epochs} local epoch(s), {f.optimizer} {c.lr:g}",
        f"  machine  engine {c.run.engine}, clients train on {named(c.run.device)}",
        *_released(outline),
        *_defence(outline),
    ]
    treated = _treated(outline.mechanism)
    if not outline.mechanism.groups:
        return [
            *lines,
            f"  privacy  none: no epsilon, whatever the accuracies below say; {treated}",
        ]
    spec = outline.mechanism.spec
    lines.append(f"  privacy  {spec.mechanism} {PLACES[outline.mechanism.noise_at]}")
    lines.append(f"{ROOM}unit={UNITS[spec.unit]}, {spec.adjacency.replace('_', '-')} adjacency")
    lines.append(f"{ROOM}{treated}")
    if outline.mechanism.scale == 0:
        budget = "" if spec.eps is None else f"total eps {spec.eps:g}: "
        return [*lines, f"{ROOM}{budget}noise is sized once the windows are counted"]
    return lines + cost_lines(outline, forecast, spent)


def _released(outline: Outline) -> list[str]:
    """Return how many numbers are trained on private people, and what they start from."""
    config, backbone = outline.config, outline.start.backbone
    if backbone is None and config.model.release == "full":
        return []
    count, whole = len(outline.mechanism.blocks.released), outline.factory.layout.size
    lines = [f"  release  {config.model.release}: {count:,} of {whole:,} numbers leave the clients"]
    if backbone is None:
        return [*lines, f"{ROOM}the others stay as they are drawn: random weights"]
    return [
        *lines,
        f"{ROOM}public weights: {config.model.backbone}, made of {backbone.card.whose};",
        f"{ROOM}these people are not protected",
    ]


def _defence(outline: Outline) -> list[str]:
    """Return what is done against recognising people beside DP; nothing without a defence."""
    chosen = outline.config.defence
    if chosen.name == "none":
        return []
    if chosen.strength == 0:
        return [f"  defence  {chosen.name} at strength 0: switched off"]
    strength = "" if chosen.strength is None else f" {chosen.strength:g}"
    return [f"  defence  {chosen.name}{strength}: {outline.factory.defence.about}"]


def sized_lines(experiment: Experiment, spent: Spending | None) -> list[str]:
    """Return what per-window noise costs, once the windows are counted; else nothing."""
    from fedaffect.forecasts import advised_forecast

    if experiment.mechanism.noise_at != "steps":
        return []
    first, *more = cost_lines(experiment.outline, advised_forecast(experiment.outline), spent)
    return [f"  privacy  {first.strip()}", *more]


def cost_lines(outline: Outline, forecast: Forecast, spent: Spending | None) -> list[str]:
    """Return the budget with all its words, the noise, and what it does to learning."""
    from fedaffect.summary import promised

    statement = promised(outline, spent)
    lines = [
        *_promise(outline, statement),
        f"{ROOM}noise multiplier {forecast.noise_multiplier:.4g} {_clip(outline.mechanism)}",
        f"{ROOM}{_break_even(outline.mechanism, forecast)}",
    ]
    if statement.group:
        lines.append(f"{ROOM}{statement.group['text']}")
    for said in (statement.paper_claim, statement.true_value_of_paper_claim):
        lines += [f"! paper    {said['text']}"] if said else []
    if statement.other_runs:
        lines.append(f"! spent    {statement.other_runs['text']}")
    return lines + [f"! W112     {sentence}" for sentence in forecast.sentences]


def _promise(outline: Outline, said: PrivacyStatement) -> list[str]:
    from fedaffect.privacy.scope import scope_of
    from fedaffect.privacy.sentences import too_large
    from fedaffect.privacy.wording import eps_text

    spec, plan = outline.mechanism.spec, outline.plan
    if said.status != "FORMAL" or said.eps is None or said.delta is None:
        return [f"{ROOM}status NONE: {said.sentence}"]
    paid = f"{spec.eps:g}" if spec.eps is not None and said.eps <= spec.eps else eps_text(said.eps)
    by = said.accountant["name"] if said.accountant else "unknown"
    scope = scope_of(outline.mechanism, plan)
    times = f"over {plan.releases} releases"
    if plan.participations < plan.releases:
        times += f", of which a client is in at most {plan.participations},"
    lines = [
        f"{ROOM}total eps {paid} at delta {said.delta:g} {times} ({by} accountant)",
        f"{ROOM}for {scope.one}, against {scope.observer}",
    ]
    known = {line["observer"]: line["eps"] for line in said.observers}
    if known["server"] is None:
        lines.append(f"{ROOM}the server sees every update in the clear and is trusted")
    for name, whom in (("participants", "a participant"), ("external", "an outsider")):
        eps = known[name]
        if eps is not None and abs(eps - said.eps) > 1e-9 * eps:
            lines.append(
                f"{ROOM}against {whom} who sees the global models only: eps {eps_text(eps)}, same "
                "delta and releases"
            )
    return lines + [f"! eps      {line}" for line in too_large(said.eps)]


def _clip(mechanism: Mechanism) -> str:
    spec, norm = mechanism.spec.clip, getattr(mechanism, "norm", "l2")
    if spec.per_block:
        own = ", ".join(f"{g.blocks[0]} {g.clip:g}" for g in mechanism.groups)
        return f"jointly, blocks clipped one by one ({norm}): {own}"
    if spec.adaptive:
        return (
            f"x clip, which starts at {spec.bound:g} ({norm}) and follows the "
            f"{spec.adaptive.quantile:.0%} quantile of the norms"
        )
    clipped = "gradient of a window" if mechanism.noise_at == "steps" else spec.target
    reach = " x 2, as one client is replaced by another" if mechanism.spec.reach == 2 else ""
    return f"x clip {spec.bound:g}{reach} ({norm} norm of the {clipped})"


def _break_even(mechanism: Mechanism, forecast: Forecast) -> str:
    when = "in a local step " if mechanism.noise_at == "steps" else ""
    needed, n, ratio = (
        forecast.break_even_clients or 0.0,
        forecast.clients_per_round,
        forecast.noise_to_signal or 0.0,
    )
    if needed < 1:
        return f"{when}noise is {ratio:.2g} times as long as the signal with {n:g} clients"
    return (
        f"{when}noise is as long as the signal at {math.ceil(needed):,} clients; with {n:g} it is "
        f"{ratio:,.1f} times the signal"
    )


def _treated(mechanism: Mechanism) -> str:
    named = {how: mechanism.blocks.named(policy) for policy, how in TREATED.items()}  # type: ignore[arg-type]
    return "; ".join(f"{how}: {', '.join(names)}" for how, names in named.items() if names)
