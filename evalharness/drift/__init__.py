"""What changed between two windows: mergeable states, two-sample tests, effects."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "omnibus": "evalharness.drift.tests.omnibus:Omnibus",
    "ks": "evalharness.drift.tests.order:KS",
    "cramer_von_mises": "evalharness.drift.tests.order:CramerVonMises",
    "anderson_darling": "evalharness.drift.tests.order:AndersonDarling",
    "wasserstein": "evalharness.drift.tests.order:Wasserstein",
    "energy": "evalharness.drift.tests.order:Energy",
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
