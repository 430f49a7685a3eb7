"""What lm-eval imports, or has imported, and mostly does not use: put off, in processes of our own."""

from __future__ import annotations

from evalharness.core.imports import put_off

__all__ = ["put_off_unused"]


def put_off_unused() -> None:
    """Let lm-eval and `datasets` be imported without what they may never need; it comes when it is asked for."""
    put_off("requests")
    put_off("sacrebleu")
    # `datasets` would change how its own builders read MATLAB's files, which none of them does.
    put_off("scipy.io", marks=("loadmat",))
