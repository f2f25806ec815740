"""What the plan of a run says about noise and learning, and what to plan instead."""

from __future__ import annotations

from fedaffect.advice import command_of, instead
from fedaffect.config import RunConfig
from fedaffect.outline import Outline, outline
from fedaffect.privacy.forecast import plan_forecast
from fedaffect.record import Forecast, Instead


def forecast_of(planned: Outline) -> Forecast:
    """Return what the plan alone says about noise and learning."""
    plan, mechanism = planned.plan, planned.mechanism
    if mechanism.scale == 0:
        return Forecast(
            noise_multiplier=None,
            noise_sd=None,
            clients_per_round=plan.clients_per_round,
            break_even_clients=None,
            noise_to_signal=None,
            can_learn=True,
            sentences=(),
        )
    told = plan_forecast(mechanism, plan, planned.factory.layout)
    return Forecast(
        noise_multiplier=told.z,
        noise_sd=told.noise_sd,
        clients_per_round=plan.clients_per_round,
        break_even_clients=told.n_break_even,
        noise_to_signal=told.noise_to_signal,
        can_learn=told.can_learn,
        sentences=told.sentences,
    )


def advised_forecast(planned: Outline) -> Forecast:
    """Return the forecast; of a run that cannot learn with what to type instead, planned too."""
    told = forecast_of(planned)
    if told.can_learn is not False:
        return told
    better, sentence = instead(_as_typed(planned.config), _planned)
    return told.model_copy(
        update={"instead": better, "sentences": (*told.sentences, sentence)},
    )


def _planned(config: RunConfig) -> Instead:
    """Plan ``config`` as a run that is told in one line."""
    planned = outline(config)
    told = plan_forecast(planned.mechanism, planned.plan, planned.factory.layout)
    return Instead(
        command=command_of(config),
        released=len(planned.mechanism.blocks.released),
        rounds=planned.config.rounds,
        noise_multiplier=told.z,
        clients_per_round=planned.plan.clients_per_round,
        break_even_clients=told.n_break_even,
        noise_to_signal=told.noise_to_signal,
    )


def _as_typed(config: RunConfig) -> RunConfig:
    """Return ``config`` without what is decided by itself, where that decides the same."""
    typed = config
    for key, default in (
        ("data.eval", "auto"),
        ("run.device", "auto"),
        ("synthetic.people", None),
    ):
        bare = typed.replace({key: default})
        if bare != typed and outline(bare).config == config:
            typed = bare
    return typed
