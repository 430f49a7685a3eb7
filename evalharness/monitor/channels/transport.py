"""What `deliver` sends messages with: secrets are looked up when a message goes out, and taken out of what is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.secrets import Redactor, placeholders, resolve, spellings
from evalharness.monitor.alerts.deliver import DeliveryError
from evalharness.monitor.otel_events import as_protobuf, logs_url
from evalharness.monitor.outbox import Claimed
from evalharness.suite.alert_entry import Channel, Heartbeat
from evalharness.suite.otel_entry import OtelEvents

from .alertmanager import alertmanager_alerts, alertmanager_url
from .by_apprise import send_by_apprise
from .http import HttpClient
from .webhook import webhook_headers

__all__ = ["Channels"]


class Channels:
    """The transport of webhooks, Alertmanager, apprise, heartbeats and OpenTelemetry events."""

    def __init__(self, environ: Mapping[str, str], *, client: HttpClient | None = None) -> None:
        self._environ = environ
        self._client = HttpClient() if client is None else client

    def send(self, message: Claimed, now: datetime) -> None:
        """Return when the receiver has `message`.

        Raises:
            DeliveryError: if it did not arrive, or nobody knows; without any secret of the channel.
        """
        hide = self._redactor(message.target)
        try:
            if message.kind == "ping":
                heartbeat = Heartbeat.model_validate_json(message.target)
                url = resolve(heartbeat.url or "", self._environ)
                shown = "the heartbeat's address"
                self._client.send("GET", url, shown=shown, allow_private=heartbeat.allow_private)
            elif message.kind == "evaluations":
                self._evaluations(OtelEvents.model_validate_json(message.target), message)
            else:
                self._message(Channel.model_validate_json(message.target), message, now)
        except DeliveryError as error:
            raise DeliveryError(
                hide(str(error)),
                permanent=error.permanent,
                is_sure=error.is_sure,
                retry_after_s=error.retry_after_s,
            ) from None
        except UsageError as error:
            # A variable that is not set, or a package that is missing: it waits until there is one.
            raise DeliveryError(hide(str(error))) from None

    def _message(self, channel: Channel, message: Claimed, now: datetime) -> None:
        url = resolve(channel.url, self._environ)
        shown = f"channel {message.channel}"
        body = json.loads(message.body)
        kind = channel.kind
        if kind == "auto":
            kind = "webhook" if url.lower().startswith(("http://", "https://")) else "apprise"
        if kind == "apprise":
            send_by_apprise(url, body, shown=shown, allow_private=channel.allow_private, picture=channel.picture)
            return
        headers = {name: resolve(value, self._environ) for name, value in channel.headers.items()}
        if kind == "alertmanager":
            url, content = alertmanager_url(url), _json(alertmanager_alerts(body))
            headers = {"Content-Type": "application/json", **headers}
        else:
            content = _json({**body, "attempt": message.attempt, "may_be_repeated": message.may_be_repeated})
            secret = None if channel.secret is None else resolve(channel.secret, self._environ)
            headers |= webhook_headers(content, key=message.key, attempt=message.attempt, secret=secret, now=now)
        self._client.send("POST", url, body=content, headers=headers, shown=shown, allow_private=channel.allow_private)

    def _evaluations(self, target: OtelEvents, message: Claimed) -> None:
        body = json.loads(message.body)
        if target.path is not None:
            try:
                with Path(target.path).open("ab") as file:
                    file.write(_json(body) + b"\n")
            except OSError as error:
                raise DeliveryError(f"events cannot be written to {target.path}: {error.strerror}") from None
            return
        binary = target.format == "protobuf"
        headers = {"Content-Type": "application/x-protobuf" if binary else "application/json"}
        headers |= {name: resolve(value, self._environ) for name, value in target.headers.items()}
        self._client.send(
            "POST",
            logs_url(resolve(target.url or "", self._environ)),
            body=as_protobuf(body) if binary else _json(body),
            headers=headers,
            shown="the OTLP endpoint",
            allow_private=target.allow_private,
        )

    def _redactor(self, target: str) -> Redactor:
        values = [self._environ.get(name, "") for name in placeholders(target)]
        parts = [part for value in values for part in _parts(value)]
        return Redactor(form for value in (*values, *parts) if value for form in spellings(value))


def _parts(address: str) -> list[str]:
    """The pieces of an address that may be said by themselves: tokens in its path, its password, its query."""
    for mark in "/@:?&=":
        address = address.replace(mark, " ")
    return [part for part in address.split() if len(part) >= 8]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
