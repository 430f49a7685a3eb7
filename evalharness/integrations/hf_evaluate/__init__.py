"""Metrics of huggingface/evaluate in our suites, and our metrics as modules of evaluate.

`module("bleu")` is our metric as an `evaluate.Metric`; a suite names a module of theirs `{evaluate: PATH}`.
"""

from __future__ import annotations

from .ours import module

__all__ = ["module"]
