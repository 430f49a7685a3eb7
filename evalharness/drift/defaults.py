"""Which test a column gets where the definition of a monitor names none, and how one is made by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from evalharness.core.drifting import ColumnKind
from evalharness.core.errors import UsageError
from evalharness.core.registry import registry, suggestion

from .base import DriftTest

__all__ = ["DEFAULTS", "default_test", "make_test"]

DEFAULTS: Mapping[ColumnKind, str] = {
    # Near the best for a shift, a scale, contamination and more zeros alike; see docs/drift-tests.md for the table.
    "numeric": "omnibus",
    # Pearson's is the locally best test of shares; a single level that is new or changes much is seen beside it.
    "category": "levels",
    "text": "chi_square",
    # Sees any change of the distribution, in time linear in the rows.
    "embedding": "mmd",
}


def default_test(kind: ColumnKind) -> DriftTest:
    """The test that columns of this kind get.

    Of texts 0.05 counts, and not 0.1: a new word in every twelfth text of ten words gives about that much.
    """
    return make_test(DEFAULTS[kind], {"effect": 0.05} if kind == "text" else None)


def make_test(name: str, options: Mapping[str, Any] | None = None) -> DriftTest:
    """The drift test `name` with its options.

    Raises:
        UsageError: for a name that is not registered, an option that the test does not have, or an option's value of
            another type than its default's.
    """
    registry("drift").check(name)
    cls = registry("drift").load(name)
    known = {field.name: field.default for field in fields(cls)}
    for key, value in (options or {}).items():
        if key not in known:
            hint = suggestion(key, known) or f"; it takes {', '.join(known)}"
            raise UsageError(f"the drift test {name!r} has no option {key!r}{hint}")
        default = known[key]
        number = isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool)
        if not number and type(value) is not type(default):
            raise UsageError(
                f"the option {key!r} of the drift test {name!r} takes a value like {default!r}; got {value!r}"
            )
        if isinstance(default, float | int) and not isinstance(default, bool) and not value >= 0:
            raise UsageError(f"the option {key!r} of the drift test {name!r} must be 0 or more; got {value!r}")
    test: DriftTest = cls(**(options or {}))
    return test
