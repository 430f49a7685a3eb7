"""The one exception tree.

::

    EvalHarnessError
    ├── UsageError               the user's input is wrong                     exit 2
    │   ├── SuiteError           … in a suite file: a list of `Problem`s
    │   ├── DataError            … in a data file: a list of `Problem`s
    │   ├── CapabilityError      … a model is asked for what it cannot do
    │   ├── MissingExtraError    … an optional dependency is not installed
    │   └── NotComparableError   … two runs differ in what must agree
    ├── RunError                 the run could not finish                      exit 3
    │   ├── ModelError           a backend failed as a whole
    │   │   └── ModelDownError   … a server gives no answers any more
    │   ├── BudgetError          a budget of the suite is used up              exit 5
    │   └── StoreError           the response store cannot be read or written
    └── RecordError              a record is damaged or of another version     exit 2

A message gives the place, the rule, the value found and the remedy. `UsageError`s that stem from a file carry
`Problem`s, so that all the errors of a file are shown at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .pickling import quick_to_pickle

__all__ = [
    "BudgetError",
    "CapabilityError",
    "DataError",
    "EvalHarnessError",
    "MissingExtraError",
    "ModelDownError",
    "ModelError",
    "NotComparableError",
    "Place",
    "Problem",
    "RecordError",
    "RunError",
    "StoreError",
    "SuiteError",
    "UsageError",
]


@quick_to_pickle
@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in a file: `line` and `column` count from 1; 0 means that they are not known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong: `place`, the dotted `path` inside the document ("" for none) and the `message`."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.place} {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class EvalHarnessError(Exception):
    """The root of all errors that evalharness raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 3


class UsageError(EvalHarnessError):
    """The command line, a suite or a data file is wrong; nothing was run and nothing was lost."""

    exit_code = 2


class _Listed(UsageError):
    """A usage error that lists every problem of a file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SuiteError(_Listed):
    """A suite file is wrong."""


class DataError(_Listed):
    """A data file, or a row in it, is wrong."""


class CapabilityError(UsageError):
    """A model is asked for something that its backend cannot do."""


class MissingExtraError(UsageError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, *, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'evalharness[{extra}]'"
        )


class NotComparableError(UsageError):
    """Two runs differ in a field on which they must agree before their figures may be compared."""


class RunError(EvalHarnessError):
    """The run could not finish; what was answered is kept and a new run continues from it."""


class ModelError(RunError):
    """A backend failed as a whole: it could not be loaded or reached."""


class ModelDownError(ModelError):
    """A server gives no answers any more; other models may still be asked."""


class BudgetError(RunError):
    """A budget of the suite is used up: the run stopped before it would have spent more."""

    exit_code = 5


class StoreError(RunError):
    """The response store cannot be read or written."""


class RecordError(EvalHarnessError):
    """A record is damaged, incomplete or of a version that this evalharness does not know."""

    exit_code = 2
