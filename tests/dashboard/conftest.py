"""A registry with runs, a monitor and alerts in it, and the dashboard over it, asked without a socket or served."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from evalharness.record import Rating, RunRegistry
from evalharness.record.alert_tables import ALERT_EVENTS, ALERTS, SILENCES
from evalharness.record.database import writing
from evalharness.record.monitor_tables import DEPLOYMENTS, FIGURES, FINDINGS, INTERVALS, MONITORS
from evalharness.record.tables import PROMOTIONS, RESULTS, RUN_MODELS, RUNS

pytest.importorskip("fastapi", reason="needs the dashboard extra")

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ROLES = ("viewer", "editor", "admin")
SUITE = """
version: 1
name: demo
models:
  candidate: {{backend: fake, reply: {reply}}}
datasets:
  rows:
    rows: [{rows}]
    groups: [language]
tasks:
  - {{id: qa, dataset: rows, prompt: "{{{{ q }}}}", reference: "{{{{ a }}}}", metrics: [exact_match]}}
"""


@dataclass
class World:
    """A registry and what is in it. `odd` stands in every text that people or models may write."""

    registry: RunRegistry
    reports: Path
    runs: list[str]
    monitor: str
    interval: int
    alert: str
    silence: int
    odd: str

    def settings(self, **access: Any) -> Any:
        """How a dashboard over it is set up; the clock stands still."""
        from evalharness.dashboard.settings import Access, Settings

        hosts = access.pop("hosts", ("testserver",))
        return Settings(self.registry, Access(**access), hosts=hosts, clock=lambda: NOW, next_due=_next_due)


def _next_due(definition: Any, after: datetime) -> datetime | None:
    return after + timedelta(hours=1)


def make_world(folder: Path, odd: str = "", url: str | None = None) -> World:
    """Two runs that can be compared, and one that is in the registry only; a monitor of three intervals; an alert."""
    from evalharness.runner import run

    reports = folder / "reports"
    rows = ", ".join(
        json.dumps({"q": f"is {i} even", "a": "no" if i % 2 else "yes", "language": "de" if i % 3 else "en"})
        for i in range(24)
    )
    runs = []
    for number, reply in enumerate(("'yes'", "'no'")):
        suite = folder / f"suite{number}.yaml"
        suite.write_text(SUITE.format(reply=reply, rows=rows), encoding="utf-8")
        name = f"release {number}{odd}"
        runs.append(run(suite, reports=reports, name=name, registry_url=url, environ={}).id)
    registry = RunRegistry.open(url, reports=reports, environ={})
    with writing(registry.engine) as connection:
        for number, run_id in enumerate(runs):
            made = NOW - timedelta(days=2 - number)
            connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(created_utc=made, verdict="pass"))
            connection.execute(update(RUN_MODELS).where(RUN_MODELS.c.run_id == run_id).values(created_utc=made))
        (reports / "runs" / runs[0] / "report.html").write_text(REPORT, encoding="utf-8")
        _add_odd_run(connection, odd)
        monitor = f"bot{odd}".replace("/", "")  # names of monitors hold none: they name folders
        interval = _add_monitor(connection, reports, monitor, odd)
        alert, silence = _add_alert(connection, monitor, odd)
        values = {"suite_name": "demo", "label": f"production{odd}", "run_id": runs[0], "note": odd}
        connection.execute(insert(PROMOTIONS).values(values | {"promoted_utc": NOW}))
    registry.add_ratings(
        [
            Rating(
                runs[0], "qa", "candidate", "s1", 0, f"anna{odd}", "scale", value=4.0, comment=odd, asked=f"Good?{odd}"
            )
        ]
    )
    runs.append("20260301T000000Z-odd-000000")
    return World(registry, reports, runs, monitor, interval, alert, silence, odd)


REPORT = (
    '<!doctype html><head><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    f"style-src 'sha256-{'A' * 43}='; script-src 'unsafe-inline' 'sha256-{'B' * 43}='\"></head>report"
)


def _add_odd_run(connection: Any, odd: str) -> None:
    run_id = "20260301T000000Z-odd-000000"
    values = {"id": run_id, "suite_name": f"odd{odd}", "name": f"by hand{odd}", "created_utc": NOW - timedelta(days=3)}
    values |= {"path": "runs/gone", "suite_digest": "d", "schema_version": 1, "evalharness_version": "0.1.0"}
    connection.execute(insert(RUNS).values(values | {"complete": False, "n_samples": 2, "verdict": "inconclusive"}))
    connection.execute(insert(RUN_MODELS).values(run_id=run_id, model=f"m{odd}", created_utc=values["created_utc"]))
    figure = {"run_id": run_id, "task": f"t{odd}", "model": f"m{odd}", "metric": f"x{odd}", "n": 2, "n_failed": 1}
    for group, value in ((None, float("nan")), (f"g={odd}", 0.5)):
        ends = {"value": value, "ci_low": value, "ci_high": value}
        connection.execute(insert(RESULTS).values(figure | {"group_name": group} | ends))


def _add_monitor(connection: Any, reports: Path, name: str, odd: str) -> int:
    definition: dict[str, Any] = {"name": name, "schedule": "0 * * * *", "timezone": "UTC"}
    definition["alerts"] = {"rules": [{"figure": "latency_s.p95", "at_most": 2.0}]}
    times = {"created_utc": NOW, "updated_utc": NOW, "cursor_utc": NOW - timedelta(hours=1)}
    row = {"name": name, "definition": json.dumps(definition), "definition_digest": "d", "path": "m.yaml"}
    connection.execute(insert(MONITORS).values(row | times))
    noted = {"at_utc": NOW - timedelta(minutes=90), "noted_utc": NOW, "noted_by": f"anna{odd}"}
    connection.execute(insert(DEPLOYMENTS).values({"monitor": name, "text": f"prompt v12{odd}", **noted}))
    number = 0
    for i in range(3):
        end = NOW - timedelta(hours=2 - i)
        values: dict[str, Any] = dict.fromkeys(("n_duplicates", "n_quarantined", "n_late", "token", "attempts"), i)
        values |= {"monitor": name, "start_utc": end - timedelta(hours=1), "end_utc": end, "revision": 0}
        values |= {"status": "compared", "message": odd, "started_utc": end, "recorded_utc": end, "checked_utc": end}
        values |= {"n_rows": 200, "n_findings": 2, "n_drifted": i // 2, "reference": f"window{odd}"}
        values |= {"definition_digest": "d", "input_digest": "i", "layout_digest": "l", "path": f"monitors/m/{i}"}
        number = int(connection.execute(insert(INTERVALS).values(values)).inserted_primary_key[0])
        for column, figure in (("latency_s", "p95"), ("cost_usd", "sum"), (f"c{odd}", f"f{odd}")):
            for segment in ("", f"language={odd}"):
                row = {"interval_id": number, "column_name": column, "segment": segment, "name": figure, "n": 200}
                connection.execute(insert(FIGURES).values(row | {"value": 1.0 + i, "ci_low": 0.5, "ci_high": 3.5}))
        for figure, value in (("value", 0.8 + 0.01 * i), *([("realised", 0.6 + 0.1 * i)] if i < 2 else [])):
            row = {"interval_id": number, "column_name": f"estimate.accuracy{odd}", "segment": "", "name": figure}
            ends = {"ci_low": 0.68, "ci_high": 0.9} if figure == "value" else {}
            connection.execute(insert(FIGURES).values(row | {"value": value, "n": 200} | ends))
        _add_findings(connection, number, odd, drifted=i == 2)
    folder = reports / "monitors" / "m" / "2"
    folder.mkdir(parents=True)
    numeric = {"kind": "numeric", "edges": [0.0, 1.0, 2.0], "reference": [0.5, 0.5], "current": [0.1, 0.9]}
    classes = {"kind": "category", "labels": [f"a{odd}", "b"], "reference": [0.5, 0.5], "current": [0.9, 0.1]}
    drift = {"pictures": {"latency_s": numeric, f"c{odd}": classes}, "terms": [["output", f"w{odd}", 4.0, 0.1, 0.4]]}
    drift["examples"] = [["output", "reference", f"before{odd}", ""], ["output", "current", f"now{odd}", odd]]
    (folder / "drift.json").write_text(json.dumps(drift), encoding="utf-8")
    rows = [{"id": f"r{i}{odd}", "at": f"2026-03-02T0{i}:00", "input": f"q{i}{odd}", "output": odd} for i in range(4)]
    points = [[0.1, 0.2], [0.3, -0.4], None, [1.0, 1.0]]
    drawn = {"column": "input.embedding", "explained": [0.6, 0.2], "reference": points, "current": points[::-1]}
    texts = {"reference": {"name": odd, "texts": rows}, "current": {"texts": rows}, "maps": [drawn]}
    texts |= {"terms": [["input", f"t{odd}", 3.0, 0.1, 0.2]], "examples": [["input", "current", odd, odd]]}
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    (folder / "drift.html").write_text(REPORT, encoding="utf-8")
    return number


def _add_findings(connection: Any, number: int, odd: str, *, drifted: bool) -> None:
    finding = {"interval_id": number, "segment": "", "kind": "numeric", "test": f"ks{odd}", "reason": f"because{odd}"}
    finding |= {"p_value": 0.5, "q_value": 0.5, "effect": 0.01, "effect_name": f"gap{odd}", "effect_threshold": 0.03}
    finding |= {"n_reference": 500, "n_current": 200}
    for column, state, effect in (("latency_s", "no_drift", 0.01), (f"c{odd}", "drift" if drifted else "small", 0.4)):
        connection.execute(insert(FINDINGS).values(finding | {"column_name": column, "state": state, "effect": effect}))


def _add_alert(connection: Any, monitor: str, odd: str) -> tuple[str, int]:
    row: dict[str, Any] = {"monitor": monitor, "alert_key": f"drift:c{odd}", "labels": json.dumps({"column": odd})}
    row |= {"state": "firing", "told": "firing", "sequence": 1, "runs": "[1,0,0,0]", "prior_runs": "[0,0,0,0]"}
    row |= {"window_start_utc": NOW - timedelta(hours=1), "window_end_utc": NOW, "revision": 0, "value": 0.4}
    row |= {"limit_value": 0.03, "summary": f"it drifted{odd}", "link": "javascript:window.hacked=1", "since_utc": NOW}
    for identity, state in (("aaaa000011112222", "firing"), ("bbbb000011112222", "resolved")):
        connection.execute(insert(ALERTS).values(row | {"fingerprint": identity, "state": state}))
        event = {"fingerprint": identity, "monitor": monitor, "at_utc": NOW, "kind": state, "revision": 0, "note": odd}
        connection.execute(insert(ALERT_EVENTS).values(event))
    silence = {"matchers": json.dumps([["column", "=", f"x{odd}"]]), "starts_utc": NOW, "created_utc": NOW}
    silence |= {"until_utc": NOW + timedelta(days=1), "created_by": f"anna{odd}", "comment": odd}
    number = connection.execute(insert(SILENCES).values(silence)).inserted_primary_key
    return "aaaa000011112222", int(number[0])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("world"))
    yield made
    made.registry.close()


PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def sessions(world: World) -> dict[str, str]:
    """The cookie of a browser of each role, logged in by password."""
    from evalharness.dashboard.users import add_user, begin_session

    with writing(world.registry.engine) as connection:
        for role in ROLES:
            add_user(connection, role, role, PASSWORD, NOW)
        return {role: begin_session(connection, role, "password", NOW) for role in ROLES}


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    """The dashboard over `world`; nobody is logged in."""
    from starlette.testclient import TestClient

    from evalharness.dashboard.app import make_app

    app = make_app(world.settings(api_token="t" * 32, token_role="editor"))
    with TestClient(app, base_url="http://testserver", follow_redirects=False) as made:
        yield made


def csrf_of(token: str) -> str:
    """What stands in the forms of the browser with this cookie."""
    from evalharness.dashboard.access import Visitor

    return Visitor("", None, token, False, "session").csrf


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Serves a dashboard over a world on a port of loopback; returns its address."""
    import uvicorn

    from evalharness.cli.listening import address_of, listening_on
    from evalharness.dashboard.app import make_app

    running: list[tuple[Any, threading.Thread]] = []

    def serve(world: World, **access: Any) -> str:
        settings = replace(world.settings(**access), clock=lambda: datetime.now(UTC))
        socket = listening_on("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(make_app(settings), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=lambda: server.run(sockets=[socket]), daemon=True)
        thread.start()
        end = time.monotonic() + 20
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://{address_of(socket)}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def new_token() -> str:
    return secrets.token_urlsafe(32)
