"""A release plan as tuning sees it: which numbers move, under how much noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedaffect import registry
from fedaffect.config import RunConfig
from fedaffect.models.factory import ModelFactory
from fedaffect.outline import network_of
from fedaffect.privacy.base import Mechanism, ReleasePlan
from fedaffect.privacy.choice import mechanism_of
from fedaffect.privacy.forecast import plan_forecast
from fedaffect.privacy_plan import clients_of, privacy_spec
from fedaffect.release_choice import policies, with_release
from fedaffect.tuning.affine_head import Person, affine_scores
from fedaffect.tuning.public_people import Cohort


@dataclass(frozen=True)
class Released:
    """The numbers that one release plan trains.

    Args:
        release: As ``--release`` takes it.
        config: The run with that release, resolved.
        factory: Builds the network.
        mechanism: Gaussian noise, not calibrated.
    """

    release: str | int
    config: RunConfig
    factory: ModelFactory
    mechanism: Mechanism

    @classmethod
    def of(cls, config: RunConfig, release: str | int) -> Released:
        """Return the numbers that ``release`` trains in the run of ``config``."""
        start, resolved = with_release(config.replace({"model.release": release}))
        factory = network_of(resolved, start, clients_of(resolved))
        spec = privacy_spec(resolved, None, policies(release, factory.build()))
        mechanism = mechanism_of(spec, registry.resolve("dp", "gaussian"))
        return cls(release, resolved, factory, mechanism)

    def people(self, cohort: Cohort) -> tuple[Person, ...]:
        """Return what the released numbers see of everybody in ``cohort``."""
        start = self.factory.initial(self.config.run.seed)
        design, offset = affine_scores(self.factory, self.places, start, cohort.features)
        stressed = cohort.table.stress.astype(np.float64)
        of = [cohort.table.subject == i for i in range(len(cohort.table.subjects))]
        return tuple(Person(design[own], offset[own], stressed[own]) for own in of)

    @property
    def places(self) -> np.ndarray:
        """Places of the k released numbers in the parameters."""
        released: np.ndarray = self.planned(1)[0].blocks.released
        return released

    def planned(self, rounds: int) -> tuple[Mechanism, float]:
        """Return the mechanism calibrated for ``rounds``, and its noise-to-signal ratio.

        Raises:
            UsageError: E222, E224, E226 the budget.
        """
        n = clients_of(self.config)
        plan = ReleasePlan(rounds, float(n), 1.0, "full", n, 1, 1)
        mechanism = self.mechanism.calibrate(plan, self.factory.layout)
        return mechanism, plan_forecast(mechanism, plan, self.factory.layout).noise_to_signal
