"""Tells whether a text declines to answer."""

from __future__ import annotations

from .detector import DETECTOR, refusal_in, tells_of_refusal

__all__ = ["DETECTOR", "refusal_in", "tells_of_refusal"]
