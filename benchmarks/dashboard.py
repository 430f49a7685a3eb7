"""How long the pages of the dashboard take over a registry of 100,000 runs and 10 million figures.

  python benchmarks/dashboard.py            # fills a registry, asks every list, prints the table
  python benchmarks/dashboard.py --write    # puts the table into RESULTS.md
  python benchmarks/dashboard.py --runs 2000 --figures 100 --keep FOLDER

The registry is SQLite, as it comes. Pages are asked over HTTP on loopback from a server in this process, one after the
other, each ten times after one that is not counted (the first one of a server draws its templates); the slowest and the
median are told, to the last byte of the body.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from _table import machine, markdown_table, replace_section

from evalharness.record import RunRegistry

SUITES, MODELS, METRICS, TASKS = 40, 20, 10, 5
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def made(i: int) -> datetime:
    """When run `i` was made: one every five minutes."""
    return NOW + timedelta(minutes=5 * i)


def run_id(i: int) -> str:
    return f"{made(i):%Y%m%dT%H%M%SZ}-suite{i % SUITES:02d}-{i:06x}"


def fill(reports: Path, *, n_runs: int, n_figures: int) -> None:
    """Write the rows straight into the file, as fast as SQLite takes them."""
    RunRegistry.open(reports=reports, environ={}).close()
    rng = random.Random(0)
    with contextlib.closing(sqlite3.connect(reports / "registry.sqlite3", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                (
                    run_id(i), f"suite{i % SUITES:02d}", f"release {i}",
                    f"{made(i):%Y-%m-%d %H:%M:%S.%f}", None, f"runs/{run_id(i)}",
                    "d" * 64, 1, "0.1.0", 1, 1000, rng.choice(("pass", "pass", "fail", "inconclusive", None)), None,
                )
                for i in range(n_runs)
            ),
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO results (run_id, task, model, metric, group_name, value, ci_low, ci_high, n, n_failed) "
            "VALUES (?,?,?,?,?,?,?,?,?,?)",
            figures(n_runs, n_figures, rng),
        )
        connection.execute(
            "INSERT INTO run_models SELECT DISTINCT run_id, model, created_utc FROM results "
            "JOIN runs ON runs.id = run_id"
        )
        connection.executemany(
            "INSERT INTO promotions (suite_name, label, run_id, promoted_utc, note) VALUES (?,?,?,?,?)",
            (
                (f"suite{i % SUITES:02d}", "production", run_id(i), f"{NOW:%Y-%m-%d %H:%M:%S.%f}", "")
                for i in range(0, n_runs, 97)
            ),
        )
        connection.execute("COMMIT")


def figures(n_runs: int, n_figures: int, rng: random.Random) -> Iterator[tuple[object, ...]]:
    kinds = [
        (f"task{t}", f"metric{m}", group)
        for t in range(TASKS)
        for m in range(METRICS)
        for group in (None, "language=de")
    ]
    for i in range(n_runs):
        name, model, value = run_id(i), f"model{(i // SUITES) % MODELS}", rng.random()
        if i % 30_011 == 7:
            model = "rare"  # a model that hardly any run has
        for j in range(n_figures):
            task, metric, group = kinds[j % len(kinds)]
            yield name, task, model, metric, group, value, value - 0.02, value + 0.02, 1000, 0


def pages(n_runs: int) -> list[str]:
    """The lists and pages that read most; runs in the middle, so that a page far down is among them."""
    return [
        "/",
        "/runs",
        "/runs?suite=suite07",
        "/runs?model=model3",
        "/runs?model=rare",
        "/runs?model=rare&suite=suite07",
        "/runs?model=model3&verdict=fail",
        "/runs?verdict=inconclusive&suite=suite03",
        "/runs?q=release%2099",
        "/runs?q=nowhere",
        "/runs?after={after}",
        f"/runs/{run_id(n_runs // 2)}",
        "/trend?suite=suite07",
        "/trend?suite=suite07&figure=task3.metric4",
        "/alerts",
        "/api/v1/overview",
        "/api/v1/runs?limit=200",
        "/api/v1/suites/suite07/trend?task=task0&metric=metric0",
    ]


def serve(reports: Path) -> str:
    import uvicorn

    from evalharness.cli.listening import address_of, listening_on
    from evalharness.dashboard.app import make_app
    from evalharness.dashboard.settings import Access, Settings

    registry = RunRegistry.open(reports=reports, environ={})
    socket = listening_on("127.0.0.1", 0)
    app = make_app(Settings(registry, Access(no_login=True)))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    threading.Thread(target=lambda: server.run(sockets=[socket]), daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    return f"http://{address_of(socket)}"


def ask(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        body: bytes = answer.read()
    return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--figures", type=int, default=100, help="figures of each run")
    parser.add_argument("--keep", type=Path, help="folder of the registry; one that is there is used again")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = args.keep or Path(folder)
        began = time.perf_counter()
        if not (reports / "registry.sqlite3").exists():
            reports.mkdir(parents=True, exist_ok=True)
            fill(reports, n_runs=args.runs, n_figures=args.figures)
        size = (reports / "registry.sqlite3").stat().st_size
        print(f"filled in {time.perf_counter() - began:.0f} s, {size / 1e9:.2f} GB")
        address = serve(reports)
        after = json.loads(ask(f"{address}/api/v1/runs?limit=200"))["after"]
        for _ in range(20):
            after = json.loads(ask(f"{address}/api/v1/runs?limit=200&after={after}"))["after"] or after
        rows = []
        for page in pages(args.runs):
            url = address + page.format(after=after)
            body = ask(url)
            took = []
            for _ in range(10):
                at = time.perf_counter()
                ask(url)
                took.append(1000 * (time.perf_counter() - at))
            shown = page.format(after="…").replace(run_id(args.runs // 2), "RUN")
            rows.append((f"`{shown}`", f"{len(body) / 1000:.0f}", f"{statistics.median(took):.0f}", f"{max(took):.0f}"))
            print(*rows[-1], sep="\t", flush=True)
        heads = ("page", "kB", "median ms", "slowest of 10 ms")
        table = markdown_table(heads, rows)
        title = f"## The dashboard over {args.runs:,} runs and {args.runs * args.figures:,} figures"
        how = f"`python benchmarks/dashboard.py --write`, {machine()}; SQLite, {size / 1e9:.1f} GB."
        text = f"{title}\n\n{table}\n\n{how}"
        print(text)
        if args.write:
            replace_section("dashboard", text)


if __name__ == "__main__":
    main()
