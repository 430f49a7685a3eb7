"""What people type about alerts, and what they read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.monitor.alerts import observe
from evalharness.monitor.conditions import Condition, Window
from evalharness.record import RunRegistry
from evalharness.record.database import writing
from evalharness.suite.alert_entry import Alerts


class Bot:
    name = "bot"
    alerts = Alerts.model_validate({"channels": [{"name": "hook", "url": "${env:HOOK}"}]})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A registry in which one alert fires; the options that name it."""
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    now = datetime.now(UTC)
    with RunRegistry.open(reports=tmp_path, environ={}) as registry, writing(registry.engine) as connection:
        condition = Condition("drift:length", "bad", {"column": "length"}, value=0.41, limit=0.2, summary="longer")
        observe(connection, Bot(), Window(now - timedelta(hours=1), now), [condition, Condition("ok", "ok")], now)
    return ["--reports", str(tmp_path)]


def call(*arguments: str) -> int:
    return main(["monitor", *arguments])


def test_the_alerts(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("alerts", *place) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].split()[1:5] == ["bot", "drift:length", "column=length", "firing"]
    assert call("alerts", "--all", "--json", *place) == 0
    found = {row["alert"]: row for row in json.loads(capsys.readouterr().out)}
    assert (found["drift:length"]["value"], found["ok"]["value"]) == (0.41, None)
    identity = found["drift:length"]["fingerprint"]
    assert call("ack", identity[:8], "--by", "ada", "--note", "mine", *place) == 0
    assert call("alerts", "--history", identity, *place) == 0
    out = capsys.readouterr().out
    assert [line.split()[2] for line in out.splitlines()[-3:]] == ["firing", "told_firing", "acknowledged"]
    assert call("alerts", "--forget", "bot", *place) == 0
    assert call("alerts", "--forget", "bot", *place) == 2


def test_silences(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("silence", "column=length", "severity!=critical", "--for", "2h", "--comment", "deploy", *place) == 0
    assert "silence 1 holds until" in capsys.readouterr().out
    assert call("silence", "--list", "--json", *place) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["matchers"] == "column=length, severity!=critical"
    assert call("silence", "--end", "1", *place) == 0
    assert call("silence", "--list", *place) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no silence holds"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=b"], "say how long the silence holds"),
        (["a=b", "--for", "soon"], "--for 'soon': write a number and s, min, h, d or w"),
        (["a=b", "--for", "9e99d"], "--for '9e99d'"),
        (["a=b", "--for", "99999999999w"], "too long"),
        (["a=b", "--until", "tomorrow"], "--until 'tomorrow': write a time"),
        (["a=b", "--until", "2020-01-01"], "would be over at"),
        (["--for", "2h"], "at least one matcher"),
        (["ab", "--for", "2h"], "'ab' matches no labels"),
    ],
)
def test_silences_that_are_none(
    place: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert call("silence", *arguments, *place) == 2
    assert message in capsys.readouterr().err


def test_messages(place: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    assert call("deliver", *place) == 3
    assert capsys.readouterr().out == "0 sent, 1 failed and tried again later, 0 given up\n"
    assert call("deliver", "--list", *place) == 0
    assert "the environment variable HOOK is not set" in capsys.readouterr().out
    monkeypatch.setenv("HOOK", "http://127.0.0.1:1/a-secret-of-mine-1")
    # It is not due yet; one that was given up is due at once.
    assert call("deliver", *place) == 0
    with RunRegistry.open(reports=place[1], environ={}) as registry, writing(registry.engine) as connection:
        from sqlalchemy import update

        from evalharness.record.alert_tables import OUTBOX

        connection.execute(update(OUTBOX).values(state="dead"))
    assert call("deliver", "--retry-dead", *place) == 3
    assert call("deliver", "--list", "--json", *place) == 0
    out = capsys.readouterr().out
    assert "private network" in out
    assert "a-secret-of-mine-1" not in out


def test_metrics(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("prometheus_client")
    assert call("metrics", *place) == 0
    assert 'evalharness_alerts_open{alert="drift:length",monitor="bot",state="firing"} 1.0' in capsys.readouterr().out
    assert call("metrics", "--listen", "nonsense", *place) == 2


def test_no_registry_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    assert call("alerts", "--reports", str(tmp_path / "none")) == 2
    assert not (tmp_path / "none").exists()
