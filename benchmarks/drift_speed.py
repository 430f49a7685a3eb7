"""Drift of a frame of 1,000,000 × 20 beside Evidently's DataDriftPreset, and what window states cost.

    python benchmarks/drift_speed.py [--rows 1000000] [--peer-python PATH] [--streamed 10000000] [--write]

Every contender is a process of its own and gives evidence and effect for every column: 15 numeric ones (normal, log-
normal, many zeros, whole numbers, heavy tails; three of them have drifted) and 5 of categories. The clock begins when
the pandas frames are in memory; peak memory counts them. `--peer-python` is the Python of an environment that has
evidently; without it the peer is left out. Streams are made chunk by chunk and never lie on the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _table import machine, markdown_table, replace_section

PEER = """
import json, resource, sys, time
import pandas as pd
reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
import evidently
from evidently import Report
from evidently.presets import DataDriftPreset
began, cpu = time.perf_counter(), time.process_time()
snapshot = Report([DataDriftPreset()]).run(current, reference)
found = snapshot.dict()["metrics"]
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"name": "evidently " + evidently.__version__ + " DataDriftPreset", "seconds": seconds, "cpu": cpu,
                  "peak": peak, "columns": sum("ValueDrift" in str(m) for m in found)}))
"""


def frame(n: int, seed: int, *, moved: bool) -> dict[str, Any]:
    """Columns by name; three numeric columns and a category move a little."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for i in range(15):
        shift = 0.02 if moved and i % 5 == 0 else 0.0
        match i % 5:
            case 0:
                values = rng.standard_normal(n) + shift
            case 1:
                values = rng.lognormal(3.0, 1.0, n)
            case 2:
                values = np.where(rng.random(n) < 0.4, 0.0, rng.gamma(2.0, 2.0, n))
            case 3:
                values = rng.poisson(20.0, n).astype(np.float64)
            case _:
                values = rng.standard_t(3, n)
        made[f"number_{i}"] = values
    for i, levels in enumerate((2, 5, 12, 40, 150)):
        share = np.arange(levels, 0, -1, dtype=np.float64)
        if moved and i == 1:
            share[0] *= 1.02
        names = np.array([f"level {j}" for j in range(levels)])
        made[f"category_{i}"] = names[rng.choice(levels, n, p=share / share.sum())]
    return made


def write_frames(folder: Path, n: int) -> list[str]:
    import pyarrow as pa
    from pyarrow import parquet

    paths = []
    for seed, name in enumerate(("reference", "current")):
        paths.append(str(folder / f"{name}.parquet"))
        parquet.write_table(pa.table(frame(n, seed, moved=bool(seed))), paths[-1], row_group_size=131_072)
    return paths


def load(path: str) -> Any:
    """A pandas frame, read column by column: reading whole files leaves a peak that is not the comparison's."""
    import pandas as pd
    from pyarrow import parquet

    names = parquet.ParquetFile(path).schema_arrow.names
    return pd.DataFrame({name: pd.read_parquet(path, columns=[name])[name] for name in names}, copy=False)


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def by_states(paths: list[str], *, streamed: bool) -> dict[str, Any]:
    """Freeze the reference, fold both windows and test every column by its default test."""
    import pyarrow.compute  # noqa: F401  # as the peer, whose libraries are loaded before the clock begins

    from evalharness.drift.defaults import default_test
    from evalharness.drift.layout import freeze
    from evalharness.drift.reading import stream_tables
    from evalharness.drift.state import WindowState
    from evalharness.drift.table import Table

    frames = [] if streamed else [load(path) for path in paths]
    before = peak_mb()
    tests = {kind: default_test(kind) for kind in ("numeric", "category")}
    began, cpu = time.perf_counter(), time.process_time()
    states = []
    layout = None
    for i, path in enumerate(paths):
        if streamed:
            if layout is None:
                layout = freeze(stream_tables(path))
            state = WindowState(layout)
            for table in stream_tables(path):
                state.update(table)
        else:
            table = Table.of(frames[i])
            layout = layout or freeze(table)
            state = WindowState(layout)
            state.update(table, threads=os.cpu_count() or 1)
            del table  # only its state is kept
        states.append(state)
    found = {
        name: tests[column.kind].compare(states[0].counts(name), states[1].counts(name), seed=0)
        for name, column in layout.columns.items()
    }
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    words = "evalharness, states, streamed from Parquet" if streamed else "evalharness, states, from frames"
    return {
        "name": words,
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak_mb(),
        "before": before,
        "columns": len(found),
        "moved": sorted(name for name, one in found.items() if one.p_value < 0.05 / len(found)),
    }


def by_rows(paths: list[str]) -> dict[str, Any]:
    """Exact KS and Wasserstein of the numeric columns, chi-square of the categories."""
    from evalharness.drift.base import Rows
    from evalharness.drift.layout import freeze
    from evalharness.drift.state import WindowState
    from evalharness.drift.table import Table
    from evalharness.drift.tests.order import KS, Wasserstein
    from evalharness.drift.tests.shares import ChiSquare

    frames = [load(path) for path in paths]
    began, cpu = time.perf_counter(), time.process_time()
    tables = [Table.of(one) for one in frames]
    numbers = [name for name, column in tables[0].columns.items() if column.kind == "numeric"]
    found = {}
    levels = [Table({k: v for k, v in table.columns.items() if k not in numbers}, table.n) for table in tables]
    values = [{name: np.asarray(table.columns[name].values) for name in numbers} for table in tables]
    layout = freeze(levels[0])
    states = [WindowState(layout) for _ in levels]
    for state, table in zip(states, levels, strict=True):
        state.update(table)
    for name in layout.columns:
        found[name] = [ChiSquare().compare(states[0].counts(name), states[1].counts(name), seed=0)]
    # The codes of the categories are counted: only the frames' own numbers are needed from here on.
    del tables, levels, table
    for name in numbers:
        rows = [Rows(side[name]) for side in values]
        found[name] = [test.compare(rows[0], rows[1], seed=0) for test in (KS(), Wasserstein())]
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "name": "evalharness, exact KS and Wasserstein",
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak_mb(),
        "columns": len(found),
    }


def by_stream(rows: int) -> dict[str, Any]:
    """Fold rows of 5 numbers and 2 categories, made chunk by chunk; resident memory on the way, CPU of folding."""
    from evalharness.drift.layout import freeze
    from evalharness.drift.state import WindowState
    from evalharness.drift.table import Table

    chunk = 65_536
    names = [*(f"number_{i}" for i in range(5)), "category_1", "category_3"]
    made = [frame(chunk, seed, moved=False) for seed in range(8)]
    tables = [Table.of({name: one[name] for name in names}) for one in made]
    layout = freeze(tables)
    numbers = {name: layout.columns[name] for name in names[:5]}
    state, alone = WindowState(layout), WindowState(type(layout)(numbers))
    marks: dict[str, float] = {}
    spent = folded = 0.0
    done = 0
    rng = np.random.default_rng(0)
    while done < rows:
        # New rows each time: the values of a chunk, moved and in fresh memory.
        base = tables[int(rng.integers(8))]
        fresh = {
            name: type(column)(column.kind, column.values * rng.uniform(0.99, 1.01), column.levels)
            if column.kind == "numeric"
            else column
            for name, column in base.columns.items()
        }
        table = Table(fresh, base.n)
        began = time.process_time()
        state.update(table)
        spent += time.process_time() - began
        if done < 5_000_000:
            began = time.process_time()
            alone.update(table)
            folded += time.process_time() - began
        done += chunk
        for mark in (1_000_000, 10_000_000, 100_000_000):
            if done >= mark and f"{mark:,}" not in marks:
                marks[f"{mark:,}"] = resident_mb()
    return {
        "marks": marks,
        "rows_per_second": done / spent,
        "numbers_per_second": alone.n / folded * len(numbers),
        "bytes": len(state.to_bytes()),
        "rows": state.n,
    }


def worker(kind: str, paths: list[str], rows: int) -> dict[str, Any]:
    if kind == "stream":
        return by_stream(rows)
    return by_rows(paths) if kind == "rows" else by_states(paths, streamed=kind == "streamed")


def ask(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--streamed", type=int, default=10_000_000, help="rows of the longest stream")
    parser.add_argument("--peer-python", help="the Python of an environment that has evidently")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each of ours, of which the fastest counts")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        kind, *paths = args.worker
        print(json.dumps(worker(kind, paths, args.streamed)))
        return
    own = [sys.executable, __file__, "--streamed", str(args.streamed), "--worker"]
    with tempfile.TemporaryDirectory() as folder:
        paths = write_frames(Path(folder), args.rows)
        peer = None
        if args.peer_python and Path(args.peer_python).exists():
            peer = ask([args.peer_python, "-W", "ignore", "-c", PEER, *paths])
        else:
            print("the peer is left out: name the Python of an environment that has evidently with --peer-python")
        kinds = ("frames", "rows", "streamed")
        found = [
            min((ask([*own, kind, *paths]) for _ in range(args.rounds)), key=lambda one: one["seconds"])
            for kind in kinds
        ]
    stream = ask([*own, "stream"])
    rows = []
    for one in (*([peer] if peer else []), *found):
        ratio = f"{peer['seconds'] / one['seconds']:.0f}×" if peer else "–"
        work = f"{peer['cpu'] / one['cpu']:.0f}×" if peer else "–"
        cells = [one["name"], one["columns"], f"{one['seconds']:.2f} s", ratio, f"{one['cpu']:.2f} s", work]
        rows.append([*cells, f"{one['peak']:,.0f} MB"])
    header = ["contender", "columns", "time", "faster", "CPU time", "less CPU", "peak memory"]
    marks = [[f"{rows} rows", f"{mb:,.0f} MB"] for rows, mb in stream["marks"].items()]
    text = "\n\n".join(
        [
            "## Drift: speed and memory",
            f"`python benchmarks/drift_speed.py`: two pandas frames of {args.rows:,} × 20, evidence and effect for "
            f"every column; the fastest of {args.rounds} for ours, one run of the peer. Peak memory is the whole "
            f"process with both frames. {machine()}.",
            markdown_table(header, rows),
            f"A stream of 5 numbers and 2 categories: {stream['rows_per_second'] / 1e6:.1f}M rows a second and core; a "
            f"numeric column alone {stream['numbers_per_second'] / 1e6:.0f}M values; the state has "
            f"{stream['bytes'] / 1024:.0f} KiB as bytes. Resident memory after",
            markdown_table(["streamed", "resident"], marks),
        ]
    )
    print(text)
    if args.write:
        replace_section("drift_speed", text)


if __name__ == "__main__":
    main()
