"""How many clients of a run train side by side: a rule that was measured, and what speaks against.

Measured on two cores (``benchmarks/README.md``): a stack pays where a step is so little work that
starting its operations takes longer. CPU time of a client's step in stacks of 5 and of 20, against
one after another (stress and identity network, busy machine): 1.6 and 3.0 times less with batches
of 8, 1.5 and 1.8 with 32, 1.2 and 1.4 with 64, 1.2 with 128. On a GPU it pays for every step of a
small network: there whole rounds are stacked, as far as a fixed budget of memory goes
(``stack_memory``). Besides ``--device`` the rule reads nothing of the machine or of the workers, so
that the numbers of a run do not depend on them.

Rounding of a client's update depends on the sizes of those in its stack, which are public, and on
nobody's values. Where a promise counts on secret sampling, nobody's part in a round may show in
another's update: there are no stacks. Noised steps draw their windows in secret, too, and have
little to share: of 24 ms that one with 8 windows takes (44 with 32), 11 (12) are keyed noise and 7
(21) norms and clipping in float64, each of one client; a stack would halve the other 6 (10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect.build import Experiment
from fedaffect.clients.stacked import why_not_stacked
from fedaffect.server.stack_memory import BUDGET, clients_that_fit

LARGEST = 20  # more gain little and take memory
LEAST = 5  # fewer gain little
STACKS = 4  # of a round at least, so that several workers have something to do
WORK = 4_000_000  # parameters times windows of a step, beyond which arithmetic takes the time


@dataclass(frozen=True)
class Stacking:
    """How many clients train side by side.

    Args:
        size: Most clients in a stack; 1: one after another.
        why: What speaks against stacks; empty where there are some.
    """

    size: int
    why: str = ""

    @property
    def words(self) -> str:
        """How clients train, and why not otherwise."""
        if self.size == 1:
            return f"clients one after another ({self.why})"
        return f"up to {self.size} clients side by side"


def stacking_of(experiment: Experiment) -> Stacking:
    """Return the stacks of a run, as ``run.stack`` asks for them."""
    asked = experiment.config.run.stack
    if asked == "off":
        return Stacking(1, "as asked")
    against = _impossible(experiment)
    if against:
        return Stacking(1, against)
    if isinstance(asked, int):
        return Stacking(asked, "as asked" if asked == 1 else "")
    if experiment.config.run.device == "cuda":
        return _on_a_gpu(experiment)
    clients = int(experiment.plan.clients_per_round)
    size = largest_stack(clients)
    if asked == "on":
        return Stacking(size)
    if clients < LEAST * STACKS:
        return Stacking(1, f"fewer than {LEAST * STACKS} clients a round")
    if (work := _work(experiment)) > WORK:
        return Stacking(1, f"a step is work enough: {work:,} parameters times windows")
    return Stacking(size)


def _on_a_gpu(experiment: Experiment) -> Stacking:
    clients = max(len(fold.partition.clients) for fold in experiment.folds)
    fit = clients_that_fit(experiment)
    if fit == 1:
        return Stacking(1, f"two of them may take more than {BUDGET // 1024**3} GiB of a GPU")
    return Stacking(min(fit, max(2, clients)))


def largest_stack(clients: int) -> int:
    """Return the size of the stacks of a round of ``clients`` where they are stacked at all."""
    return max(2, min(LARGEST, clients // STACKS))


def _impossible(experiment: Experiment) -> str:
    if experiment.mechanism.noise_at == "steps":
        return "noised steps are taken one client after another"
    if experiment.mechanism.groups and experiment.plan.sampler == "poisson":
        return "who takes part is secret, and would show in how the others' numbers are rounded"
    return why_not_stacked(experiment.factory.build())


def _work(experiment: Experiment) -> int:
    """Return parameters that move times windows of the largest step."""
    frozen = experiment.mechanism.blocks.frozen
    moving = experiment.factory.layout.size - (0 if frozen is None else int(np.sum(frozen)))
    largest = max(len(rows) for fold in experiment.folds for rows in fold.partition.clients)
    return moving * min(largest, experiment.config.batch_size)
