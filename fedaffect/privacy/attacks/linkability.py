"""Whose upload is it? The server links anonymous uploads to uploads whose sender it knows.

Clients are enrolled with their uploads of the first rounds; each upload of a later round is given
to the client whose mean enrolment is nearest in angle. Whatever hides names between rounds
(pseudonyms, a shuffler) hides nothing where uploads can be linked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, AttackRow, Threat
from fedaffect.metrics import estimate
from fedaffect.privacy.attacks.base import IdentityAttack
from fedaffect.privacy.attacks.enrolment import finite
from fedaffect.privacy.attacks.evidence import Claim, Evidence, RoundUploads
from fedaffect.privacy.attacks.identity import scored, strongest
from fedaffect.privacy.attacks.naming import FEWEST, NOT_DETECTED, chance_of
from fedaffect.privacy.attacks.pair_scores import PairScores, strongest_eer, unit_rows
from fedaffect.privacy.attacks.statistics import naming_cap
from fedaffect.record import Estimate

WHOLE = "whole upload"


@dataclass(frozen=True)
class Linkability:
    """Linking uploads across rounds by cosine, whole and block by block (b3)."""

    id: ClassVar[str] = "b3"
    name: ClassVar[str] = "linkability"
    threat: ClassVar[Threat] = "B"
    full: ClassVar[bool] = False

    def run(self, evidence: Evidence) -> AttackResult:
        """Link; not run without two rounds of uploads, not resolvable with under four clients."""
        start = time.perf_counter()
        if not evidence.uploads:
            why = evidence.no_uploads or "the server's uploads are not known"
            return self._result(status="not_run", reason=why)
        first = max(1, len(evidence.uploads) // 2)
        known, later = evidence.uploads[:first], evidence.uploads[first:]
        clients = np.unique([c for round_ in known for c in round_.clients])
        sender = np.array([c for round_ in later for c in round_.clients], dtype=np.int64)
        is_known = np.isin(sender, clients)
        if not is_known.any():
            why = "no client sent uploads in two of the rounds that the server kept"
            return self._result(status="not_run", reason=why)
        if len(clients) < FEWEST:
            why = f"fewer than {FEWEST} clients can be told from one another"
            return self._result(status="not_resolvable", reason=why)

        owner = np.searchsorted(clients, sender[is_known])  # (m,)
        enrolled = np.searchsorted(clients, [c for round_ in known for c in round_.clients])
        rows: list[AttackRow] = []
        attacks: list[IdentityAttack] = []
        scores: list[PairScores] = []
        for where, places in _parts(evidence):
            for name, centred in (("cosine", False), ("centred cosine", True)):
                enrol, test = (_rows(rounds, places, centred) for rounds in (known, later))
                means = [enrol[enrolled == i].mean(axis=0) for i in range(len(clients))]
                cosines = unit_rows(test[is_known]) @ unit_rows(np.stack(means)).T  # (m, N)
                pair = PairScores(name, cosines, owner)
                attack = scored(name, cosines.argmax(axis=1), owner, enrolled, evidence.seed)
                rows += [
                    AttackRow(name=name, where=where, metric=metric, figure=figure)
                    for metric, figure in (
                        ("top-1", estimate(attack.accuracy, attack.chance)),
                        ("EER", strongest_eer([pair], evidence.seed)),
                    )
                ]
                attacks.append(replace(attack, name=f"{name} of {where}"))
                scores.append(pair)
        best = strongest(attacks, evidence.seed)
        curve = scores[[a.name for a in attacks].index(best.name)]
        chance = chance_of(attacks, owner, evidence.seed)
        cap = _cap(evidence.claims, len(clients))
        if cap is not None:
            figure = Estimate(value=cap, chance=best.chance, n_people=len(clients))
            rows.append(
                AttackRow(name="cap of the claim", metric="top-1", figure=figure, role="baseline")
            )
        return self._result(
            metric="top-1",
            figure=estimate(best.accuracy, best.chance),
            smallest_effect=chance.smallest_effect,
            rows=tuple(rows),
            roc=curve.curve(),
            n_members=len(clients),
            n_nonmembers=curve.pairs,
            finding=f"{best.name} names the sender of {best.accuracy.value:.1%} of uploads "
            f"(chance {best.chance:.1%})."
            if chance.detected
            else f"Linking uploads is {NOT_DETECTED}.",
            notes=(
                f"{best.n_enrol} uploads of rounds {_numbers(known)} enrol {len(clients)} clients, "
                f"{best.n_test} of rounds {_numbers(later)} are linked",
                "intervals are over clients",
                f"with clients permuted, {chance.p_value:.1%} of figures are as large",
            ),
            seconds=time.perf_counter() - start,
        )

    def _result(self, **found: object) -> AttackResult:
        return AttackResult.model_validate(
            {
                "id": self.id,
                "name": self.name,
                "title": "Whose upload is it? Linking uploads across rounds",
                "family": "linkage",
                "threat": self.threat,
                "knowledge": "uploads of earlier rounds with their senders, and uploads of later "
                "rounds without",
            }
            | found
        )


def _cap(claims: tuple[Claim, ...], clients: int) -> float | None:
    """Return the cap that the claim to the server implies; ``None`` where nothing is promised.

    Zero-out (eps, delta) twice, from one client to none to another, is replace-one
    (2 eps, (1 + e^eps) delta).
    """
    for claim in claims:
        if claim.observer == "server" and claim.unit == "client" and claim.eps is not None:
            eps, delta = claim.eps, claim.delta or 0.0
            if claim.adjacency == "zero_out":
                eps, delta = 2 * eps, (1 + math.exp(min(eps, 700.0))) * delta
            return naming_cap(eps, delta, clients)
    return None


def _parts(evidence: Evidence) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a name and places among the released coordinates: the whole, and every block."""
    blocks = evidence.mechanism.blocks
    yield WHOLE, np.arange(len(blocks.released))
    released = blocks.named("noise", "clear")
    if len(released) > 1:
        yield from ((block, blocks.place(block)) for block in released)


def _rows(rounds: tuple[RoundUploads, ...], places: np.ndarray, centred: bool) -> np.ndarray:
    """Return the uploads of ``rounds`` at ``places``, less their round's mean where ``centred``."""
    parts = [finite(round_.rows[:, places]) for round_ in rounds]
    return np.concatenate([x - centred * x.mean(axis=0) for x in parts])


def _numbers(rounds: tuple[RoundUploads, ...]) -> str:
    return ", ".join(str(round_.server_round) for round_ in rounds)
