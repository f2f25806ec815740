"""What to type instead of a plan whose noise is longer than its signal: release few numbers."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from fedaffect.config import RunConfig
from fedaffect.config_sources import FLAGS, KEYS
from fedaffect.errors import FedaffectError
from fedaffect.record import Instead

DEFAULT = RunConfig()
DECIDED = (  # chosen for the whole network: few numbers have defaults of their own
    "model.name",
    "model.tasks",
    "model.backbone_sha256",
    "data.normalise",
    "federation.rounds",
    "federation.local_epochs",
    "federation.batch_size",
    "federation.lr",
    "federation.class_weights",
    "dp.noise_layers",
    "dp.blocks",
    "dp.block_clips",
    "dp.noise_allocation",
    "dp.noise_ratios",
    "defence.name",
    "defence.strength",
    "run.out",
)
FEWEST = 2  # a weight and a constant

Planned = Callable[[RunConfig], Instead]


def instead(config: RunConfig, planned: Planned) -> tuple[Instead | None, str]:
    """Return a plan that can learn, by releasing few numbers, and the sentence that advises it.

    Args:
        config: What was asked for: its noise is longer than its signal.
        planned: Plans a configuration.

    Returns:
        The plan and its sentence, which ends with the command; or ``None`` and what to do where
        few numbers do not help.
    """
    if config.data.modality != "wrist" and config.model.backbone in (None, "none"):
        return None, (
            f"Release few numbers: shipped backbones read wrist signals, so train one on "
            f"{config.data.modality} signals of public people with fedaffect pretrain, and give "
            "its file to --backbone."
        )
    if config.model.tasks and "stress" not in config.model.tasks:
        return None, "Release few numbers: backbones come with a head for stress only."
    told = None
    try:
        for told in _fewer(config, planned):
            if told.noise_to_signal <= 1:
                return told, _advice(told)
    except FedaffectError as error:
        return None, f"Few released numbers would carry more, but {error.message}: {error.do}."
    if told is None:
        return None, "No fewer numbers can be released: take more clients or a larger budget."
    return None, (
        f"Even {told.released:,} released numbers would not learn: with "
        f"{told.clients_per_round:,.4g} clients their noise is {told.noise_to_signal:,.3g} times "
        f"the signal. Take {math.ceil(told.break_even_clients):,} clients a round, or a larger "
        "budget."
    )


def command_of(config: RunConfig) -> str:
    """Return the command that simulates ``config``: what differs from the defaults, release last.

    Args:
        config: Has no tables of its own, such as a policy by block.
    """
    asked, default = config.model_dump(mode="json"), DEFAULT.model_dump(mode="json")
    words = ["fedaffect", "simulate"]
    flag_of = {key: "--" + name.replace("_", "-") for name, key in FLAGS.items()}
    for key in (*(k for k in flag_of if k != "model.release"), *KEYS, "model.release"):
        section, _, name = key.partition(".")
        value = asked[section][name]
        if value == default[section][name]:
            continue
        if key not in flag_of:
            words += ["-o", f"{key}={_text(value)}"]
        elif isinstance(value, bool):
            words.append(flag_of[key] if value else flag_of[key].replace("--", "--no-", 1))
        else:
            words += [flag_of[key], _text(value)]
        asked[section][name] = default[section][name]  # said once
    return shlex.join(words)


def _fewer(config: RunConfig, planned: Planned) -> Iterator[Instead]:
    """Yield plans that release fewer and fewer numbers."""
    changes = {key: _default(key) for key in DECIDED}
    if config.model.backbone in ("none", "synthetic"):
        changes["model.backbone"] = None
    bare = config.replace(changes)
    head = planned(bare.replace({"model.release": "head"}))
    if config.model.release in (None, "full", "adapter"):
        yield head
    grows = 1 if config.dp.mechanism.endswith("laplace") else 2
    numbers = min(int(head.released / head.noise_to_signal**grows), head.released - 1)
    if numbers >= FEWEST and config.model.release != numbers:
        yield planned(bare.replace({"model.release": numbers}))


def _advice(told: Instead) -> str:
    return (
        f"Release few numbers on top of public weights: {told.released:,} carry this noise "
        f"(multiplier {told.noise_multiplier:.4g} over {told.rounds} rounds; with "
        f"{told.clients_per_round:,.4g} clients it is {told.noise_to_signal:,.2g} times the "
        f"signal, break-even at {math.ceil(told.break_even_clients):,}). Type: {told.command}"
    )


def _default(key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(DEFAULT, section), name)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
