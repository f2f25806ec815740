"""Every figure that the TEXT of the paper prints about its experiments, with its place.

Figures 2 to 8 of the paper are plots without numbers: what only they show is "not printed" here.
It is never read off a plot and never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

NOT_PRINTED = "not printed"


@dataclass(frozen=True)
class Printed:
    """One figure of the paper's text.

    Args:
        value: Accuracy, a share.
        quote: The words around it.
        place: Section and paragraph.
        what: What it is about.
    """

    value: float
    quote: str
    place: str
    what: str


CENTRAL = Printed(
    0.99,
    "quite similar average scores of 99%",
    "IV.A, second paragraph",
    "central training, stress and identity",
)
FEDERATED_STRESS = Printed(
    0.97,
    "the best accuracy result achieved is 97% for stress mood recognition",
    "IV.B, first paragraph",
    "federated, no noise, stress",
)
FEDERATED_IDENTITY = Printed(
    0.93, "93% for user identification", "IV.B, first paragraph", "federated, no noise, identity"
)
SHARED_IDENTITY = Printed(
    0.86,
    "the identification task reached an accuracy of around 86%",
    "IV.C, paragraph after Eq. 13",
    "plain noise 0.1 and 0.3 on the shared layers, identity",
)
HEADLINE_STRESS = Printed(
    0.90,
    "an accurate emotion recognition of 90%",
    "Abstract, last sentence",
    "which noise is not said, stress",
)
HEADLINE_IDENTITY = Printed(
    0.47,
    "limiting the re-identification accuracies to 47%",
    "Abstract, last sentence",
    "which noise is not said, identity",
)
ALL = (
    CENTRAL,
    FEDERATED_STRESS,
    FEDERATED_IDENTITY,
    SHARED_IDENTITY,
    HEADLINE_STRESS,
    HEADLINE_IDENTITY,
)
