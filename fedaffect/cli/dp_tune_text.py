"""The result of ``fedaffect dp tune`` in lines."""

from __future__ import annotations

from collections.abc import Iterator

from fedaffect.record import Estimate
from fedaffect.tuning.record import CandidateRecord, TuningRecord
from fedaffect.tuning.settings import in_words

HEAD = (
    "  release  numbers  rounds  steps    lr   clip      z  noise/signal  "
    "stress, balanced accuracy  no noise"
)


def lines(record: TuningRecord, shown: int) -> Iterator[str]:
    """Yield the table of the best candidates, what was chosen, and how it was done.

    Args:
        record: What was found.
        shown: Most candidates in the table; the record has all.
    """
    yield (
        f"Settings for eps {record.eps:g}, delta {record.delta:g}, {record.clients} clients, "
        f"backbone {record.backbone} ({record.backbone_people})"
    )
    for cohort in record.cohorts:
        yield (
            f"  on {cohort.title}: {cohort.folds} folds, {cohort.training} train; "
            f"public only {in_words(cohort.public_only)}"
        )
    yield ""
    yield HEAD
    for candidate in record.candidates[:shown]:
        yield _row(candidate)
    if len(record.candidates) > shown:
        yield f"  ... and {len(record.candidates) - shown} more, down to:"
        yield _row(record.candidates[-1])
    yield f"  public only, nothing trained {_figure(record.public_only):>58}"
    yield ""
    best = record.chosen
    yield (
        f"chosen: --backbone {record.backbone} --release {best.release} --rounds {best.rounds} "
        f"--local-epochs {best.local_epochs} --lr {best.lr:g} --batch-size {record.batch_size} "
        f"--class-weights {record.class_weights} --clip {best.clip:g}"
    )
    yield f"  stress {in_words(best.stress)}; public only {in_words(record.public_only)}"
    if (best.stress.value or 0) <= (record.public_only.value or 0):
        yield "  Training gains nothing on these people: the backbone as it is does as well."
    for note in record.notes:
        yield f"  {note}"


def _row(c: CandidateRecord) -> str:
    alone = "n/a" if c.without_noise is None else f"{100 * c.without_noise:.1f}"
    return (
        f"  {c.release!s:>7}  {c.released_numbers:>7}  {c.rounds:>6}  {c.local_epochs:>5}  "
        f"{c.lr:>4g}  {c.clip:>5g}  {c.z:>5.2f}  {c.noise_to_signal:>12.2f}  "
        f"{_figure(c.stress):>25}  {alone:>8}"
    )


def _figure(figure: Estimate) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return f"n/a ({figure.note})"
    return f"{100 * figure.value:.1f} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
