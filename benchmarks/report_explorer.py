"""A report's sample explorer with 10,000 and 100,000 samples: written, opened in Chromium, searched, scrolled.

    python benchmarks/report_explorer.py [--numbers 10000,100000] [--write]

Each sample has a prompt of about 500 characters, an output of 200 and a reference of 150, of words drawn from 20,000 by
Zipf's law (real language repeats itself more, and takes less room). The report is written by a process of its own,
whose peak memory and CPU time are taken; it is opened from disk in a Chromium that was just started.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _table import machine, markdown_table, replace_section

WORD, RARE, PHRASE, PATTERN = "the", "q09999", '"connection lost"', "lost after \\d retr"


def texts(rng: random.Random) -> Iterator[str]:
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    vocabulary = ["".join(rng.choices(letters, weights=range(26, 0, -1), k=rng.randint(2, 10))) for _ in range(20_000)]
    vocabulary[3] = WORD
    weights = list(itertools.accumulate(1 / (i + 1) for i in range(len(vocabulary))))
    while True:
        yield from rng.choices(vocabulary, cum_weights=weights, k=100_000)


def make_record(folder: Path, n: int) -> Path:
    from evalharness.core.canonical import digest
    from evalharness.core.types import MetricResult, Request, Response, Sample
    from evalharness.record import RunManifest, SampleRow, ScoreRow, StatsRow, TaskSummary, seal

    rng = random.Random(0)
    words = texts(rng)

    def text(chars: int) -> str:
        found: list[str] = []
        while chars > 0:
            found.append(next(words))
            chars -= len(found[-1]) + 1
        return " ".join(found)

    def rows() -> Iterator[SampleRow]:
        for i in range(n):
            sample = Sample(
                id=f"q{i:06d}",
                digest=digest(["s", i]),
                prompt=f"Question: {text(490)}",
                references=(text(150),),
                groups={"language": ("en", "de", "fr")[i % 3], "topic": f"topic {i % 12}"},
            )
            key = digest(["m", i])
            failed = i % 37 == 0
            response = Response(
                key=key,
                status="error" if failed else "ok",
                text=None if failed else text(200),
                error="connection lost after 3 retries" if failed else None,
                finish_reason="stop",
                input_tokens=120 + i % 40,
                output_tokens=40 + i % 17,
                latency_s=rng.lognormvariate(-1, 0.6),
                created_utc="2026-11-21T10:00:00Z",
                meta={"cost_usd": 0.0001 * (i % 7)},
            )
            request = Request(key=key, model="m", kind="generate", sample_id=sample.id, prompt=sample.prompt)
            yield SampleRow("answer", "m", sample, request, response)

    scored = [(f"q{i:06d}", digest(["s", i]), float(i % 4 != 0)) for i in range(n) if i % 37]
    totals = (sum(value for *_, value in scored), float(len(scored)))
    figure = MetricResult(
        *("answer", "m", "exact_match", totals[0] / totals[1], 0.74, 0.76, "wilson", 0.95, len(scored)),
        *(n - len(scored), True, (0.0, 1.0), "exact_match|v:1"),
        columns=("hits", "n"),
        totals=totals,
    )
    run_id = f"bench-{n}-20261121-100000-abcd"
    manifest = RunManifest(
        id=run_id,
        name="bench",
        suite_name="bench",
        suite_digest="5" * 64,
        suite={"version": 1, "name": "bench", "models": {"m": {"backend": "fake"}}, "tasks": [{"id": "answer"}]},
        created_utc="2026-11-21T10:00:00Z",
        finished_utc="2026-11-21T10:10:00Z",
        evalharness_version="0",
        versions={},
        models={"m": {"backend": "fake"}},
        datasets={},
        tasks=(TaskSummary("answer", "m", "generate", {}, n, n, {"ok": len(scored), "error": n - len(scored)}),),
        results=(figure,),
        execution={"n_requests": n},
        notes=(),
    )
    scores = (ScoreRow("answer", "m", "exact_match", *row) for row in scored)
    stats = (StatsRow("answer", "m", "exact_match", i, d, None, (value, 1.0)) for i, d, value in scored)
    seal(folder / run_id, manifest, rows(), scores, stats)
    return folder / run_id


def write_page(record: Path, page: Path) -> dict[str, float]:
    """Time, CPU time and peak memory of `evalharness report`, in a process of its own."""
    command = [sys.executable, __file__, "--worker", str(record), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def worker(record: str, page: str) -> None:
    began = time.perf_counter()
    code = subprocess.run(
        [sys.executable, "-m", "evalharness", "report", record, "--out", page], check=False
    ).returncode
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert code == 0
    found = {
        "seconds": time.perf_counter() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "mb": usage.ru_maxrss / 1024,
    }
    print(json.dumps(found))


_SEARCH = """async ([query, isPattern]) => {
  const times = [];
  for (let k = 0; k < 7; k++) {
    const began = performance.now();
    await samples.search(query, isPattern, () => false);
    times.push(performance.now() - began);
  }
  return times;
}"""
# From the key to the list that shows what was found.
_TYPED = """async (query) => {
  const explorer = document.getElementById('explorer'), turn = explorer.dataset.turn;
  const began = performance.now();
  document.getElementById('f-text').value = query;
  document.getElementById('f-regex').dispatchEvent(new Event('change'));
  while (explorer.dataset.turn === turn) await new Promise((go) => setTimeout(go, 1));
  return performance.now() - began;
}"""
_SCROLL = """async () => {
  const box = document.getElementById('rows'), frames = [];
  let last = performance.now();
  for (let k = 0; k < 60; k++) {
    box.scrollTop = (box.scrollHeight - box.clientHeight) * ((k * 37) % 60) / 60;
    await new Promise((go) => requestAnimationFrame(go));
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return frames;
}"""


def measure_page(page_file: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri(), wait_until="commit")
        page.wait_for_selector("#explorer[data-turn] [role=option]", timeout=60_000)
        usable = page.evaluate("performance.now()")
        page.wait_for_selector("#explorer[data-loaded=all]", timeout=60_000)
        loaded = page.evaluate("performance.now()")
        found: dict[str, Any] = {
            "paint": page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
            "usable": usable,
            "loaded": loaded,
            "heap_mb": page.evaluate("performance.memory.usedJSHeapSize") / 2**20,
        }
        searches = ((WORD, False), (RARE, False), (PHRASE, False), (PATTERN, True))
        found["search"] = {
            query: statistics.median(page.evaluate(_SEARCH, [query, is_pattern])) for query, is_pattern in searches
        }
        found["typed"] = statistics.median(page.evaluate(_TYPED, query) for query in (WORD, RARE, PHRASE, WORD, PHRASE))
        frames = sorted(page.evaluate(_SCROLL))
        found["frame"], found["worst_frame"] = statistics.median(frames), frames[-2]
        assert all(url.startswith(("file:", "data:")) for url in asked), asked
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", default="10000,100000")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(*args.worker)
        return
    columns: list[list[str]] = []
    load = os.getloadavg()[0]
    for n in map(int, args.numbers.split(",")):
        with tempfile.TemporaryDirectory() as name:
            record, page = make_record(Path(name), n), Path(name) / "report.html"
            wrote = write_page(record, page)
            seen = measure_page(page)
            size = page.stat().st_size / 1e6
        ms = lambda value: f"{value:,.0f} ms"  # noqa: E731 - a format
        columns.append(
            [
                f"{n:,} samples",
                f"{wrote['seconds']:.1f} s",
                f"{wrote['cpu']:.1f} s",
                f"{wrote['mb']:,.0f} MB",
                f"{size:,.1f} MB",
                ms(seen["paint"]),
                ms(seen["usable"]),
                ms(seen["loaded"]),
                f"{seen['heap_mb']:,.0f} MB",
                *(ms(value) for value in seen["search"].values()),
                ms(seen["typed"]),
                f"{seen['frame']:.0f} ms, {seen['worst_frame']:.0f} ms",
            ]
        )
        print(columns[-1], flush=True)
    names = [
        *("", "`evalharness report`", "of it CPU", "its peak memory", "the page"),
        *("first paint", "first rows, filters and order usable", "all texts read", "heap of the page then"),
        *(f"search for `{query}`" for query in (WORD, RARE, PHRASE)),
        f"search for the expression `{PATTERN}`",
        "from a word that is typed to the list",
        "a frame while the list jumps, and the worst",
    ]
    rows = [list(row) for row in zip(names, *columns, strict=True)]
    text = f"`python benchmarks/report_explorer.py`: times from the start of the navigation; medians. {machine()}; "
    text += f"load average {load:.1f} when it began."
    table = markdown_table(rows[0], rows[1:])
    print(table)
    if args.write:
        replace_section("report_explorer", f"## Sample explorer of a report\n\n{text}\n\n{table}")


if __name__ == "__main__":
    main()
