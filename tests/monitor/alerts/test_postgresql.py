"""Alerts and their messages over a real PostgreSQL server, where one is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.monitor.alerts import acknowledge, add_silence, deliver, parse_matcher
from evalharness.monitor.alerts.store import load
from evalharness.monitor.outbox import claim, revive, waiting_rows
from evalharness.record import RunRegistry
from evalharness.record.database import reading, writing
from evalharness.suite.alert_entry import Alerts

from .conftest import HOUR, Bot, Clock, Desk, Receiver, look

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("psycopg") is None, reason="the package psycopg is not installed"),
    pytest.mark.skipif(shutil.which("initdb") is None, reason="no PostgreSQL server (initdb) is installed"),
    pytest.mark.skipif(os.name != "posix", reason="the server is reached over a Unix socket"),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        folder.chmod(0o777)
        # PostgreSQL refuses to run as root: the server then runs as nobody.
        who: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        options: dict[str, Any] = {"cwd": folder, "capture_output": True, "check": True, **who}
        subprocess.run(["initdb", "-D", "data", "-A", "trust", "-U", "tester", "--no-sync", "-E", "UTF8"], **options)
        start = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run(["pg_ctl", "-D", "data", "-w", "-l", "log", "-o", start, "start"], **options)
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            subprocess.run(["pg_ctl", "-D", "data", "-m", "immediate", "stop"], **options)


def test_the_same_flows(url: str, tmp_path: Path, clock: Clock) -> None:
    channels = [{"name": "hook", "url": "https://example.org/"}]
    bot = Bot(Alerts.model_validate({"channels": channels, "repeat_s": 3600, "group_by": ["alert"]}))
    with RunRegistry.open(url, reports=tmp_path, clock=clock) as registry:
        one = Desk(registry, clock, bot)
        receiver = Receiver(["refused", "unknown"])
        with writing(registry.engine) as connection:
            add_silence(connection, [parse_matcher("alert=quiet")], until=clock() + 9 * HOUR, now=clock())
        one.see(0, look("bad", value=float("nan"), summary="\x00\ud800"), look("bad", "b"), look("bad", "quiet"))
        deliver(registry, clock, receiver)
        clock.now += HOUR
        assert deliver(registry, clock, receiver).n_perhaps_repeated == 1
        one.see(1, look("ok"), look("bad", "b"), look("ok", "quiet"))
        one.see(0, look("bad"), revision=1)
        with writing(registry.engine) as connection:
            for identity, alert in load(connection, state="firing").items():
                acknowledge(connection, identity, by="ada", now=clock())
                assert alert.alert_key == "b"
            message = claim(connection, holder="a", now=clock(), lease_s=60)
            assert message is not None
        with writing(registry.engine) as connection:
            assert claim(connection, holder="b", now=clock(), lease_s=60) is None
            assert revive(connection, clock()) == 0
        clock.now += timedelta(minutes=5)
        deliver(registry, clock, receiver)
        with reading(registry.engine) as connection:
            assert waiting_rows(connection) == ()
    told = receiver.told()
    assert [kind for key, kind in told if key == "drift:length"] == ["firing", "resolved"]
    assert ("b", "firing") in told
    assert not any(key == "quiet" for key, _ in told)


def test_metrics_can_be_scraped(url: str, tmp_path: Path, clock: Clock) -> None:
    pytest.importorskip("prometheus_client")
    from evalharness.monitor.prometheus import exposition

    with RunRegistry.open(url, reports=tmp_path, clock=clock) as registry:
        assert b"evalharness_silences" in exposition(registry, clock)
