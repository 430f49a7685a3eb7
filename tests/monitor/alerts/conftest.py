"""A registry, a clock that is moved by hand, and receivers that do what they are told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.monitor.alerts import DeliveryError, observe
from evalharness.monitor.conditions import Condition, Window
from evalharness.monitor.outbox import Claimed
from evalharness.record import RunRegistry
from evalharness.record.database import writing
from evalharness.suite.alert_entry import Alerts

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Bot:
    """What `observe` sees of a monitor."""

    alerts: Alerts
    name: str | None = "bot"


@dataclass
class Receiver:
    """Keeps what it gets; `script` says what the next sends do, and a send without a script arrives."""

    script: list[str] = field(default_factory=list)
    got: list[Claimed] = field(default_factory=list)

    def send(self, message: Claimed, now: datetime) -> None:
        step = self.script.pop(0) if self.script else "arrives"
        if step in ("refused", "gone"):
            raise DeliveryError("503 try later", permanent=step == "gone")
        self.got.append(message)
        if step == "unknown":
            raise DeliveryError("no answer", is_sure=False)

    def told(self) -> list[tuple[str, str]]:
        """(alert, kind) in the order they came; messages of one key count once, as receivers take them."""
        seen: dict[str, Any] = {}
        for message in self.got:
            seen.setdefault(message.key, json.loads(message.body))
        return [(alert["alert"], alert["kind"]) for body in seen.values() for alert in body.get("alerts", ())]


def window(i: int, revision: int = 0) -> Window:
    return Window(START + i * HOUR, START + (i + 1) * HOUR, revision)


def look(state: str, key: str = "drift:length", **values: Any) -> Condition:
    return Condition(key, state, **values)  # type: ignore[arg-type]


@dataclass
class Desk:
    """One monitor over one registry."""

    registry: RunRegistry
    clock: Clock
    bot: Bot

    def see(self, i: int, *conditions: Condition, revision: int = 0, **options: Any) -> tuple[str, ...]:
        with writing(self.registry.engine) as connection:
            return observe(connection, self.bot, window(i, revision), conditions, self.clock(), **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Iterator[RunRegistry]:
    with RunRegistry.open(reports=tmp_path / "reports", environ={}, clock=clock) as opened:
        yield opened


@pytest.fixture
def desk(registry: RunRegistry, clock: Clock) -> Callable[..., Desk]:
    def make(**alerts: Any) -> Desk:
        values = {"channels": [{"name": "hook", "url": "https://example.org/hook"}], **alerts}
        return Desk(registry, clock, Bot(Alerts.model_validate(values)))

    return make
