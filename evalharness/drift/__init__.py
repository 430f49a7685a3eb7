"""What changed between two windows: mergeable states, two-sample tests, effects."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {}
