"""Alerts: their states, who hears of them, silences, acknowledgement, heartbeats."""

from __future__ import annotations

from .observe import observe

__all__ = ["observe"]
