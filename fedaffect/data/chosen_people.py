"""Some of the people of a data set, so that others of the same set can be public."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fedaffect.data.schema import Dataset, DatasetInfo, Recordings
from fedaffect.errors import DataError
from fedaffect.registry import did_you_mean

EVERY_SECOND = {"even": 0, "odd": 1}  # word to the place of the first, counted from 0


@dataclass(frozen=True)
class ChosenPeople:
    """``whole`` without the other people.

    Args:
        whole: A data set.
        people: Ids, or one of ``even`` (the first, the third, ...) and ``odd`` (the others).
    """

    whole: Dataset
    people: tuple[str, ...]

    @property
    def info(self) -> DatasetInfo:
        """What is known of the whole data set."""
        return self.whole.info

    def subjects(self, root: Path | None) -> tuple[str, ...]:
        """Return the chosen ids, in the order of the data set.

        Raises:
            DataError: E371 an id is not there.
        """
        known = self.whole.subjects(root)
        if len(self.people) == 1 and self.people[0] in EVERY_SECOND:
            return known[EVERY_SECOND[self.people[0]] :: 2]
        for person in self.people:
            if person not in known:
                raise DataError(
                    "E371",
                    f"--people {person!r} is not in the data",
                    do=f"all, even, odd, or {did_you_mean(person, list(known[:40]))}",
                )
        return tuple(person for person in known if person in self.people)

    def load(self, root: Path | None) -> Recordings:
        """Read the recordings of the chosen people."""
        chosen = set(self.subjects(root))
        whole = self.whole.load(root)
        kept = tuple(r for r in whole.recordings if r.subject in chosen)
        return replace(whole, recordings=kept)

    def write_sample(self, root: Path, seed: int = 0) -> None:
        """Write a sample of the whole data set."""
        self.whole.write_sample(root, seed)
