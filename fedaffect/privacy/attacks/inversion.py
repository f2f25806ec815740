"""Which windows gave this upload? Inversion of updates, and who is named by what comes out.

One SGD step on a few windows of a person is the attacker's best case; the uploads of the run, after
local epochs on all windows of a client, are the real one and usually resist.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedaffect.audit_record import AttackResult, Threat
from fedaffect.metrics import estimate
from fedaffect.privacy.attacks.attacker_uploads import STEPS_NOTE, moved, released
from fedaffect.privacy.attacks.evidence import Evidence, Windows
from fedaffect.privacy.attacks.inversion_rows import (
    RENAMED,
    Setting,
    labels_of,
    names_in,
    rows_of,
)
from fedaffect.privacy.attacks.naming import FEWEST, NOT_DETECTED, chance_of
from fedaffect.privacy.attacks.reconstruct import Effort, LocalTrainingOf, reconstruct
from fedaffect.privacy.attacks.reconstruction_scores import Attacked, matched
from fedaffect.rng import generator

MOST_STEPS = 3  # of local training that are simulated
ON_ONE_STEP = Effort(iterations=120, restarts=1)
ON_UPLOADS = Effort(iterations=60, restarts=1)


@dataclass(frozen=True)
class UpdateInversion:
    """Inversion of one step on a few windows, and of the run's uploads (b1).

    Args:
        people: Most people that are attacked.
        batches: Numbers of windows in one step, ascending.
        one_step: Effort on one step.
        uploads: Effort on an upload of the run.
    """

    id: ClassVar[str] = "b1"
    name: ClassVar[str] = "inversion"
    threat: ClassVar[Threat] = "B"
    full: ClassVar[bool] = True
    people: int = 10
    batches: tuple[int, ...] = (1, 2, 4, 8)
    one_step: Effort = ON_ONE_STEP
    uploads: Effort = ON_UPLOADS

    def run(self, evidence: Evidence) -> AttackResult:
        """Invert; not resolvable with fewer than four people."""
        start = time.perf_counter()
        w, steps_noised = evidence.windows, evidence.mechanism.noise_at == "steps"
        held = _held(w, self.people, max(self.batches), evidence.seed)
        if len(held) < FEWEST:
            why = f"fewer than {FEWEST} people have two training windows or more"
            return self._result(status="not_resolvable", reason=why)
        settings = [] if steps_noised else [self._one_step(evidence, held, b) for b in self.batches]
        settings = [s for s in settings if len(s.attacked) >= FEWEST]
        real = self._real(evidence)
        settings += [real] if real else []
        if not settings:
            why = evidence.no_uploads or "no upload of a client whose windows are known"
            return self._result(status="not_run", reason=why)
        notes = [
            "Baselines: the mean enrolment window, another person's window, and the true windows.",
            "Each is compared with the nearest true window, one each; intervals are over people.",
        ]
        if steps_noised:
            notes.append(
                "One clear step is not inverted: every local step is noised. " + STEPS_NOTE
            )
        if not real:
            notes.append(f"The run's uploads were not inverted: {evidence.no_uploads or 'none'}.")
        elif not real.names_people:
            notes.append("Clients hold several people: their uploads name nobody.")
        named = [s for s in settings if s.names_people]
        rows = [row for s in settings for row in rows_of(evidence, s)]
        if not named:
            why = "clients hold several people, and every local step is noised"
            return self._result(
                status="not_resolvable", reason=why, rows=tuple(rows), notes=tuple(notes)
            )
        headline = named[-1]
        attack = names_in(evidence, headline, "reconstruction", lambda one: one.made)
        truth = np.concatenate([np.full(len(a.made), a.person) for a in headline.attacked])
        chance = chance_of([attack], truth, evidence.seed)
        return self._result(
            metric=RENAMED,
            figure=estimate(attack.accuracy, attack.chance),
            smallest_effect=chance.smallest_effect,
            rows=tuple(rows),
            n_members=len(truth),
            finding=f"Reconstructions ({headline.name}) name the person of "
            f"{attack.accuracy.value:.1%} of windows (chance {attack.chance:.1%})."
            if chance.detected
            else f"Who trained is {NOT_DETECTED} in what is reconstructed ({headline.name}).",
            notes=(
                f"The figure is that of: {headline.name}.",
                *notes,
                f"With people permuted, {chance.p_value:.1%} of figures are as large.",
            ),
            seconds=time.perf_counter() - start,
        )

    def _one_step(self, e: Evidence, held: Sequence[np.ndarray], size: int) -> Setting:
        """Invert the upload of one step on ``size`` windows of each person who has twice that."""
        import torch

        training = LocalTrainingOf(e, e.initial, steps=1)
        attacked: list[Attacked] = []
        enrol = e.windows.enrol.copy()
        for rows in held:
            batch = rows[:size]
            if len(rows) < 2 * size:
                continue
            person = int(e.windows.subject[rows[0]])
            name = f"{size} of person {person}"
            x = torch.tensor(e.windows.features[batch], dtype=torch.float64)
            truth = {t: y[batch] for t, y in labels_of(e.windows).items() if t in training.classes}
            given = {task: torch.from_numpy(y.astype(np.int64)) for task, y in truth.items()}
            noise = None
            if training.model.defence.stochastic:
                width = training.model.embed({"features": x}).shape[1]
                noise = torch.from_numpy(
                    generator(e.seed, "inversion", "defence", name).normal(size=(size, width))
                )
            update = training.update(x, given, noise).detach().numpy()
            upload = released(e, update, e.initial, f"inversion {name}")
            if upload is None:
                continue
            seen = moved(e, upload, e.initial)
            found = reconstruct(training, seen, size, self.one_step, name)
            true = e.windows.features[batch]
            attacked.append(matched(person, true, found.features, truth, found.labels))
            enrol[batch] = False
        windows = "1 window" if size == 1 else f"{size} windows"
        return Setting(f"one step on {windows}", tuple(attacked), enrol, True)

    def _real(self, e: Evidence) -> Setting | None:
        """Invert uploads of the first known round; ``None`` without uploads."""
        if not e.uploads:
            return None
        w, round_ = e.windows, e.uploads[0]
        attacked: list[Attacked] = []
        single = True
        for client, upload in zip(round_.clients, round_.rows, strict=True):
            rows = np.flatnonzero(w.train & (w.client == client))
            if not len(rows) or len(attacked) == self.people or not np.isfinite(upload).all():
                continue
            epoch = math.ceil(len(rows) / e.local.batch_size)
            steps = min(MOST_STEPS, e.local.local_epochs * epoch)
            training = LocalTrainingOf(e, round_.params, steps)
            size = min(max(self.batches), len(rows))
            seen = moved(e, upload.astype(np.float64), round_.params)
            found = reconstruct(training, seen, size, self.uploads, f"client {client}")
            truth = {t: y[rows] for t, y in labels_of(w).items()}
            people = np.unique(w.subject[rows])
            single &= len(people) == 1
            attacked.append(
                matched(int(people[0]), w.features[rows], found.features, truth, found.labels)
            )
        if len(attacked) < FEWEST:
            return None
        name = f"the run's uploads, round {round_.server_round}"
        return Setting(name, tuple(attacked), w.enrol, single)

    def _result(self, **found: object) -> AttackResult:
        return AttackResult.model_validate(
            {
                "id": self.id,
                "name": self.name,
                "title": "Which windows gave this upload? Inversion, and whom it names",
                "family": "inversion",
                "threat": self.threat,
                "knowledge": "uploads with the parameters that were broadcast, how clients train, "
                "and other windows of each person to recognise them by",
            }
            | found
        )


def _held(w: Windows, people: int, largest: int, seed: int) -> list[np.ndarray]:
    """Return up to twice ``largest`` windows of people in training, (m,) each, in random order.

    All windows of a person stem from one client, the one that holds most.
    """
    draw = generator(seed, "inversion", "windows")
    trained = w.train & (w.client >= 0)
    found: list[np.ndarray] = []
    for person in draw.permutation(np.unique(w.subject[trained])):
        own = np.flatnonzero(trained & (w.subject == person))
        own = own[w.client[own] == np.bincount(w.client[own]).argmax()]
        if len(own) >= 2 and len(found) < people:
            found.append(draw.permutation(own)[: 2 * largest])
    return found
