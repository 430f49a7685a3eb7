"""evalharness: decide whether to ship a language model, then watch it in production.

>>> import evalharness
>>> record = evalharness.run("suite.yaml")      # doctest: +SKIP
>>> record.to_pandas()                          # doctest: +SKIP

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalharness.compare.operands import compare
    from evalharness.core.errors import EvalHarnessError
    from evalharness.core.types import MetricResult, Request, Response, Sample
    from evalharness.drift.api import drift
    from evalharness.gate import evaluate_gates
    from evalharness.record import Record
    from evalharness.report import write_reports
    from evalharness.runner import run, score
    from evalharness.suite import Suite, load_suite

__all__ = [
    "EvalHarnessError",
    "MetricResult",
    "Record",
    "Request",
    "Response",
    "Sample",
    "Suite",
    "compare",
    "drift",
    "evaluate_gates",
    "load_suite",
    "run",
    "score",
    "write_reports",
]

_HOME = {
    "EvalHarnessError": "evalharness.core.errors",
    "MetricResult": "evalharness.core.types",
    "Record": "evalharness.record",
    "Request": "evalharness.core.types",
    "Response": "evalharness.core.types",
    "Sample": "evalharness.core.types",
    "Suite": "evalharness.suite",
    "compare": "evalharness.compare.operands",
    "drift": "evalharness.drift.api",
    "evaluate_gates": "evalharness.gate",
    "load_suite": "evalharness.suite",
    "run": "evalharness.runner",
    "score": "evalharness.runner",
    "write_reports": "evalharness.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evalharness' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
