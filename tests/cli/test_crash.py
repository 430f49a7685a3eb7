"""`evalharness run` where the ground gives way: killed, on a full disk, without the right to write, beside itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evalharness
from evalharness import Record
from evalharness.runner.store import ResponseStore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and limits of POSIX")

ROOT = Path(evalharness.__file__).parent.parent
SUITE = """\
version: 1
name: demo
models:
  echo: {backend: fake, reply: "{{ prompt }}"}
datasets:
  lines: {path: lines.jsonl}
tasks:
  - {id: copy, dataset: lines, prompt: "{{ q }}", reference: "{{ q }}", metrics: [exact_match]}
"""


def lay_out(folder: Path, n: int, size: int = 10) -> None:
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    rows = ({"id": str(i), "q": f"{i} {os.urandom(size).hex()}"} for i in range(n))
    (folder / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def start(folder: Path, *words: str, before: str = "") -> subprocess.Popen[str]:
    code = f"import sys\n{before}\nfrom evalharness.cli.main import main\nsys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "suite.yaml", "--quiet", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *words: str, before: str = "") -> tuple[int, str, str]:
    process = start(folder, *words, before=before)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert "internal error" not in err
    return process.returncode, out, err


@pytest.mark.slow
def test_killed_runs_lose_nothing() -> None:
    """A few rounds of the benchmark, which holds all that matters and ends with 1 where something does not hold."""
    script = ROOT / "benchmarks" / "kill.py"
    if not script.exists():
        pytest.skip("the benchmarks are not installed with the package")
    done = subprocess.run(
        [sys.executable, str(script), "--rounds", "6", "--samples", "60", "--seed", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| kept answers lost, or asked again | 0 |" in done.stdout


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    lay_out(tmp_path, 600, size=1_000)
    # What is imported from there on would be cut off, and stay so.
    limit = "import resource; sys.dont_write_bytecode = True; resource.setrlimit(resource.RLIMIT_FSIZE, (700_000,) * 2)"
    code, _, err = run(tmp_path, before=limit)
    assert code == 3
    assert "make room" in err or "free some space" in err
    with ResponseStore.open(tmp_path / "reports" / "responses.sqlite3") as store:
        n_kept = store.stats().n_entries
        assert all(response.text for response in store)
    assert n_kept < 600
    code, _, err = run(tmp_path)
    assert code == 0, err
    record = Record.open("latest", tmp_path / "reports")
    record.verify()
    assert record.manifest.execution["n_from_store"] == n_kept
    assert not record.samples().duplicated(["sample_id"]).any()
    assert [path.name for path in (tmp_path / "reports").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_two_runs_at_once_share_one_store(tmp_path: Path) -> None:
    lay_out(tmp_path, 2_000)
    processes = [start(tmp_path) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    runs = sorted((tmp_path / "reports" / "runs").iterdir())
    assert len(runs) == 2
    for path in runs:
        record = Record.open(path)
        record.verify()
        assert len(record.samples()) == 2_000
        assert {r.metric: r.value for r in record.results}["exact_match"] == 1.0
    with ResponseStore.open(tmp_path / "reports" / "responses.sqlite3") as store:
        stats = store.stats()
    assert (stats.n_entries, stats.n_damaged) == (2_000, 0)
    listed = subprocess.run(
        [sys.executable, "-m", "evalharness", "runs", "list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(path.name[:24] in listed.stdout for path in runs)


# ── without the right to write ────────────────────────────────────────────────────────────────────────────────────

# Root may write everywhere, until it gives its capabilities up (capset(2), version 3, all sets empty).
_POWERLESS = """
import ctypes, os
if os.geteuid() == 0:
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0
"""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder whose rights are given back at the end."""
    if os.geteuid() == 0 and sys.platform != "linux":
        pytest.skip("root may write everywhere")
    yield tmp_path
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_folder_that_cannot_be_written(shared: Path) -> None:
    lay_out(shared, 3)
    shared.chmod(0o555)
    code, _, err = run(shared, before=_POWERLESS)
    assert code == 3
    assert "reports" in err
    assert "--reports" in err
    assert not (shared / "reports").exists()


def test_a_store_that_cannot_be_written(shared: Path) -> None:
    lay_out(shared, 3)
    code, _, err = run(shared)
    assert code == 0, err
    before = (shared / "reports" / "responses.sqlite3").read_bytes()
    for path in [*(shared / "reports").rglob("*"), shared / "reports"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    code, _, err = run(shared, before=_POWERLESS)
    assert code == 3
    assert "reports" in err
    assert "writ" in err
    assert (shared / "reports" / "responses.sqlite3").read_bytes() == before
