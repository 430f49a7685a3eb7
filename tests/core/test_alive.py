"""What the dead left behind is removed; what the living write is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evalharness.core.alive import hold, is_abandoned, owned_name, release
from evalharness.core.files import atomic_folder, remove_abandoned

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs locks that end with their process")

_SEALING = """
import sys, time
from pathlib import Path
from evalharness.core.files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_a_folder_that_is_removed_and_not_before(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _SEALING, str(tmp_path / "run")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as lines:
        assert lines.readline() == b"writing\n"
        [left] = tmp_path.iterdir()
        assert remove_abandoned(tmp_path) == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (left / "half").exists()
    assert remove_abandoned(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_this_process_is_let_be(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "run") as folder:
        assert remove_abandoned(tmp_path) == 0
        (folder / "x").write_text("x")
    assert (tmp_path / "run" / "x").exists()
    assert remove_abandoned(tmp_path) == 0


def test_where_there_is_doubt_nothing_is_removed(tmp_path: Path) -> None:
    names = {
        "of another host": ".run.00000000-1-0123456789ab.tmp",
        "of a process that lives, between making and locking": owned_name("run", "tmp"),
        "of no one known": ".run.0123456789ab.tmp",
        "a user's own": ".mine.tmp",
    }
    for name in names.values():
        (tmp_path / name).mkdir()
    assert remove_abandoned(tmp_path) == 0
    # After a day without a lock nobody works on them, wherever they ran.
    old = time.time() - 90_000
    for name in names.values():
        os.utime(tmp_path / name, (old, old))
    held = hold(tmp_path / names["of no one known"])
    assert remove_abandoned(tmp_path) == 3
    release(held)
    assert remove_abandoned(tmp_path) == 1
    assert remove_abandoned(tmp_path / "missing") == 0


def test_what_is_gone_is_not_abandoned(tmp_path: Path) -> None:
    assert not is_abandoned(tmp_path / "missing")
