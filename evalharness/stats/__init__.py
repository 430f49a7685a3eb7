"""Kernels for resampling, intervals and counting: numpy and scipy only, pure, float64."""

from __future__ import annotations

__all__: list[str] = []
