"""RunConfig -> the ``[dp]`` table, resolved, and who takes part in how many releases."""

from __future__ import annotations

from collections.abc import Mapping

from fedaffect.config import RunConfig
from fedaffect.defences.base import Defence
from fedaffect.errors import UsageError
from fedaffect.privacy.base import ReleasePlan
from fedaffect.privacy.spec import AdaptiveClip, BlockPolicy, ClipSpec, PrivacySpec


def clients_of(config: RunConfig) -> int:
    """Return the number of clients of a resolved configuration."""
    assert config.federation.clients is not None  # resolved before
    return config.federation.clients


def privacy_spec(
    config: RunConfig,
    defence: Defence | None = None,
    withheld: Mapping[str, BlockPolicy] | None = None,
) -> PrivacySpec:
    """Return what the ``[dp]`` table asks for, with every ``auto`` resolved.

    Args:
        config: The configuration.
        defence: Keeps heads on the clients where ``dp.blocks`` does not say otherwise.
        withheld: What the release plan does not release.
    """
    dp = config.dp
    kept: dict[str, BlockPolicy] = {
        f"task:{task}": "keep_local" for task in (defence.keeps if defence else ())
    }
    paper = dp.mechanism.startswith("paper-")
    place = "client" if paper or dp.unit == "window" else "server"
    adaptive = AdaptiveClip(dp.clip_quantile, dp.clip_rate, dp.clip_count_noise)
    clip = ClipSpec(
        bound=dp.clip_start if isinstance(dp.clip, str) else dp.clip,
        norm=None if dp.clip_norm == "auto" else dp.clip_norm,
        target=dp.clip_target,
        per_block=dp.block_clips,
        adaptive=adaptive if dp.clip == "adaptive" else None,
    )
    return PrivacySpec(
        mechanism=dp.mechanism,
        eps=dp.eps,
        delta=dp.delta,
        eps_per_round=dp.eps_per_round,
        z=dp.z,
        sigma=dp.sigma,
        noise_layers=dp.noise_layers,
        policies={**(withheld or {}), **kept, **dp.blocks},
        clip=clip,
        allocation=dp.noise_allocation,
        ratios=dp.noise_ratios,
        where=place if dp.where == "auto" else dp.where,  # type: ignore[arg-type]
        unit=dp.unit,
        adjacency=("replace_one" if paper else "zero_out")
        if dp.adjacency == "auto"
        else dp.adjacency,
        records=dp.paper_records,
    )


def release_plan(config: RunConfig, folds: int) -> ReleasePlan:
    """Return who takes part in how many releases: what the accountant needs.

    Args:
        config: The configuration, its clients resolved.
        folds: Models that the evaluation trains; each costs all rounds.

    Raises:
        UsageError: E235 a cap on participation that bounds nothing.
    """
    f, clients = config.federation, clients_of(config)
    if f.fraction >= 1:
        sampler, expected = "full", float(clients)
    elif f.sampler == "bernoulli":
        sampler, expected = "poisson", clients * f.fraction
    else:
        sampler, expected = "fixed", float(max(1, round(clients * f.fraction)))
    if config.dp.participation_cap is not None and sampler == "poisson":
        raise UsageError(
            "E235",
            "dp.participation_cap does not go with --sampler bernoulli: capped draws are not "
            "independent, so they amplify nothing",
            do="--sampler fixed, or drop the cap",
        )
    if config.dp.participation_cap is not None and sampler == "full":
        raise UsageError(
            "E235",
            "dp.participation_cap does not go with --fraction 1: everyone takes part in every "
            "round",
            do="give a --fraction below 1, fewer --rounds, or drop the cap",
        )
    one_each = config.data.partition == "subject"
    cap = config.dp.participation_cap
    return ReleasePlan(
        releases=config.rounds * folds,
        clients_per_round=expected,
        sampling_rate=1.0 if sampler == "full" else expected / clients,
        sampler=sampler,  # type: ignore[arg-type]
        n_units=clients,
        clients_per_subject=1 if one_each else clients,
        subjects_per_client=1,
        participation_cap=None if cap is None else cap * folds,
    )
