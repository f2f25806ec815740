"""What has to be known to read the tables."""

from __future__ import annotations

from fedaffect.reproduce.private_head.cells import (
    COMPARED,
    DELTA,
    HALVES,
    PUBLIC_POPULATION,
    SHIFT,
    scale_of,
)
from fedaffect.reproduce.private_head.results import Results


def notes(results: Results) -> tuple[str, ...]:
    """Return how the cells were trained, tested and attacked."""
    options, scale = results.options, scale_of(results.options)
    who = (
        f"Private people are simulated; those of the shifted scene react to stress {SHIFT:g} "
        f"quarter turns away from the {PUBLIC_POPULATION['synthetic.people']} public people who "
        "make the planted backbone, as strongly. In the control both are of one kind."
        if options.data == "synthetic"
        else f"Every second person is public in turn ({' and '.join(HALVES)}): the backbone of "
        "one half, trained with fedaffect pretrain, serves the other; or that of simulated people."
    )
    return (
        who,
        f"{scale.draws} noise draws with test keys that anyone can repeat: these models are "
        "measured and must never be released. fedaffect simulate of the same setting draws secret "
        "noise and ends with the status in the table.",
        "One person is left out in turn and tested; each fold is a run of its own, and eps is that "
        "of one fold's releases.",
        f"Client level, delta {DELTA:g}. Heads are trained with the defaults of fedaffect simulate "
        "--release head, which were chosen on public people.",
        "Stress is balanced accuracy of each person, then the mean: everybody counts alike. "
        "Intervals are over people, of the mean over draws; the spread over draws stands apart.",
        "Calibrated: features are scaled by mean and deviation of each person's own unlabelled "
        "windows, on the device, test people included. Not calibrated: by public constants.",
        "Local training only: everyone trains a head of their own from the public start and is "
        "tested on held-out blocks of their own time; its difference is to public only on those "
        "windows, not on unseen people.",
        "The attacker on released numbers has the data of everybody and all heads, and computes "
        "the likelihood ratio of a person's taking part. Chance of naming is one over the people "
        "who may have been left out.",
        "The full release under the budget of a head has its rounds and local steps, at a rate of "
        f"0.1. Other budgets than eps {COMPARED} are measured in the first scene, calibrated.",
        f"The other whole networks are trained in the first scene, over {scale.full_rounds} "
        f"rounds, and tested on {scale.full_folds} left-out people. Their first release is "
        "attacked: whoever is left out renumbers the others' identities and batches, and what "
        "everyone adds is recomputed for each of these people as left out.",
    )
