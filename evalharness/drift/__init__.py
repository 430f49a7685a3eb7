"""What changed between two windows: mergeable states, two-sample tests, effects.

`evalharness.drift(before, now)` calls this package: see `api.drift`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "omnibus": "evalharness.drift.tests.omnibus:Omnibus",
    "ks": "evalharness.drift.tests.order:KS",
    "cramer_von_mises": "evalharness.drift.tests.order:CramerVonMises",
    "anderson_darling": "evalharness.drift.tests.order:AndersonDarling",
    "wasserstein": "evalharness.drift.tests.order:Wasserstein",
    "energy": "evalharness.drift.tests.order:Energy",
    "levels": "evalharness.drift.tests.levels:Levels",
    "chi_square": "evalharness.drift.tests.shares:ChiSquare",
    "g_test": "evalharness.drift.tests.shares:GTest",
    "psi": "evalharness.drift.tests.shares:PopulationStability",
    "jensen_shannon": "evalharness.drift.tests.shares:JensenShannon",
    "hellinger": "evalharness.drift.tests.shares:Hellinger",
    "rate": "evalharness.drift.tests.location:Rate",
    "mean": "evalharness.drift.tests.location:Mean",
    "mmd": "evalharness.drift.tests.kernel:MMD",
    "classifier": "evalharness.drift.tests.classifier:Classifier",
}


class _Callable(ModuleType):
    """`evalharness.drift` is a room of the package, and a function of its interface (as `evalharness.compare` is)."""

    def __call__(self, reference: Any, current: Any, policy: Any = None, **options: Any) -> Any:
        """Compare two windows; see `api.drift`."""
        from .api import drift

        return drift(reference, current, policy, **options)


sys.modules[__name__].__class__ = _Callable
