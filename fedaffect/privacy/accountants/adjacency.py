"""What an adjacency means to an accountant.

A scale is noise / sensitivity under the event's own adjacency. Without sampling nothing else of
the adjacency matters: a unit that moves a sum by 2C under noise sd is one that moves it by C under
sd / 2. With Poisson sampling it does: zero_out compares N(0, sd^2) with (1 - q) N(0, sd^2) +
q N(C, sd^2), whereas replace_one compares two such mixtures, shifted to opposite sides.
"""

from __future__ import annotations

from dataclasses import replace

from fedaffect.privacy.base import Event


def as_zero_out(event: Event) -> Event:
    """Return an event under zero_out that costs as much as ``event``, or more.

    Under replace_one with sampling it counts every unit as always there: an upper bound, because
    the mixtures that sampling makes are no easier to tell apart than their components.
    """
    if event.adjacency == "zero_out":
        return event
    return replace(event, adjacency="zero_out", rate=1.0)


def replace_one_multiplier(scale: float) -> float:
    """Return what dp-accounting's PLD calls noise multiplier under ``REPLACE_ONE``: sd / C.

    It shifts the two mixtures by C to either side itself, so that the sensitivity 2C of ``scale``
    must not be counted again. Its RDP accountant, in contrast, reads sd / 2C.
    """
    return 2 * scale
