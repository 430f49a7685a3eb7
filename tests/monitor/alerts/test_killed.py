"""Two processes at work on one registry, killed again and again: what the receiver has in the end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evalharness.record import RunRegistry
from evalharness.record.database import reading

N_WINDOWS = 40

# The clock is six hundred times as fast as ours, so that a lease is over after a third of a second. The receiver is a
# file, to which a line is appended: what it has, it has.
WORKER = """
import json, os, sys, time
from datetime import UTC, datetime, timedelta
from evalharness.monitor.alerts import deliver, observe
from evalharness.monitor.alerts.heartbeat import seen_window
from evalharness.monitor.conditions import Condition, Window
from evalharness.record import RunRegistry
from evalharness.record.database import writing
from evalharness.suite.alert_entry import Alerts

reports, received, began, n_windows = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
START = datetime(2026, 3, 1, tzinfo=UTC)

def clock():
    return START + timedelta(seconds=(time.time() - began) * 600)

class Bot:
    name = "bot"
    alerts = Alerts.model_validate(
        {"channels": [{"name": "file", "url": "https://example.org/"}], "heartbeat": {"alert": False}}
    )

class Receiver:
    def send(self, message, now):
        line = json.dumps({"key": message.key, "again": message.may_be_repeated, "body": json.loads(message.body)})
        handle = os.open(received, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode() + b"\\n")
        os.close(handle)

with RunRegistry.open(reports=reports, environ={}) as registry:
    print("ready", flush=True)
    while True:
        with writing(registry.engine) as connection:
            newest = seen_window(connection, "bot")
            i = 0 if newest is None else round((newest.end - START).total_seconds() / 3600)
            if i < n_windows:
                window = Window(START + timedelta(hours=i), START + timedelta(hours=i + 1))
                states = {"even": "bad" if i % 2 == 0 else "ok", "slow": "bad" if i // 3 % 2 else "ok"}
                observe(connection, Bot(), window, [Condition(k, s) for k, s in states.items()], clock())
        deliver(registry, clock, Receiver())
"""


def expected(key: str) -> list[str]:
    """What is told of an alert, from the windows themselves."""
    bad = [i % 2 == 0 if key == "even" else i // 3 % 2 == 1 for i in range(N_WINDOWS)]
    changes = [now for before, now in zip([False, *bad], bad, strict=False) if before != now]
    return ["firing" if now else "resolved" for now in changes]


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_processes_are_killed(tmp_path: Path) -> None:
    received = tmp_path / "received.jsonl"
    arguments = [str(tmp_path / "reports"), str(received), str(time.time()), str(N_WINDOWS)]
    drawn = random.Random(7)

    def start() -> subprocess.Popen[str]:
        worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        return worker

    def waiting() -> int:
        with RunRegistry.open(reports=tmp_path / "reports", environ={}) as registry:
            from sqlalchemy import func, select

            from evalharness.record.alert_tables import HEARTBEATS, OUTBOX

            with reading(registry.engine) as connection:
                left = connection.execute(select(func.count()).where(OUTBOX.c.state == "waiting")).scalar_one()
                end = connection.execute(select(HEARTBEATS.c.end_utc)).scalar()
        return int(left) + (N_WINDOWS if end is None or f"{end:%d %H}" != "02 16" else 0)

    workers = [start(), start()]
    try:
        for kill in range(60):
            time.sleep(drawn.uniform(0.0, 0.05))
            at = kill % 2
            workers[at].send_signal(signal.SIGKILL)
            workers[at].communicate()
            workers[at] = start()
            if kill > 12 and not waiting():
                break
        deadline = time.monotonic() + 60
        while waiting() and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert waiting() == 0
    lines = [json.loads(line) for line in received.read_text().splitlines()]
    first: dict[str, dict[str, list[dict[str, str]]]] = {}
    for line in lines:
        first.setdefault(line["key"], line["body"])
    unsaid = [line["key"] for line in lines if not line["again"]]
    assert len(set(unsaid)) == len(unsaid)  # what comes again says so
    for key in ("even", "slow"):
        told = [a["kind"] for body in first.values() for a in body["alerts"] if a["alert"] == key]
        assert told == expected(key)
