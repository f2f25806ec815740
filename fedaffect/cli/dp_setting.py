"""What ``fedaffect dp plan`` plans: its setting from the options, and what to type instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedaffect.config import RunConfig
    from fedaffect.privacy.base import Method, Noise
    from fedaffect.privacy.planning import NoisePlan, Setting
    from fedaffect.record import Instead

COUNTED: dict[str, tuple[Noise, Method]] = {  # kind of noise, and how it is accounted
    "gaussian": ("gaussian", "tight"),
    "laplace": ("laplace", "tight"),
    "moments": ("gaussian", "rdp"),
}
DEFAULT_CLIENTS = 20


def setting_of(config: RunConfig, windows: str | None, people: str | None) -> Setting:
    """Return what is planned.

    Args:
        config: Its release resolved.
        windows: Windows of one client, for unit ``window``.
        people: People that the identity head knows; ``None``: as many as clients.

    Raises:
        UsageError: E200 --windows is missing; E224 delta is not below 1 / units; E232 options that
            do not go together; E236 too few windows.
    """
    from fedaffect import require
    from fedaffect.errors import UsageError
    from fedaffect.privacy.base import ReleasePlan
    from fedaffect.privacy.budget import budget_of
    from fedaffect.privacy.planning import Setting
    from fedaffect.privacy.spec import PrivacySpec

    dp, f = config.dp, config.federation
    clients = f.clients or DEFAULT_CLIENTS
    identities = require.integer("--people", people or clients, at_least=1)
    local: dict[str, Any] = {}
    units = clients
    if isinstance(dp.clip, str):
        raise UsageError("E232", "dp plan takes a clip norm that stays", do="give --clip 1.0")
    if dp.unit == "window":
        local = _local_steps(config, windows)
        units = clients * local.pop("windows")
    elif windows is not None:
        raise UsageError("E232", "--windows goes with --unit window", do="drop it, or add that")
    noise, method = COUNTED[dp.mechanism]
    poisson = f.sampler == "bernoulli" and f.fraction < 1
    spec = PrivacySpec(dp.mechanism, dp.eps, dp.delta, z=dp.z, unit=dp.unit)
    release = ReleasePlan(config.rounds, clients, 1.0, "full", units, 1, 1)
    return Setting(
        noise=noise,
        method=method,
        where="client" if dp.unit == "window" or dp.where == "client" else "server",
        unit=dp.unit,
        delta=budget_of(spec, release).delta,
        rounds=config.rounds,
        clients=clients,
        fraction=f.fraction,
        poisson=poisson,
        clip=dp.clip,
        blocks=_blocks(config, identities),
        **local,
    )


def _local_steps(config: RunConfig, windows: str | None) -> dict[str, Any]:
    """Return the local steps of unit ``window``."""
    from fedaffect import require
    from fedaffect.errors import UsageError
    from fedaffect.privacy.mechanisms.window_noise import local_steps, sampling_rate

    f = config.federation
    if config.dp.mechanism == "laplace":
        raise UsageError("E232", "--unit window does not go with --dp laplace", do="--dp gaussian")
    if config.dp.where == "server":
        raise UsageError(
            "E232",
            "--unit window draws its noise in the local steps of the clients",
            do="drop --dp-where server",
        )
    if windows is None:
        raise UsageError(
            "E200",
            "--unit window needs the number of windows of one client",
            do="add --windows, such as --windows 300; of several clients the smallest",
        )
    n = require.integer("--windows", windows, at_least=1)
    batch_size = f.batch_size or min(config.batch_size, n)
    if n < batch_size:
        raise UsageError(
            "E236",
            f"--windows {n} is fewer than --batch-size {batch_size}: no rate of at most 1 "
            "draws such a batch",
            do=f"--batch-size {n}",
        )
    return {
        "windows": n,
        "local_rate": sampling_rate(n, batch_size),
        "local_steps": local_steps(n, batch_size, config.local_epochs),
        "batch_size": batch_size,
    }


def _blocks(config: RunConfig, identities: int) -> dict[str, int]:
    """Return the sizes of the released blocks, without loading a network where they are known."""
    from fedaffect.privacy.block_sizes import cached_block_sizes

    model = config.model
    tasks = model.tasks or ()

    def make() -> dict[str, int]:
        from fedaffect.outline import network_of
        from fedaffect.privacy.blocks import block_plan
        from fedaffect.privacy.spec import PrivacySpec
        from fedaffect.release_choice import policies, with_release

        start, _ = with_release(config)
        factory = network_of(config, start, identities)
        withheld = policies(model.release or "full", factory.build())
        plan = block_plan(PrivacySpec("none", policies=withheld), factory.layout, noise=False)
        sizes = plan.layout.block_sizes
        return {block: sizes[block] for block in plan.named("clear")}

    key: dict[str, str | int] = {
        "model": str(model.name),
        "tasks": ",".join(tasks),
        "people": identities,
        "modality": "wrist",
        "backbone": str(model.backbone_sha256),
        "release": str(model.release),
    }
    return cached_block_sizes(key, make)


def advised(ready: NoisePlan, config: RunConfig, people: str | None) -> tuple[Instead | None, str]:
    """Return the command of a run that can learn, where ``ready`` cannot, and the advice.

    Args:
        ready: What was asked for.
        config: Its configuration, the release resolved.
        people: As of ``setting_of``.
    """
    from fedaffect.advice import command_of, instead
    from fedaffect.privacy.planning import plan_noise
    from fedaffect.record import Instead
    from fedaffect.release_choice import with_release

    if ready.setting.unit == "window" or ready.noise_to_signal <= 1:
        return None, ""

    def planned(few: RunConfig) -> Instead:
        setting = setting_of(with_release(few)[1], None, people)
        told = plan_noise(setting, eps=few.dp.eps, multiplier=few.dp.z, table=False)
        return Instead(
            command=command_of(few),
            released=setting.parameters,
            rounds=setting.rounds,
            noise_multiplier=told.total.noise_multiplier,
            clients_per_round=setting.clients_per_round,
            break_even_clients=told.break_even_clients["all"],
            noise_to_signal=told.noise_to_signal,
        )

    return instead(config, planned)
