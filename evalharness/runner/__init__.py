"""Runs a plan: asks models, keeps every answer, scores, and hands over to the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rescore import score
    from .suite_run import run

__all__ = ["run", "score"]

# Loaded when first used: `validate` needs neither.
_HOME = {"run": "suite_run", "score": "rescore"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
