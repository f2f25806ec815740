"""RunConfig -> the defence of a run, and the configuration with what it decides."""

from __future__ import annotations

from fedaffect import registry
from fedaffect.config import RunConfig
from fedaffect.defences.base import Defence
from fedaffect.defences.none import UNDEFENDED
from fedaffect.errors import UsageError


def with_defence(config: RunConfig) -> tuple[Defence, RunConfig]:
    """Return the defence, and ``config`` with its strength and the tasks that it leaves.

    At strength 0 it is off: the run is that without it, to the last bit.

    Raises:
        UsageError: E239 it does not go with the tasks, or takes no strength.
    """
    name, strength = config.defence.name, config.defence.strength
    kind = registry.resolve("defence", name)
    defence: Defence = kind()
    if strength is not None:
        if not hasattr(defence, "strength"):
            raise UsageError(
                "E239", f"--defence {name} takes no strength, got {strength:g}", do="drop it"
            )
        if strength == 0:
            return UNDEFENDED, config
        defence = kind(strength=strength)
    asked = config.model.tasks or ()
    tasks = tuple(task for task in asked if task not in defence.drops)
    missing = [task for task in defence.needs if task not in tasks]
    if missing or not tasks:
        lacking = f"no task {missing[0]} to act on" if missing else "no task to train is left"
        raise UsageError(
            "E239",
            f"--defence {name} does not go with --tasks {','.join(asked)}: {lacking}",
            do="--tasks stress,identity, or drop --defence",
        )
    decided = {"defence.strength": getattr(defence, "strength", None), "model.tasks": tasks}
    return defence, config.replace(decided)
