"""Alerts: their states, who hears of them, silences, acknowledgement, heartbeats."""

from __future__ import annotations

from evalharness.record.silences import add_silence, end_silence, parse_matcher, silences

from .acknowledge import acknowledge
from .deliver import Delivered, DeliveryError, Transport, deliver
from .heartbeat import forget
from .observe import observe

__all__ = [
    "Delivered",
    "DeliveryError",
    "Transport",
    "acknowledge",
    "add_silence",
    "deliver",
    "end_silence",
    "forget",
    "observe",
    "parse_matcher",
    "silences",
]
