"""From a calibrated mechanism and the facts of a run to its privacy statement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fedaffect.errors import PrivacyError
from fedaffect.params import Layout
from fedaffect.privacy import beside, sentences, shares, wording
from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.forecast import largest_sd, plan_forecast
from fedaffect.privacy.layers import block_lines, clip_of
from fedaffect.privacy.observers import observer_lines
from fedaffect.privacy.people import person_warnings
from fedaffect.privacy.promise import Promise, promise_of, protects
from fedaffect.privacy.run_facts import RunFacts
from fedaffect.privacy.scope import Scope, scope_of
from fedaffect.privacy.statement import PrivacyStatement


def make_statement(
    mechanism: Mechanism, plan: ReleasePlan, layout: Layout, facts: RunFacts
) -> PrivacyStatement:
    """Return what the releases so far promise.

    Args:
        mechanism: The calibrated mechanism.
        plan: What it was calibrated for.
        layout: The model's parameters.
        facts: What has happened.

    Raises:
        PrivacyError: E401 more releases than planned; E406 the mechanism is not calibrated.
    """
    made = _Made.of(mechanism, plan, facts)
    spec, promise, scope, done = mechanism.spec, made.promise, made.scope, made.done
    head, *details = made.lines
    accountant = made.shown.accountant if made.shown else None
    claim, worth = made.paper
    person = shares.eps_of_person(scope, promise, plan)
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
        eps_per_round=promise.eps_of(made.steps) if promise else None,
        eps_basic=shares.basic(promise, made.counted, made.steps) if promise else None,
        other_adjacency=made.other_adjacency,
        budget={"eps": spec.eps, "delta": spec.delta} if promise else None,
        composition=shares.composition(promise, made.counted)
        if promise and not facts.planned
        else [],
        observers=observer_lines(scope, promise, facts.fewest_replies or 1),
        z=mechanism.scale,
        noise_sd=largest_sd(mechanism),
        clip=clip_of(mechanism),
        blocks=block_lines(mechanism, None if promise else made.shown),
        sampling={
            "sampler": plan.sampler,
            "rate": plan.sampling_rate,
            "clients_per_round": plan.clients_per_round,
            "n_units": plan.n_units,
            "text": sentences.sampling(plan, scope.noise_at),
        },
        releases_planned=plan.releases,
        releases_done=facts.releases_done,
        participation_cap=plan.participation_cap,
        per_client=made.per_client,
        stopped=facts.stopped,
        accountant=accountant,
        n_break_even=plan_forecast(mechanism, plan, layout).n_break_even,
        person={
            "clients_per_subject": plan.clients_per_subject,
            "subjects_per_client": plan.subjects_per_client,
            "eps": person,
            "delta": spec.delta if person is not None else None,
        },
        group=made.group,
        paper_claim=claim,
        true_value_of_paper_claim=worth,
        other_runs=beside.other_runs(facts.other_runs, mechanism, done, promise)
        if facts.key_kind == "secret" and mechanism.events(done)
        else None,
        assumptions=sentences.assumptions(scope, facts.public_data) if made.shown else (),
        not_covered=sentences.not_covered(scope),
        data_notes=facts.data_notes,
        warnings=person_warnings(scope, plan, person, spec.delta, accountant),
        noise_key_kind=facts.key_kind,
        ledger_head=facts.ledger_head,
    )


@dataclass(frozen=True)
class _Made:
    """What a statement is made of.

    Args:
        mechanism: The calibrated mechanism.
        done: The plan of what was released.
        facts: What has happened.
        scope: What an eps refers to.
        refused: Why nothing at all is promised.
        promise: What the releases cost; ``None`` without a finite eps.
        conditional: What one release of the noised blocks costs, where others are clear.
        paper: Claim and worth of the paper's noise.
        planned: Number of planned releases.
    """

    mechanism: Mechanism
    done: ReleasePlan
    facts: RunFacts
    scope: Scope
    refused: tuple[str, ...]
    promise: Promise | None
    conditional: Promise | None
    paper: tuple[dict[str, Any] | None, dict[str, Any] | None]
    planned: int

    @classmethod
    def of(cls, mechanism: Mechanism, plan: ReleasePlan, facts: RunFacts) -> _Made:
        """Decide what may be promised.

        Raises:
            PrivacyError: E401 more releases than planned; E406 the mechanism is not calibrated.
        """
        if facts.releases_done > plan.releases:
            raise PrivacyError(
                "E401", f"{facts.releases_done} releases are more than the {plan.releases} planned"
            )
        delta = mechanism.spec.delta
        if mechanism.noise_at != "nowhere" and (delta is None or mechanism.scale <= 0):
            raise PrivacyError("E406", "the mechanism is not calibrated: there is nothing to state")
        scope, refused = scope_of(mechanism, plan), _refusals(mechanism, plan, facts)
        done = _done(plan, facts)
        events = mechanism.events(done) if done and not refused else ()
        promise = conditional = None
        paper = beside.paper(mechanism, done, scope) if events and done else (None, None)
        if events and done and delta is not None and mechanism.claims:
            promise = promise_of(mechanism, done)
            if not protects(mechanism):
                once = [replace(e, releases=1, rate=1.0) for e in events]
                conditional = Promise(once, delta, mechanism.method)
        return cls(
            mechanism,
            done or plan,
            facts,
            scope,
            tuple(refused),
            promise,
            conditional,
            paper,
            plan.releases,
        )

    @property
    def shown(self) -> Promise | None:
        """The promise that the sentences are about."""
        return self.promise or self.conditional

    @property
    def counted(self) -> int:
        """Rounds that one client is counted in."""
        return self.done.participations

    @property
    def steps(self) -> int:
        """Noisy sums in a round."""
        return self.promise.dominant.releases // self.counted if self.promise else 1

    @property
    def other_adjacency(self) -> dict[str, Any] | None:
        """The same noise under the other adjacency: readers of local DP expect replace_one."""
        if self.promise is None or self.scope.noise_at != "client":
            return None
        return shares.under_other_adjacency(self.promise, self.scope)

    @property
    def group(self) -> dict[str, Any] | None:
        """What a second of signal pays, for unit ``window``."""
        by = self.promise.accountant["name"] if self.promise else ""
        return shares.group_of_seconds(self.scope, self.promise, self.done, by)

    @property
    def per_client(self) -> dict[str, Any] | None:
        """How often clients took part, and what that cost them."""
        if self.facts.planned or not self.mechanism.groups:
            return None
        secret = self.done.sampler == "poisson"
        return shares.per_client(self.promise, self.facts.participations, secret, self.steps)

    @property
    def lines(self) -> list[str]:
        """The sentence and its details."""
        lines = [*self.refused]
        if not lines and not self.mechanism.claims:
            lines = [wording.NO_CLAIM]
        elif not lines and self.promise is not None:
            lines = self._formal(self.promise)
        elif not lines:
            lines = [sentences.partial(self.mechanism.blocks)]
            if self.conditional is not None:
                c = self.conditional
                lines.append(
                    sentences.of_blocks(
                        self.scope, self.mechanism.blocks, c.eps, c.delta, c.accountant["name"]
                    )
                )
        lines += sentences.withheld(self.mechanism.blocks, self.scope.noise_at)
        lines += [said["text"] for said in self.paper if said]
        if self.facts.canaries:
            lines.append(sentences.canaries(self.facts.canaries, self.done.clients_per_round))
        if self.facts.stopped:
            lines.append(f"The run ended early: {self.facts.stopped}.")
        return lines

    def _formal(self, promise: Promise) -> list[str]:
        scope, delta, by = self.scope, promise.delta, promise.accountant["name"]
        done = self.facts.releases_done
        lines = [
            sentences.full(scope, promise.eps, delta, done, by),
            sentences.scope_line(scope, done, self.planned),
        ]
        if self.counted > 1:
            once, summed = (
                promise.eps_of(self.steps),
                shares.basic(promise, self.counted, self.steps),
            )
            lines.append(sentences.per_round(scope, once, summed, delta, by))
        if promise.eps_pure is not None:
            lines.append(sentences.pure(promise.eps_pure))
        if other := self.other_adjacency:
            lines.append(sentences.under_other(other["adjacency"], scope.one, other["eps"], delta))
        if self.group:
            lines.append(f"One training window is not a person; {self.group['text']}.")
        if most := shares.who_pays_most(promise, self.done):
            lines.append(most)
        return lines + sentences.too_large(promise.eps)


def _done(plan: ReleasePlan, facts: RunFacts) -> ReleasePlan | None:
    """Return the plan of what was released; ``None`` where nothing was.

    A cap counts only as far as nobody took part more often.
    """
    if facts.releases_done == 0:
        return None
    cap = plan.participation_cap
    if cap is not None and facts.participations:
        cap = max(cap, *facts.participations.values())
    return replace(plan, releases=facts.releases_done, participation_cap=cap)


def _refusals(mechanism: Mechanism, plan: ReleasePlan, facts: RunFacts) -> list[str]:
    """Return why nothing at all is promised, most important first."""
    if not mechanism.groups:
        return [wording.NO_NOISE]
    reasons = []
    if facts.key_kind != "secret":
        reasons.append(wording.TEST_NOISE)
    choice = facts.normalisation
    if choice == "global" or (choice == "subject" and plan.clients_per_subject > 1):
        reasons.append(wording.clear_statistics(choice))
    elif choice == "subject" and mechanism.spec.unit == "window":
        reasons.append(wording.WINDOW_STATISTICS)
    if facts.releases_done == 0:
        reasons.append(wording.NOTHING)
    elif facts.key_kind == "secret" and facts.ledger_head is None and not facts.planned:
        reasons.append(wording.NO_LEDGER)
    return reasons
