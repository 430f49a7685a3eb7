"""`evalharness dashboard`: users on the command line, and where it refuses to listen."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from evalharness.cli.main import main
from evalharness.record import RunRegistry
from evalharness.record.monitor_tables import MONITORS

pytest.importorskip("fastapi", reason="needs the dashboard extra")


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder


def user(reports: Path, *arguments: str) -> int:
    return main(["dashboard", "user", *arguments, "--reports", str(reports)])


def test_users_come_and_go(reports: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user(reports, "list") == 0
    assert "no users yet" in capsys.readouterr().out
    for role, told in (("viewer", "added anna, viewer"), ("admin", "changed anna, admin")):
        monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n"))
        assert user(reports, "add", "anna", "--role", role, "--password-stdin") == 0
        assert told in capsys.readouterr().out
    assert user(reports, "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["role"], "password_hash" in row) == ("anna", "admin", False)
    assert user(reports, "remove", "anna") == 0
    assert user(reports, "remove", "anna") == 2
    assert "there is no user 'anna'" in capsys.readouterr().err


def test_a_password_is_not_taken_from_nowhere(reports: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x"))
    assert user(reports, "add", "anna") == 2
    assert "--password-stdin" in capsys.readouterr().err
    assert user(reports, "add", "anna", "--password-stdin") == 2
    assert "10 to 1,000 characters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "nobody would have to say who they are"),
        (["--host", "0.0.0.0", "--no-login"], "--no-login lets everybody in"),
        (["--host", "0.0.0.0", "--proxy-header", "X-User"], "--allowed-host"),
        (["--token-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_it_listens_nowhere_unprotected(reports: Path, capsys: Any, arguments: list[str], message: str) -> None:
    assert main(["dashboard", "--reports", str(reports), "--port", "0", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_when_the_next_interval_of_a_definition_is_due() -> None:
    pytest.importorskip("cronsim", reason="needs the monitor extra")
    from evalharness.cli.dashboard import next_due

    definition = {"name": "bot", "source": {"path": "x.jsonl"}, "schedule": "0 * * * *", "lateness_s": 600}
    after = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert next_due(definition, after) == datetime(2026, 3, 1, 11, 10, tzinfo=UTC)
    assert next_due({"schedule": "nonsense"}, after) is None


def test_of_a_recorded_monitor_it_is_known_too(tmp_path: Path) -> None:
    pytest.importorskip("cronsim", reason="needs the monitor extra")
    from evalharness.cli.dashboard import next_due

    row = {"id": "r1", "event_time": "2026-03-01T09:30:00Z", "output": "x", "latency_s": 1.0}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    text = "name: bot\nsource: {path: rows.jsonl, format: response.v1}\nlateness_s: 600\nreference: previous\n"
    (tmp_path / "monitor.yaml").write_text(text, encoding="utf-8")
    reports = tmp_path / "reports"
    span = ["--span", "2026-03-01T09:00Z/2026-03-01T10:00Z", "--reports", str(reports)]
    assert main(["monitor", "backfill", str(tmp_path / "monitor.yaml"), *span]) in (0, 4)
    with RunRegistry.open(reports=reports, environ={}) as registry, registry.engine.connect() as connection:
        (definition,) = connection.execute(select(MONITORS.c.definition)).scalars()
    after = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert next_due(json.loads(definition), after) == datetime(2026, 3, 1, 11, 10, tzinfo=UTC)
