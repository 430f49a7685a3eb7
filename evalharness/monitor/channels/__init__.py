"""Where messages go: webhooks, Alertmanager, and what apprise knows."""

from __future__ import annotations

from .transport import Channels

__all__ = ["Channels"]
