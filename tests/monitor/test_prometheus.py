"""What Prometheus scrapes, and that the rules and dashboards we ship read it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import insert

from evalharness.monitor.alerts import deliver, observe
from evalharness.monitor.conditions import Condition, Window
from evalharness.monitor.prometheus import exposition, metrics_app, serving_metrics
from evalharness.monitor.prometheus_families import FAMILIES, MOST_SERIES
from evalharness.record import RunRegistry
from evalharness.record.database import writing
from evalharness.record.monitor_tables import FIGURES, FINDINGS, INTERVALS
from evalharness.record.tables import RESULTS, RUNS
from evalharness.suite.alert_entry import Alerts

client = pytest.importorskip("prometheus_client")
ROOT = Path(__file__).parents[2]
RULES = ROOT / "dashboards" / "prometheus"
DASHBOARDS = sorted((ROOT / "dashboards" / "grafana").glob("*.json"))
START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = {f.name + ("_total" if f.kind == "counter" else "") for f in FAMILIES} | {"evalharness_series_dropped"}

promtool = pytest.mark.promtool


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RunRegistry]:
    with RunRegistry.open(reports=tmp_path / "reports", environ={}) as opened:
        yield opened


class Bot:
    name = "bot"
    alerts = Alerts.model_validate({"channels": [{"name": "hook", "url": "https://example.org/"}]})


def interval(registry: RunRegistry, i: int, *, revision: int = 0, figures: int = 1, **values: Any) -> None:
    row: dict[str, Any] = {
        "monitor": "bot", "start_utc": START + i * HOUR, "end_utc": START + (i + 1) * HOUR, "revision": revision,
        "status": "compared", "message": "", "token": 1, "attempts": 1, "started_utc": START, "recorded_utc": START,
        "checked_utc": START, "n_rows": 95, "n_duplicates": 1, "n_quarantined": 5, "n_late": 2, "n_findings": 1,
        "n_drifted": 1, "reference": "r", "definition_digest": "d", "input_digest": "i", "layout_digest": "l",
        "path": "",
    }  # fmt: skip
    with writing(registry.engine) as connection:
        key = connection.execute(insert(INTERVALS).values(**row | values)).inserted_primary_key
        assert key is not None
        figure = {"interval_id": key[0], "segment": "", "name": "p95", "value": 1.5, "n": 9}
        connection.execute(insert(FIGURES), [figure | {"column_name": f"c{n}"} for n in range(figures)])
        finding = {
            "interval_id": key[0], "column_name": 'say "é\n', "segment": "language=de", "kind": "numeric",
            "test": "mean", "state": "drift", "reason": "", "effect": 0.5, "effect_name": "d",
            "effect_threshold": 0.2, "n_reference": 9, "n_current": 9,
        }  # fmt: skip
        connection.execute(insert(FINDINGS).values(**finding))


def scraped(registry: RunRegistry, now: datetime = START + 5 * HOUR) -> dict[tuple[str, tuple[str, ...]], float]:
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for family in text_string_to_metric_families(exposition(registry, lambda: now).decode()):
        for sample in family.samples:
            order = next((f.labels for f in FAMILIES if f.name == sample.name.removesuffix("_total")), ("family",))
            key = (sample.name.removeprefix("evalharness_"), tuple(sample.labels[name] for name in order))
            assert key not in found
            found[key] = sample.value
    return found


def test_an_empty_registry_can_be_scraped(registry: RunRegistry) -> None:
    found = scraped(registry)
    assert found[("silences", ())] == 0
    assert {value for (name, _), value in found.items() if name == "series_dropped"} == {0}


def test_what_is_scraped(registry: RunRegistry) -> None:
    class Silent:
        def send(self, message: Any, now: datetime) -> None:
            pass

    for i, said in enumerate(["bad", "ok", "bad"]):
        with writing(registry.engine) as connection:
            window = Window(START + i * HOUR, START + (i + 1) * HOUR)
            observe(connection, Bot(), window, [Condition("drift:x", said)], window.end)  # type: ignore[arg-type]
        if i < 2:
            deliver(registry, lambda window=window: window.end, Silent())  # type: ignore[misc]
    interval(registry, 1, n_rows=7)
    interval(registry, 2, n_rows=80)
    interval(registry, 2, revision=1)
    with writing(registry.engine) as connection:
        run = {
            "suite_name": "s", "name": "s", "path": "p", "suite_digest": "d", "schema_version": 1,
            "evalharness_version": "0", "complete": True, "n_samples": 3,
        }  # fmt: skip
        result = {"task": "qa", "model": "m", "metric": "accuracy", "n": 3, "n_failed": 0}
        for n in range(2):
            connection.execute(insert(RUNS).values(id=f"r{n}", created_utc=START + n * HOUR, **run))
            connection.execute(insert(RESULTS).values(run_id=f"r{n}", value=n / 4, **result))
            connection.execute(insert(RESULTS).values(run_id=f"r{n}", value=9.0, group_name="g", **result))
    found = scraped(registry)
    end = (START + 3 * HOUR).timestamp()
    expected = {
        ("alerts", ("bot", "firing")): 1,
        ("alerts", ("bot", "resolved")): 0,
        ("alerts_open", ("bot", "drift:x", "firing")): 1,
        ("alert_messages_total", ("bot", "firing")): 2,
        ("alert_messages_total", ("bot", "resolved")): 1,
        ("outbox_waiting", ("hook",)): 1,
        ("outbox_dead", ("hook",)): 0,
        ("outbox_oldest_waiting_timestamp_seconds", ("hook",)): end,
        ("monitor_interval_end_timestamp_seconds", ("bot",)): end,
        ("monitor_due_timestamp_seconds", ("bot",)): end + 3600,
        ("monitor_intervals", ("bot", "compared")): 3,
        ("monitor_interval_rows", ("bot", "read")): 95,  # of the newest revision of the newest interval
        ("monitor_interval_rows", ("bot", "quarantined")): 5,
        ("monitor_drifted_findings", ("bot",)): 1,
        ("monitor_figure", ("bot", "c0", "", "p95")): 1.5,
        ("monitor_drift", ("bot", 'say "é\n', "language=de", "mean")): 1,
        ("monitor_drift_effect", ("bot", 'say "é\n', "language=de", "mean")): 0.5,
        ("monitor_drift_effect_threshold", ("bot", 'say "é\n', "language=de", "mean")): 0.2,
        ("run_result", ("s", "qa", "m", "accuracy")): 0.25,
        ("run_finished_timestamp_seconds", ("s",)): (START + HOUR).timestamp(),
    }
    assert {key: found.get(key) for key in expected} == expected
    assert {f"evalharness_{name}" for name, _ in found} <= NAMES


def test_series_are_bounded_and_what_is_left_out_is_counted(registry: RunRegistry) -> None:
    interval(registry, 0, figures=MOST_SERIES + 7)
    found = scraped(registry)
    assert sum(name == "monitor_figure" for name, _ in found) == MOST_SERIES
    assert found[("series_dropped", ("evalharness_monitor_figure",))] == 7


def test_the_server_answers_as_prometheus_expects(registry: RunRegistry) -> None:
    from aiohttp.test_utils import TestClient, TestServer

    async def ask() -> tuple[int, str, str, int]:
        async with TestClient(TestServer(metrics_app(registry, lambda: START))) as http:
            answer = await http.get("/metrics")
            return answer.status, answer.headers["Content-Type"], await answer.text(), (await http.get("/x")).status

    status, kind, text, other = asyncio.run(ask())
    assert (status, other) == (200, 404)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE evalharness_silences gauge" in text


def test_the_daemon_answers_beside_its_work(registry: RunRegistry) -> None:
    import socket
    import urllib.request

    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/metrics"
    with serving_metrics(registry, lambda: START, listening), urllib.request.urlopen(url, timeout=10) as answer:
        assert b"evalharness_silences 0.0" in answer.read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


# ── what we ship ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def check() -> Callable[..., str]:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool here; install it: apt-get install prometheus")

    def call(*arguments: str | Path) -> str:
        done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, cwd=RULES)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


def expressions() -> dict[str, str]:
    """All PromQL that we ship, by where it stands."""
    found = {}
    for group in yaml.safe_load((RULES / "evalharness.rules.yml").read_text())["groups"]:
        found |= {f"rule {rule['alert']}": rule["expr"] for rule in group["rules"]}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                found[f"{path.name} panel {panel['id']} {target['refId']}"] = target["expr"]
    return found


@promtool
def test_what_we_expose_is_what_promtool_takes(check: Any, registry: RunRegistry) -> None:
    interval(registry, 0)
    tool = shutil.which("promtool")
    assert tool is not None
    text = exposition(registry, lambda: START)
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_the_configuration_and_the_rules(check: Any) -> None:
    check("check", "config", "prometheus.yml")
    check("test", "rules", "evalharness.test.yml")


@promtool
def test_every_expression_can_be_parsed(check: Any, tmp_path: Path) -> None:
    rules = [{"record": f"r{i}", "expr": e.replace("$monitor", "x")} for i, e in enumerate(expressions().values())]
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    assert f"{len(rules)} rules found" in check("check", "rules", tmp_path / "all.yml")


def test_expressions_name_only_what_we_expose() -> None:
    used = set()
    for where, expression in expressions().items():
        names = set(re.findall(r"\bevalharness_\w+", re.sub(r'"[^"]*"', "", expression)))
        assert names <= NAMES, where
        used |= names
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)) - {"job"}
        known = {label for family in FAMILIES if family.name in {n.removesuffix("_total") for n in names}
                 for label in family.labels}  # fmt: skip
        assert labels <= known, where
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"][1:]:
            assert re.findall(r"evalharness_\w+", variable["query"]["query"])[0] in NAMES
    assert NAMES - used <= {
        "evalharness_monitor_observed_timestamp_seconds", "evalharness_run_finished_timestamp_seconds",
        "evalharness_series_dropped",
    }  # fmt: skip


def test_dashboards_have_identities_that_stay() -> None:
    bodies = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert [body["uid"] for body in bodies] == ["evalharness-alerts", "evalharness-monitors"]
    for path, body in zip(DASHBOARDS, bodies, strict=True):
        assert path.stem == body["uid"]
        ids = [panel["id"] for panel in body["panels"]]
        assert len(set(ids)) == len(ids) >= 9
        places = [tuple(panel["gridPos"].values()) for panel in body["panels"]]
        assert all(x + w <= 24 for x, _, w, _ in places)
        cells = [(a, b) for x, y, w, h in places for a in range(x, x + w) for b in range(y, y + h)]
        assert len(cells) == len(set(cells))  # no panel lies over another
    targets = {link["url"].removeprefix("/d/") for body in bodies for link in body["links"]}
    assert targets == {body["uid"] for body in bodies}


def test_every_metric_is_documented() -> None:
    text = (ROOT / "docs" / "prometheus.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(evalharness_\w+)`", text)) == NAMES
