"""The bootstrap of macro-F1 and MCC beside scikit-learn in a loop, on the same answers in the same process.

    python benchmarks/bootstrap.py [--samples 1000] [--resamples 100000] [--peer 300] [--rounds 3]

Ours is `metrics.interval.summarize`, which scores a run: the figure and its BCa interval, jackknife included. The peer
draws the samples of each resample with numpy and asks scikit-learn for their figure; it is timed on `--peer` of them,
and its time for all is reckoned from that. The fastest round counts; CPU time is given because a busy machine adds to
the clock. The standard errors of both are compared: what is
faster and different is of no use.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from _table import machine, markdown_table, replace_section
from sklearn.metrics import f1_score, matthews_corrcoef

from evalharness.core.types import Response, Sample
from evalharness.metrics.averages import F1Macro
from evalharness.metrics.classification import Mcc
from evalharness.metrics.interval import summarize
from evalharness.stats.bootstrap import replicates


def fastest(rounds: int, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of CPU time, of the fastest round each."""
    clock, cpu = float("inf"), float("inf")
    for _ in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        work()
        clock, cpu = min(clock, time.perf_counter() - start), min(cpu, time.process_time() - used)
    return clock, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=100_000)
    parser.add_argument("--peer", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    for n_classes in (2, 4, 10, 20):
        rng = np.random.default_rng(n_classes)
        names = tuple(f"class {i}" for i in range(n_classes))
        gold = rng.integers(0, n_classes, args.samples)
        answer = np.where(rng.random(args.samples) < 0.8, gold, rng.integers(0, n_classes, args.samples))
        samples = [Sample(id=str(i), digest="", prompt="", target=names[g]) for i, g in enumerate(gold)]
        responses = [Response(key=str(i), answer=names[a]) for i, a in enumerate(answer)]
        peers = {
            "f1_macro": lambda g, a, k=n_classes: f1_score(g, a, labels=range(k), average="macro", zero_division=0),
            "mcc": matthews_corrcoef,
        }
        for metric in (F1Macro().for_task(names), Mcc().for_task(names)):
            stats = metric.sample_stats(samples, responses)
            ours, cpu = fastest(args.rounds, lambda m=metric, s=stats: summarize(m, s, n_resamples=args.resamples))
            drawn = rng.integers(0, args.samples, (args.peer, args.samples))
            theirs: list[float] = []
            start = time.perf_counter()
            for index in drawn:
                theirs.append(peers[metric.name](gold[index], answer[index]))
            peer = (time.perf_counter() - start) * args.resamples / args.peer
            error = replicates(stats, metric.finalize, n_resamples=args.resamples, seed=0).std()
            rows.append(
                (
                    f"{metric.name}, {n_classes} classes",
                    f"{ours:.2f} s",
                    f"{cpu:.2f} s",
                    f"{peer:,.0f} s",
                    f"{peer / ours:,.0f}×",
                    f"{error:.4f}",
                    f"{np.std(theirs):.4f}",
                )
            )
    header = (
        "figure",
        "ours",
        "its CPU time",
        "scikit-learn in a loop",
        "ratio",
        "standard error",
        f"of its {args.peer} resamples",
    )
    text = (
        f"## Bootstrap of label figures\n\n`python benchmarks/bootstrap.py`: {args.resamples:,} resamples of "
        f"{args.samples:,} samples with the figure and its BCa interval, fastest of {args.rounds} rounds; scikit-learn "
        f"timed on {args.peer} resamples. {machine()}.\n\n{markdown_table(header, rows)}"
    )
    print(text)
    replace_section("bootstrap", text)


if __name__ == "__main__":
    main()
