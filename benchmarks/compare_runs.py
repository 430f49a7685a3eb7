"""Seconds and peak memory of `evalharness compare` on two runs of 100,000 samples and 10 metrics.

    python benchmarks/compare_runs.py [--samples 100000] [--repeats 3] [--write]

The two records are fake and seeded: their statistics are drawn, not scored, and their texts are short. Half of the
metrics are shares and means, four are functions of sums (BLEU, chrF, MCC, macro F1), one is a quantile. Some samples
are in one run only, so that the pairing has work to do. The comparison is a process of its own, start-up included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _table import as_installed, machine, markdown_table, replace_section

from evalharness.core.canonical import digest
from evalharness.core.registry import registry
from evalharness.core.types import MetricResult, Request, Response, Sample
from evalharness.metrics.interval import sample_values
from evalharness.record import RunManifest, SampleRow, ScoreTable, StatsTable, TaskSummary, seal

LABELS = ("no", "yes")
SHARES = ("exact_match", "accuracy")
MEANS = ("token_f1", "rouge1", "rougeL")
SUMS = ("bleu", "chrf", "mcc", "f1_macro")
METRICS = (*SHARES, *MEANS, *SUMS, "latency_p95_s")
IDENTITY = {name: digest(name) for name in ("data", "prompt", "generation", "kind")}
# A small launcher measures: a child forked from this process would inherit its peak memory.
LAUNCHER = """
import json, os, sys, time
quiet = os.open(os.devnull, os.O_WRONLY)
began = time.perf_counter()
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ,
                     file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024,
                  os.waitstatus_to_exitcode(status)]))
"""
_DRAWN = 512  # real answers whose statistics are drawn from


def rows_of(metric: Any, rng: np.random.Generator, share: float, n: int) -> np.ndarray:
    """(n, k) statistics drawn from those of a few hundred real answers, of which `share` are right."""
    words = ["the", "cat", "sat", "on", "a", "mat", "by", "door", "and", "slept"]
    samples, responses = [], []
    for i in range(_DRAWN):
        target = LABELS[i % 2]
        gold = f"{' '.join(rng.choice(words, 12))} {target}"
        right = rng.random() < share
        text = gold if right else " ".join(w if rng.random() < 0.6 else "dog" for w in gold.split())
        answer = target if right else LABELS[1 - i % 2]
        label = metric.name in ("accuracy", "mcc", "f1_macro")
        samples.append(Sample(str(i), "", "", references=(gold,), target=target))
        latency = float(rng.gamma(4, 0.1))
        responses.append(
            Response("", text=answer if label else text, answer=answer if label else None, latency_s=latency)
        )
    found = metric.sample_stats(samples, responses)
    return np.asarray(found)[rng.integers(0, _DRAWN, n)]


def make(folder: Path, name: str, n: int, first: int, seed: int) -> None:
    """Seal a record of `n` samples numbered from `first`."""
    rng = np.random.default_rng(seed)
    ids = [f"q{i:07d}" for i in range(first, first + n)]
    digests = [digest(i) for i in ids]
    results, scores, tables = [], [], []
    for metric_name in METRICS:
        metric = registry("metrics").load(metric_name)().for_task(LABELS)
        stats = rows_of(metric, rng, 0.7 + 0.02 * seed, n)
        tables.append(StatsTable("qa", "m", metric_name, ids, digests, [None] * n, stats))
        scores.append(ScoreTable("qa", "m", metric_name, ids, digests, sample_values(metric, stats)))
        value = metric.finalize(stats.sum(axis=0))
        totals = tuple(map(float, stats.sum(axis=0)))
        bounds = (float("nan"), float("nan"))
        results.append(
            MetricResult(
                *("qa", "m", metric_name, float(value), *bounds, "none", 0.95, n, 0),
                *(metric.higher_is_better, metric.bounds, metric.signature, None, tuple(metric.columns), totals),
            )
        )

    def rows() -> Iterator[SampleRow]:
        for i, own in zip(ids, digests, strict=True):
            sample = Sample(i, own, f"Question {i}: where is the cat?", references=("on the mat",), target="yes")
            request = Request(own, "m", "generate", i, sample.prompt)
            yield SampleRow("qa", "m", sample, request, Response(own, text=f"on the mat {i}", answer="yes"))

    manifest = RunManifest(
        id=name,
        name=name,
        suite_name="fake",
        suite_digest="0" * 64,
        suite={"version": 1, "name": "fake", "tasks": [{"id": "qa", "metrics": list(METRICS)}]},
        created_utc="2026-11-22T10:00:00Z",
        finished_utc="2026-11-22T10:00:00Z",
        evalharness_version="0",
        models={"m": {}},
        tasks=(TaskSummary("qa", "m", "generate", IDENTITY, n, n, {"ok": n}, LABELS),),
        results=tuple(results),
    )
    seal(folder / name, manifest, rows(), scores, tables)


def measure(folder: Path, *, html: bool) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and MiB of one comparison, in a process of its own."""
    command = ["-m", "evalharness", "compare", str(folder / "old"), str(folder / "new")]
    command += ["--html", str(folder / "compare.html")] if html else []
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    seconds, cpu, mib, code = json.loads(done.stdout)
    assert code == 0, done.stderr
    return seconds, cpu, mib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    args = parser.parse_args()
    as_installed()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        make(folder, "old", args.samples, 0, 1)
        make(folder, "new", args.samples, args.samples // 50, 2)
        print(f"records made in {time.perf_counter() - began:.0f} s", flush=True)
        for label, html in (("table on the terminal", False), ("table and page", True)):
            found = [measure(folder, html=html) for _ in range(args.repeats)]
            seconds, cpu = (sorted(one[i] for one in found)[len(found) // 2] for i in (0, 1))
            mib = max(one[2] for one in found)
            sizes = [f"{args.samples:,}", len(METRICS)]
            rows.append([label, *sizes, f"{seconds:.2f} s", f"{cpu:.2f} s", f"{mib:,.0f} MiB"])
            print(rows[-1], flush=True)
    header = ["`evalharness compare`", "samples a run", "metrics", "whole process", "of CPU", "peak memory"]
    text = f"`python benchmarks/compare_runs.py`: two fake records, 98 % of the samples in both. {machine()}."
    if args.write:
        replace_section("compare_runs", f"## Comparing two runs\n\n{text}\n\n{markdown_table(header, rows)}")


if __name__ == "__main__":
    main()
