"""The total of a round: what its clients contribute, added up here or by the nodes.

In a large round the nodes add up, where only the sum is needed: then memory does not grow with the
number of clients. The order of addition is the same wherever it is done, and so are the bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedaffect.clients.summing import added_up, summand
from fedaffect.privacy.base import ClippedSum, Mechanism
from fedaffect.privacy.mechanisms.noised import NoisedSum
from fedaffect.server.cohort import Cohort, Share, clients_of
from fedaffect.server.validation import Updates


def round_total(updates: Updates, cohort: Cohort, mechanism: Mechanism) -> np.ndarray:
    """Return the sum of what the accepted clients of a round add to it, (r,) float64.

    Args:
        updates: What was accepted: a row a client, or the sums of shares.
        cohort: Who was asked, in which shares.
        mechanism: The round's mechanism.

    Raises:
        ValueError: a row is not finite.
        PrivacyError: E405 a clip left a row longer than it may be.
    """
    sums = updates.sums
    if sums is None:
        sums = _sums_of_rows(updates, cohort, mechanism)
    return added_up((sums[share] for share in sorted(sums)), updates.rows.shape[1])


def clipped_total(updates: Updates, cohort: Cohort, mechanism: NoisedSum) -> ClippedSum:
    """Return the total of a round that the server noises, with the bounds of its parts.

    Raises:
        ValueError, PrivacyError: as :func:`round_total`.
    """
    total = round_total(updates, cohort, mechanism)
    count = len(updates.client_ids)
    return ClippedSum(total, count, mechanism.bounds, mechanism.norm, updates.within)


def _sums_of_rows(
    updates: Updates, cohort: Cohort, mechanism: Mechanism
) -> Mapping[Share, np.ndarray]:
    rows = dict(zip(updates.client_ids, updates.rows, strict=True))
    windows, width = cohort.windows, updates.rows.shape[1]
    return {
        share: added_up(
            (summand(mechanism, rows[i], windows[i]) for i in clients_of(share) if i in rows), width
        )
        for shares in cohort.asked.values()
        for share in shares
    }
