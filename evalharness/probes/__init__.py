"""Probes of bias, robustness and privacy: each makes samples and statistics, nothing else."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "robustness": "evalharness.probes.robustness:Robustness",
}
