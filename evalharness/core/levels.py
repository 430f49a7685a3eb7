"""The levels of group columns among samples, and what the figures between them are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

from .types import Sample

__all__ = ["DISPARITIES", "LevelsOf", "disparity_name", "disparity_names", "levels_in"]

LevelsOf: TypeAlias = Callable[[str], tuple[str, ...]]
"""The levels of a group column among a task's samples, sorted."""

DISPARITIES: tuple[Literal["difference", "ratio", "worst"], ...] = ("difference", "ratio", "worst")
"""What is told of every column of a task, unasked."""
_OF_LABELS = ("demographic_parity", "equalized_odds")
_NOT_IN_NAMES = re.compile(r"[\s.@]")


def levels_in(samples: Iterable[Sample]) -> LevelsOf:
    """The levels of any column among `samples`, which are gone through once, when the first column is asked for."""
    known: dict[str, set[str]] = {}
    rest = iter(samples)

    def found(column: str) -> tuple[str, ...]:
        for sample in rest:
            for name, value in sample.groups.items():
                known.setdefault(name, set()).add(value)
        return tuple(sorted(known.get(column, ())))

    return found


def disparity_name(name: str, what: str, column: str) -> str:
    """What the disparity of the figure `name` is called: `accuracy_difference@gender`."""
    return f"{name}_{what}@{_NOT_IN_NAMES.sub('_', column)}"


def disparity_names(figures: Sequence[str], columns: Sequence[str]) -> list[str]:
    """What the disparities of a task's figures may be called, before it is known which of them there are."""
    names = [*figures, *_OF_LABELS]
    return [disparity_name(name, what, column) for column in columns for name in names for what in DISPARITIES]
