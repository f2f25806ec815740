"""The privacy statement of a run: what is promised, to whom, against whom, and what is not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from fedaffect.errors import PrivacyError
from fedaffect.params import Layout
from fedaffect.privacy import wording
from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.forecast import plan_forecast
from fedaffect.privacy.promise import Promise, promise_of, protects

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class PrivacyStatement:
    """One run's promise. Without a finite guarantee ``eps``, ``delta`` and ``mu`` are ``None``.

    ``eps`` is what the releases so far have cost (``budget`` holds the planned total), to the
    external observer; ``observers``, ``blocks``, ``budget``,
    ``accountant`` and ``person`` are tables of plain values.
    """

    status: Literal["FORMAL", "CONDITIONAL", "NONE"]
    sentence: str
    details: tuple[str, ...]
    mechanism: str
    unit: str
    adjacency: str
    where: str
    horizon: str
    eps: float | None
    delta: float | None
    mu: float | None
    eps_pure: float | None
    budget: dict[str, float | None] | None
    observers: list[dict[str, Any]]
    z: float
    noise_sd: float
    blocks: list[dict[str, Any]]
    sampling: dict[str, Any]
    releases_planned: int
    releases_done: int
    accountant: dict[str, Any] | None
    n_break_even: float
    person: dict[str, Any]
    assumptions: tuple[str, ...]
    not_covered: tuple[str, ...]
    data_notes: tuple[str, ...]
    warnings: tuple[str, ...]
    noise_key_kind: str
    ledger_head: str | None
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PrivacyStatement:
        """Read what ``to_dict`` wrote.

        Raises:
            PrivacyError: E407 a field is missing, unknown or of another schema version.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        if values.keys() != names or values["schema_version"] != SCHEMA_VERSION:
            raise PrivacyError(
                "E407",
                f"privacy statement has other fields or version than {SCHEMA_VERSION}: "
                f"{sorted(values.keys() ^ names)}",
            )
        lists = [f.name for f in dataclasses.fields(cls) if str(f.type).startswith("tuple")]
        return cls(**{**values, **{name: tuple(values[name]) for name in lists}})


def make_statement(
    mechanism: Mechanism,
    plan: ReleasePlan,
    layout: Layout,
    *,
    releases_done: int,
    key_kind: str,
    normalisation: str,
    data_notes: list[str],
    ledger_head: str | None,
) -> PrivacyStatement:
    """Return what the releases so far promise.

    Args:
        mechanism: The calibrated mechanism.
        plan: What it was calibrated for.
        layout: The model's parameters.
        releases_done: Paid releases, ``Ledger.spent``.
        key_kind: ``NoiseKey.kind``: ``secret`` or ``unsafe-test``; ``none`` without noise.
        normalisation: Choice of ``--normalise``: ``public``, ``global``, ``subject`` or ``none``.
        data_notes: What data preparation says about itself, one line each.
        ledger_head: Head of the ledger after the last charge; ``None`` without a ledger.

    Raises:
        PrivacyError: E401 more releases than planned; E406 the mechanism is not calibrated.
    """
    if releases_done > plan.releases:
        raise PrivacyError(
            "E401", f"{releases_done} releases are more than the {plan.releases} planned"
        )
    events, delta = mechanism.events(plan), mechanism.spec.delta
    if mechanism.groups and (delta is None or mechanism.scale <= 0):
        raise PrivacyError("E406", "the mechanism is not calibrated: there is nothing to state")

    refused = _refusals(mechanism, plan, releases_done, key_kind, normalisation, ledger_head)
    promise = block_promise = None
    head, details = "", list(refused)
    if events and delta is not None and not refused:
        if protects(mechanism):
            done = dataclasses.replace(plan, releases=releases_done)
            promise = promise_of(mechanism, done)
            assert promise is not None
            details = [
                wording.full(
                    promise.eps,
                    delta,
                    releases_done,
                    promise.dominant.noise,
                    promise.accountant["name"],
                ),
                wording.scope(releases_done, plan.releases, promise.dominant.rate < 1),
            ]
            if promise.eps_pure is not None:
                details.append(wording.pure(promise.eps_pure))
        else:
            once = [dataclasses.replace(e, releases=1, rate=1.0) for e in events]
            block_promise = Promise(once, delta, mechanism.method)
            names = list(mechanism.blocks.named("noise"))
            noised = int(mechanism.blocks.mask("noise").sum())
            details = [
                wording.partial(names, noised, layout.size),
                wording.of_blocks(
                    names, block_promise.eps, delta, block_promise.accountant["name"]
                ),
            ]
    head, *details = details
    shown = promise or block_promise
    eps_person = promise.eps_of_group(plan.clients_per_subject) if promise else None
    spec = mechanism.spec
    return PrivacyStatement(
        status="FORMAL" if promise else "NONE",
        sentence=head,
        details=tuple(details),
        mechanism=spec.mechanism,
        unit=spec.unit,
        adjacency=spec.adjacency,
        where=spec.where,
        horizon="run",
        eps=promise.eps if promise else None,
        delta=promise.delta if promise else None,
        mu=promise.mu if promise else None,
        eps_pure=promise.eps_pure if promise else None,
        budget={"eps": spec.eps, "delta": delta} if promise else None,
        observers=_observers(promise),
        z=mechanism.scale,
        noise_sd=max((g.noise for g in mechanism.groups), default=0.0),
        blocks=_blocks(mechanism, block_promise),
        sampling={
            "sampler": plan.sampler,
            "rate": plan.sampling_rate,
            "clients_per_round": plan.clients_per_round,
            "n_units": plan.n_units,
            "text": wording.sampling(plan.sampler, plan.sampling_rate),
        },
        releases_planned=plan.releases,
        releases_done=releases_done,
        accountant=shown.accountant if shown else None,
        n_break_even=plan_forecast(mechanism, plan, layout).n_break_even,
        person={
            "clients_per_subject": plan.clients_per_subject,
            "subjects_per_client": plan.subjects_per_client,
            "eps": eps_person,
            "delta": delta if promise else None,
        },
        assumptions=wording.assumptions(plan.amplifying_rate < 1) if shown else (),
        not_covered=wording.NOT_COVERED,
        data_notes=tuple(data_notes),
        warnings=wording.people(
            plan.clients_per_subject, plan.subjects_per_client, eps_person, delta
        ),
        noise_key_kind=key_kind,
        ledger_head=ledger_head,
    )


def _refusals(
    mechanism: Mechanism,
    plan: ReleasePlan,
    releases_done: int,
    key_kind: str,
    normalisation: str,
    ledger_head: str | None,
) -> list[str]:
    """Return why nothing at all is promised, most important first."""
    if not mechanism.groups:
        return [wording.NO_NOISE]
    reasons = []
    if key_kind != "secret":
        reasons.append(wording.TEST_NOISE)
    if normalisation == "global" or (normalisation == "subject" and plan.clients_per_subject > 1):
        reasons.append(wording.clear_statistics(normalisation))
    if releases_done == 0:
        reasons.append(wording.NOTHING)
    elif key_kind == "secret" and ledger_head is None:
        reasons.append(wording.NO_LEDGER)
    return reasons


def _observers(promise: Promise | None) -> list[dict[str, Any]]:
    """Return one line an observer; the server is trusted, so it has no eps."""
    eps = {
        "server": None,
        "participants": promise.eps_of_participants if promise else None,
        "external": promise.eps if promise else None,
    }
    return [
        {
            "observer": name,
            "eps": eps[name],
            "delta": promise.delta if promise and eps[name] is not None else None,
            "text": text,
        }
        for name, text in wording.OBSERVERS.items()
    ]


def _blocks(mechanism: Mechanism, block_promise: Promise | None) -> list[dict[str, Any]]:
    """Return one line a block: its policy, and the clip and noise of its group."""
    group_of = {block: group for group in mechanism.groups for block in group.blocks}
    sizes = mechanism.blocks.layout.block_sizes
    lines = []
    for name, policy in mechanism.blocks.policies:
        group = group_of.get(name)
        conditional = block_promise if group is not None else None
        lines.append(
            {
                "name": name,
                "policy": policy,
                "parameters": sizes[name],
                "clip": group.clip if group else None,
                "sigma": group.noise if group else None,
                "conditional_status": "CONDITIONAL" if conditional else None,
                "conditional_eps": conditional.eps if conditional else None,
                "conditional_delta": conditional.delta if conditional else None,
            }
        )
    return lines
