"""Places, problems and the exit codes of errors."""

from __future__ import annotations

import pytest

from evalharness.core import errors
from evalharness.core.errors import DataError, MissingExtraError, Place, Problem, SuiteError


@pytest.mark.parametrize(
    ("place", "text"),
    [(Place("f"), "f"), (Place("f", 3), "f:3"), (Place("f", 3, 4), "f:3:4"), (Place("f", 0, 4), "f")],
)
def test_places(place: Place, text: str) -> None:
    assert str(place) == text


def test_problems_are_listed_once_and_in_order_of_place() -> None:
    late, early = Problem(Place("f", 10, 1), "b", "late"), Problem(Place("f", 9, 1), "", "early")
    error = SuiteError([late, early, late])
    assert str(error) == "f:9:1: early\nf:10:1 b: late"
    assert error.problems == (early, late)


@pytest.mark.parametrize("name", errors.__all__)
def test_exit_codes(name: str) -> None:
    kind = getattr(errors, name)
    if isinstance(kind, type) and issubclass(kind, errors.EvalHarnessError):
        wrong = issubclass(kind, errors.UsageError | errors.RecordError)
        assert kind.exit_code == (5 if kind is errors.BudgetError else 2 if wrong else 3)


def test_a_missing_extra_says_how_to_install_it() -> None:
    text = str(MissingExtraError("torch", "hf", purpose="the backend hf-causal"))
    assert "pip install 'evalharness[hf]'" in text
    assert issubclass(DataError, errors.UsageError)
