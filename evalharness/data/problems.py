"""All that is wrong with a dataset, gathered row by row and raised at once."""

from __future__ import annotations

from evalharness.core.errors import DataError, Place, Problem

__all__ = ["SHOWN", "Problems"]

SHOWN = 20
"""So many problems are shown in full; the rest is counted."""


class Problems:
    """A list of problems that counts on after the first `SHOWN`, so that a million bad rows need no memory."""

    def __init__(self) -> None:
        self._shown: list[Problem] = []
        self._first_hidden: Place | None = None
        self.n = 0

    def __bool__(self) -> bool:
        return self.n > 0

    def add(self, place: Place, message: str, path: str = "") -> None:
        """Note one problem."""
        self.n += 1
        if len(self._shown) < SHOWN:
            self._shown.append(Problem(place, path, message))
        elif self._first_hidden is None:
            self._first_hidden = place

    def extend(self, error: DataError) -> None:
        """Note the problems that a reader found."""
        for problem in error.problems:
            self.add(problem.place, problem.message, problem.path)

    def check(self) -> None:
        """Raise a `DataError` with all the problems, if there are any."""
        if not self.n:
            return
        hidden = self.n - len(self._shown)
        if hidden and self._first_hidden is not None:
            self._shown.append(Problem(self._first_hidden, "", f"… and {hidden} more from here on"))
        raise DataError(self._shown)
