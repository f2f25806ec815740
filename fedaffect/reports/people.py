"""Who pays: the figure of stress by person, and what the worst-served tenth gets."""

from __future__ import annotations

import math

import numpy as np

from fedaffect.privacy.attacks.statistics import over_people
from fedaffect.record import Estimate, Figures, PersonFigures, RunRecord
from fedaffect.reports import findings
from fedaffect.reports.formats import accuracy, count, percent
from fedaffect.reports.marks import WIDTH_IN, chance_line, thin_ticks
from fedaffect.reports.svg import COLOURS, Drawing, canvas, to_svg

_MOST_NAMED_PEOPLE = 40
_NAN = float("nan")
COST_COLUMNS = ("Who", "This run", "Without DP", "Chance")
WORST = 0.1  # share of people who are served worst


def worst_served(figures: Figures, seed: int) -> Estimate:
    """Return the mean balanced accuracy of stress over the tenth of people served worst.

    Args:
        figures: Figures of one model.
        seed: Master seed of the resamples of people.

    Returns:
        The mean over the worst tenth, at least one person, with its interval over people.
    """
    scores = np.array(
        [
            p.stress_balanced_accuracy
            for p in figures.per_person
            if p.stress_balanced_accuracy is not None
        ]
    )
    chance = figures.stress_balanced_accuracy.chance
    if not len(scores):
        return Estimate(value=None, chance=chance, note="nobody with windows of both classes")

    def worst(drawn: np.ndarray) -> float:
        taken = max(1, math.ceil(WORST * len(drawn)))
        return float(np.sort(scores[drawn])[:taken].mean())

    everyone = np.arange(len(scores))
    low, high = over_people(worst, everyone, seed=seed)
    return Estimate(value=worst(everyone), low=low, high=high, chance=chance, n_people=len(scores))


def cost_rows(record: RunRecord) -> list[tuple[str, ...]]:
    """Return what this run and its reference without DP give the worst-served and to all.

    Rows are what is counted, this run, the run without DP, chance.
    """
    before = record.no_dp
    chance = percent(record.figures.stress_balanced_accuracy.chance)
    rows: list[tuple[str, ...]] = [
        (
            "Everybody tested",
            accuracy(record.figures.stress_balanced_accuracy),
            accuracy(before.stress_balanced_accuracy if before else None),
            chance,
        )
    ]
    seed = record.provenance.seed
    rows.append(
        (
            "Tenth of people served worst",
            accuracy(worst_served(record.figures, seed)),
            accuracy(worst_served(before, seed) if before else None),
            chance,
        )
    )
    changes = _changes(record)
    if changes:
        lost = sum(change < 0 for change in changes)
        rows.append(("People who lose against no DP", f"{lost} of {len(changes)}", "n/a", "n/a"))
        rows.append(("Largest loss of one person", _points(min(changes)), "n/a", "n/a"))
        rows.append(("Median change", _points(float(np.median(changes))), "n/a", "n/a"))
    return rows


def cost_sentence(record: RunRecord) -> str:
    """Say whether privacy costs the worst-served more than the others."""
    if record.privacy.get("mechanism") == "none":
        return "No privacy noise was added, so nobody pays for it here; people differ all the same."
    if record.no_dp is None:
        return "Without a reference run beside it, what each person pays for privacy is unknown."
    seed = record.provenance.seed
    now, before = worst_served(record.figures, seed), worst_served(record.no_dp, seed)
    mean, reference = (f.stress_balanced_accuracy.value for f in (record.figures, record.no_dp))
    if now.value is None or before.value is None or mean is None or reference is None:
        return "What each person pays for privacy cannot be said: too few have both classes."
    return (
        f"With privacy the average changes by {_points(mean - reference)} and the tenth of people "
        f"served worst by {_points(now.value - before.value)}; both figures rest on "
        f"{now.n_people} people and one seed."
    )


def _changes(record: RunRecord) -> list[float]:
    """Return each person's change of balanced accuracy against the run without DP."""
    before = (
        {p.person: p.stress_balanced_accuracy for p in record.no_dp.per_person}
        if (record.no_dp)
        else {}
    )
    found = []
    for p in record.figures.per_person:
        old = before.get(p.person)
        if old is not None and p.stress_balanced_accuracy is not None:
            found.append(p.stress_balanced_accuracy - old)
    return found


def _points(change: float) -> str:
    return f"{100 * change:+.1f} points"


def per_person(record: RunRecord) -> Drawing | None:
    """Draw each tested person's balanced accuracy of stress, sorted, or ``None`` without any."""
    people = sorted(
        record.figures.per_person,
        key=lambda p: (_hundred(p) if p.stress_balanced_accuracy is not None else -1, p.person),
    )
    if not people:
        return None
    before = {p.person: p for p in record.no_dp.per_person} if record.no_dp else {}
    title = findings.people(record)
    about = "One mark per tested person, sorted by balanced accuracy of stress. Dashed: chance."
    with canvas(WIDTH_IN, min(1.5 + 0.21 * len(people), 6.2)) as figure:
        axes = figure.subplots()
        for text, colour, shape, chosen in (
            ("same run without DP", "green", "D", [before.get(p.person) for p in people]),
            ("this run", "blue", "o", people),
        ):
            values = [_hundred(p) for p in chosen]
            if not all(math.isnan(v) for v in values):
                face = COLOURS["panel" if shape == "D" else colour]
                style = {"color": COLOURS[colour], "markerfacecolor": face, "markersize": 6}
                axes.plot(values, range(len(people)), shape, label=text, **style)
        chance_line(axes, record.figures.stress_balanced_accuracy.chance, upright=True)
        thin_ticks(axes.yaxis, [p.person for p in people], _MOST_NAMED_PEOPLE)
        axes.set_xlim(-2, 102)
        axes.margins(y=0.06)
        axes.set_xlabel("stress: balanced accuracy (%)")
        axes.set_ylabel("person")
        figure.legend(loc="outside lower center", ncols=3)
        svg = to_svg(figure, "people", title, about)
    columns: tuple[str, ...] = ("Person", "In training", "Test windows", "Stress balanced accuracy")
    columns += ("Stress accuracy", "Own head (not a privacy metric)", "Balanced, without DP")
    rows = tuple(_person_row(p, before.get(p.person)) for p in people)
    return Drawing("people", title, about, svg, columns, rows)


def _person_row(person: PersonFigures, before: PersonFigures | None) -> tuple[str, ...]:
    return (
        person.person,
        "yes" if person.seen_in_training else "no",
        count(person.windows),
        _one_class(person.stress_balanced_accuracy),
        percent(person.stress_accuracy),
        percent(person.identity_own_head),
        _one_class(before.stress_balanced_accuracy) if before else "n/a",
    )


def _one_class(value: float | None) -> str:
    return "n/a (one class)" if value is None else percent(value)


def _hundred(person: PersonFigures | None) -> float:
    value = person.stress_balanced_accuracy if person else None
    return _NAN if value is None else 100 * value
