"""All problems of a data set at once, so that a user repairs them in one go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fedaffect.errors import DataError


class Problems:
    """Collects the data errors of a loader; the loader goes on with the next file."""

    def __init__(self) -> None:
        self.found: list[DataError] = []

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Keep a ``DataError`` of the block for later instead of raising it."""
        try:
            yield
        except DataError as error:
            self.found.append(error)

    def raise_all(self) -> None:
        """Raise what was kept, if anything.

        Raises:
            DataError: the only error as it is; of several the first one, with the number of the
                others in its message and all of them as its cause.
        """
        if not self.found:
            return
        first = self.found[0]
        if len(self.found) == 1:
            raise first
        first, *rest = [single for error in self.found for single in each_problem(error)]
        others = len(rest)
        raise DataError(
            first.code,
            f"{first.message} (and {others} more problem{'s' if others > 1 else ''})",
            do=f"{first.do}; 'fedaffect data check' lists all problems".lstrip("; "),
        ) from ExceptionGroup("problems of the data set", self.found)


def each_problem(error: DataError) -> list[DataError]:
    """Return the single errors behind ``error``; itself when there is only one."""
    if isinstance(error.__cause__, ExceptionGroup):
        kept = [e for e in error.__cause__.exceptions if isinstance(e, DataError)]
        return [single for e in kept for single in each_problem(e)]
    return [error]
