"""The engine over a real PostgreSQL server, where one is installed: two daemons, kills, sleeps."""

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

from .conftest import load_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("psycopg") is None, reason="the package psycopg is not installed"),
    pytest.mark.skipif(shutil.which("initdb") is None, reason="no PostgreSQL server (initdb) is installed"),
    pytest.mark.skipif(os.name != "posix", reason="the server is reached over a Unix socket"),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    # A short path: a socket's name has room for about 100 characters. PostgreSQL refuses to run as root.
    user: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        folder.chmod(0o777)
        options: dict[str, Any] = {"cwd": folder, "capture_output": True, "check": True, **user}
        subprocess.run(["initdb", "-D", "data", "-A", "trust", "-U", "tester", "--no-sync", "-E", "UTF8"], **options)
        start = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run(["pg_ctl", "-D", "data", "-w", "-l", "log", "-o", start, "start"], **options)
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            subprocess.run(["pg_ctl", "-D", "data", "-m", "immediate", "stop"], **options)


def test_days_on_postgresql(url: str, tmp_path: Path) -> None:
    world_of = load_world()
    definitions = [world_of.definition("bot", schedule="0 */6 * * *", timezone="Europe/Berlin")]
    world = world_of.World(tmp_path, definitions, url=url, kills=0.3, sleeps=0.2, seed=5)
    for _ in range(30):
        world.now += timedelta(hours=world.random.choice([0.1, 3, 7, 13]))
        world.look(world.random.randrange(2))
    world.settle()
    wrong = world.check()
    world.close()
    assert wrong == []
    assert world.counts["kills"] > 3
    assert world.counts["sleeps"] > 1
