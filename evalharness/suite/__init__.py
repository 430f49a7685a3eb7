"""What is evaluated: the schema of a suite, the loader of its YAML, its templates and its plan of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .load import LoadedSuite, load_suite
    from .plan import Plan, PlannedTask, make_plan
    from .schema import Suite

__all__ = ["LoadedSuite", "Plan", "PlannedTask", "Suite", "load_suite", "make_plan"]

# Loaded when first used: the schema alone costs 0.15 s.
_HOME = {
    "LoadedSuite": "load",
    "Plan": "plan",
    "PlannedTask": "plan",
    "Suite": "schema",
    "load_suite": "load",
    "make_plan": "plan",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
