"""Alertmanager: what `POST /api/v2/alerts` takes.

Alertmanager knows an alert by its labels, ours by its fingerprint, which is one of them: sent again it is the same one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["alertmanager_alerts", "alertmanager_url"]

_STAYS: Final = timedelta(days=365)
"""Without an end, Alertmanager ends alerts by itself after minutes; ours end when we say so."""


def alertmanager_url(url: str) -> str:
    """Where alerts are posted: `url` itself, or the path of the API below it."""
    return url if urlsplit(url).path.endswith("/alerts") else f"{url.rstrip('/')}/api/v2/alerts"


def alertmanager_alerts(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The alerts of a message."""
    created = datetime.fromisoformat(body["created_utc"])
    return [_alert(alert, created) for alert in body["alerts"]]


def _alert(alert: Mapping[str, Any], created: datetime) -> dict[str, Any]:
    ends = created if alert["kind"] == "resolved" else created + _STAYS
    labels = {_label(name): value for name, value in alert["labels"].items() if value and name != "alert"}
    figures = {name: f"{alert[name]:.6g}" for name in ("value", "limit") if alert[name] is not None}
    found: dict[str, Any] = {
        "labels": {**labels, "alertname": alert["alert"], "fingerprint": alert["fingerprint"]},
        "annotations": {"summary": alert["summary"], **figures, "window_end": alert["window"]["end"]},
        "startsAt": alert["fired_utc"] or alert["since_utc"],
        "endsAt": ends.isoformat(),
    }
    if urlsplit(alert["link"] or "").scheme in ("http", "https"):
        found["generatorURL"] = alert["link"]
    return found


def _label(name: str) -> str:
    """`name` as Prometheus allows labels to be called."""
    return re.sub(r"[^A-Za-z0-9_]|^(?=\d)", "_", name)
