"""How often nominal 95 % intervals hold the truth: those that users get, and the others that there are.

    python benchmarks/coverage.py [--draws 2000] [--seed 0] [--only proportions,means,…] [--write]

Data are drawn from populations whose true figure is known, and each draw is given to `metrics.interval.summarize` (or,
for two runs, to `compare.paired.paired_change`), as the runner and the gate do. Proportions without clusters are not
drawn: all outcomes are gone through, each with its probability. What resamples is given every tenth draw (of pairs
every fourth). `--write` puts the tables into docs/statistics.md.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _table import markdown_table, replace_section

from evalharness.compare.paired import paired_change
from evalharness.core.protocols import Metric
from evalharness.core.types import Response, Sample
from evalharness.metrics.averages import F1Binary, F1Macro
from evalharness.metrics.bleu import Bleu
from evalharness.metrics.calibration import Ece
from evalharness.metrics.classification import Accuracy, Mcc
from evalharness.metrics.interval import summarize
from evalharness.metrics.match import TokenF1
from evalharness.metrics.operations import LatencyMean, LatencyP50, LatencyP95
from evalharness.stats.bootstrap import bca_interval, jackknife, percentile_interval, replicates
from evalharness.stats.intervals import (
    beta_posterior,
    clopper_pearson,
    cluster_standard_error,
    mean_interval,
    wilson,
)
from evalharness.stats.leaning import cluster_wilson
from evalharness.stats.paired_intervals import newcombe
from evalharness.stats.tails import normal_quantile, t_quantile

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
SIZES, SHARES = (30, 100, 300), (0.5, 0.9, 0.97)
CELLS = [(n, p) for n in SIZES for p in SHARES]
LOW, HIGH = 0.93, 0.99  # the bar for what the product uses
CLUSTER = 5  # samples a cluster
ICC = 0.3
GIVEN = "what a run gives"
EVERY = 10  # of the draws for what resamples and is there to compare with
EVERY_PAIR = 4  # of the draws for paired figures that resample
RESAMPLES = 1000

Interval = tuple[float, float]


class Tally:
    """Shares of intervals that hold the truth, by method and cell."""

    def __init__(self) -> None:
        self.held: dict[str, dict[tuple[int, float], float]] = {}
        self.weights: dict[str, dict[tuple[int, float], float]] = {}

    def add(self, method: str, cell: tuple[int, float], interval: Interval, truth: float, weight: float = 1.0) -> None:
        low, high = interval
        for table, value in ((self.held, low <= truth <= high), (self.weights, True)):
            row = table.setdefault(method, {})
            row[cell] = row.get(cell, 0.0) + weight * value

    def share(self, method: str, cell: tuple[int, float]) -> float:
        return round(self.held[method][cell] / self.weights[method][cell], 3)

    def rows(self) -> list[list[str]]:
        """A line a method; what a run gives is marked, and what misses the bar stands in italics."""
        return [
            [f"→ {method}" if method == GIVEN else method, *(self._cell(self.share(method, cell)) for cell in CELLS)]
            for method in self.held
        ]

    def missed(self) -> list[tuple[int, float]]:
        return [cell for cell in CELLS if not LOW <= self.share(GIVEN, cell) <= HIGH]

    @staticmethod
    def _cell(share: float) -> str:
        text = f"{100 * share:.1f}"
        return text if LOW <= share <= HIGH else f"*{text}*"


# Populations


def rows_of(values: np.ndarray) -> np.ndarray:
    return np.stack([np.ones(len(values)), values], axis=1)


def graded(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Scores as token F1 gives them: mostly 1, the rest anywhere between 0 and 1."""
    return np.where(rng.random(n) < 2 * mean - 1, 1.0, rng.random(n))


def narrow(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Scores as ROUGE gives them: Beta about their mean."""
    return rng.beta(20 * mean, 20 * (1 - mean), n)


@functools.cache
def labelled(name: str) -> tuple[Metric, np.ndarray]:
    """A metric of two classes, and the rows of a true positive, false positive, false negative and true negative."""
    metric = {"F1": F1Binary, "macro F1": F1Macro, "MCC": Mcc}[name]().for_task(("no", "yes"))
    golds, answers = ("yes", "no", "yes", "no"), ("yes", "yes", "no", "no")
    samples = [Sample(id=str(i), digest="", prompt="", target=gold) for i, gold in enumerate(golds)]
    responses = [Response(key=str(i), text=answer, answer=answer) for i, answer in enumerate(answers)]
    return metric, metric.sample_stats(samples, responses)


def confusion(share: float) -> np.ndarray:
    """Shares of the four cells: 40 % are gold positives, F1 is `share`, and as many are missed as falsely found."""
    wrong = 0.4 * (1 - share)
    return np.array([0.4 - wrong, wrong, wrong, 0.6 - wrong])


@functools.cache
def translated(share: float) -> np.ndarray:
    """Rows of BLEU for 4,000 made-up sentences of 8 to 40 words, `share` of whose words are right."""
    rng = np.random.default_rng(7)
    words = np.array([f"w{i}" for i in range(200)])
    samples, responses = [], []
    for i in range(4000):
        reference = rng.choice(words, int(rng.integers(8, 41)))
        keep = rng.random(reference.size) < rng.beta(10 * share, 10 * (1 - share))
        answer = np.where(keep, reference, rng.choice(words, reference.size))
        samples.append(Sample(id=str(i), digest="", prompt="", references=(" ".join(reference),)))
        responses.append(Response(key=str(i), text=" ".join(answer)))
    return Bleu(tokenize="none").sample_stats(samples, responses)


def clusters(n: int) -> list[str]:
    return [str(i // CLUSTER) for i in range(n)]


def shared(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    """(n,) the rate of each sample: that of its cluster, Beta with the intraclass correlation `ICC`."""
    ab = 1 / ICC - 1
    return np.repeat(rng.beta(share * ab, (1 - share) * ab, n // CLUSTER), CLUSTER)


# Tables

Contrast = Callable[[np.ndarray, np.ndarray | None, int], Interval]


def proportions(draws: int, seed: int) -> list[tuple[str, Tally]]:
    """All outcomes, each with its probability: nothing is drawn."""
    tally = Tally()
    for n, p in CELLS:
        for x in range(n + 1):
            weight = math.comb(n, x) * p**x * (1 - p) ** (n - x)
            found = summarize(Accuracy(), rows_of(np.arange(n) < x))
            half = 1.96 * math.sqrt(x * (n - x) / n**3)
            for method, interval in (
                (GIVEN, (found.low, found.high)),
                ("Wilson", wilson(x, n)),
                ("Clopper-Pearson", clopper_pearson(x, n)),
                ("Beta posterior (Jeffreys)", beta_posterior(x, n)),
                ("normal approximation (Wald)", (x / n - half, x / n + half)),
            ):
                tally.add(method, (n, p), interval, p, weight)
    return [("accuracy", tally)]


def drawn(
    metric: Metric,
    sample: Callable[[np.random.Generator, int, float], np.ndarray],
    truth: Callable[[float], float],
    contrasts: dict[str, Contrast],
    *,
    draws: int,
    seed: int,
    clustered: bool = False,
) -> Tally:
    """Intervals of `draws` samples a cell, each of them a set of rows of `metric`."""
    tally = Tally()
    for cell, (n, p) in enumerate(CELLS):
        rng = np.random.default_rng((seed, cell))
        names = clusters(n) if clustered else None
        codes = np.arange(n) // CLUSTER if clustered else None
        for draw in range(draws):
            rows = sample(rng, n, p)
            found = summarize(metric, rows, clusters=names, seed=draw)
            tally.add(GIVEN, (n, p), (found.low, found.high), truth(p))
            for method, interval in contrasts.items():
                if draw % EVERY == 0 or "bootstrap" not in method:
                    tally.add(method, (n, p), interval(rows, codes, draw), truth(p))
    return tally


def t_interval(rows: np.ndarray, codes: np.ndarray | None, draw: int) -> Interval:
    return mean_interval(rows[:, 1] / rows[:, 0], codes=codes)


def t_without_clusters(rows: np.ndarray, codes: np.ndarray | None, draw: int) -> Interval:
    return mean_interval(rows[:, 1] / rows[:, 0])


def resampled(metric: Metric, *, bca: bool) -> Contrast:
    def interval(rows: np.ndarray, codes: np.ndarray | None, draw: int) -> Interval:
        units = rows if codes is None else np.add.reduceat(rows, np.arange(0, len(rows), CLUSTER))
        found = replicates(units, metric.finalize, n_resamples=RESAMPLES, seed=draw)
        if not bca:
            return percentile_interval(found)
        return bca_interval(found, float(metric.finalize(rows.sum(axis=0))), jackknife(units, metric.finalize))

    return interval


def means(draws: int, seed: int) -> list[tuple[str, Tally]]:
    contrasts = {"Student's t": t_interval, "BCa bootstrap": resampled(TokenF1(), bca=True)}
    contrasts["percentile bootstrap"] = resampled(TokenF1(), bca=False)
    return [
        (
            title,
            drawn(
                TokenF1(),
                lambda rng, n, p, draw=draw: rows_of(draw(rng, n, p)),
                lambda p: p,
                contrasts,
                draws=draws,
                seed=seed,
            ),
        )
        for title, draw in (("mostly 1, the rest anywhere (token F1)", graded), ("about their mean (ROUGE)", narrow))
    ]


def in_clusters(draws: int, seed: int) -> list[tuple[str, Tally]]:
    def answers(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        return rows_of((rng.random(n) < shared(rng, n, p)).astype(float))

    def scores(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        # 1 with the cluster's rate, else anywhere below a half: a mean of r + (1 − r)/4.
        return rows_of(np.where(rng.random(n) < shared(rng, n, (p - 0.25) / 0.75), 1.0, 0.5 * rng.random(n)))

    def two_modes(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        # 1 − .2(1 − r) with the cluster's rate r, else .2r: a mean of r(.8 + .2r) + .2r(1 − r) = r.
        rates = shared(rng, n, p)
        return rows_of(np.where(rng.random(n) < rates, 1 - 0.2 * (1 - rates), 0.2 * rates))

    def two_levels(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        # About .99 with the cluster's rate, else about .3; the method was not chosen by these.
        right = rng.random(n) < shared(rng, n, (p - 0.3) / 0.69)
        return rows_of(np.where(right, 0.99, 0.3) + rng.uniform(-0.005, 0.005, n))

    def alike(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        # Beta about the cluster's own mean, which is Beta about `p`: close together, as ROUGE is.
        means = np.repeat(rng.beta(60 * p, 60 * (1 - p), n // CLUSTER), CLUSTER)
        return rows_of(rng.beta(30 * means, 30 * (1 - means)))

    def labels(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        _, four = labelled("F1")
        # A cluster's rate decides how its samples fall on the wrong cells; the cells' shares are those of `confusion`.
        cells = confusion(p)
        right = rng.random(n) < shared(rng, n, 1 - (cells[1] + cells[2]))
        kind = rng.choice([0, 3], n, p=cells[[0, 3]] / cells[[0, 3]].sum())
        return four[np.where(right, kind, rng.choice([1, 2], n))]

    def without(rows: np.ndarray, codes: np.ndarray | None, draw: int) -> Interval:
        return wilson(float(rows[:, 1].sum()), len(rows))

    def effective(rows: np.ndarray, codes: np.ndarray | None, draw: int) -> Interval:
        assert codes is not None
        return cluster_wilson(rows[:, 1], codes)

    setting = {"draws": draws, "seed": seed, "clustered": True}
    metric = labelled("F1")[0]
    return [
        (
            "accuracy",
            drawn(
                Accuracy(),
                answers,
                lambda p: p,
                {"cluster-Wilson": effective, "cluster-t": t_interval, "Wilson, clusters ignored": without},
                **setting,
            ),
        ),
        (
            "scores (token F1)",
            drawn(
                TokenF1(),
                scores,
                lambda p: p,
                {"cluster-t": t_interval, "t, clusters ignored": t_without_clusters},
                **setting,
            ),
        ),
        (
            "scores near both ends, none at them",
            drawn(TokenF1(), two_modes, lambda p: p, {"cluster-t": t_interval}, **setting),
        ),
        (
            "scores about .99 and about .3",
            drawn(TokenF1(), two_levels, lambda p: p, {"cluster-t": t_interval}, **setting),
        ),
        (
            "scores close together (ROUGE)",
            drawn(TokenF1(), alike, lambda p: p, {"cluster-t": t_interval}, **setting),
        ),
        (
            "F1",
            drawn(metric, labels, lambda p: p, {"cluster bootstrap, BCa": resampled(metric, bca=True)}, **setting),
        ),
    ]


def corpus(draws: int, seed: int) -> list[tuple[str, Tally]]:
    found = []
    for name in ("F1", "macro F1", "MCC"):
        metric, four = labelled(name)

        def cells(rng: np.random.Generator, n: int, p: float, four: np.ndarray = four) -> np.ndarray:
            return four[rng.choice(4, n, p=confusion(p))]

        def truth(p: float, metric: Metric = metric, four: np.ndarray = four) -> float:
            return float(metric.finalize(confusion(p) @ four))

        contrasts = {"BCa bootstrap": resampled(metric, bca=True), "percentile bootstrap": resampled(metric, bca=False)}
        found.append((name, drawn(metric, cells, truth, contrasts, draws=draws, seed=seed)))

    def sentences(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        return translated(p)[rng.integers(0, len(translated(p)), n)]

    bleu = Bleu(tokenize="none")
    contrasts = {"BCa bootstrap": resampled(bleu, bca=True), "percentile bootstrap": resampled(bleu, bca=False)}
    truths = {p: float(bleu.finalize(translated(p).sum(axis=0))) for p in SHARES}
    found.append(("BLEU", drawn(bleu, sentences, truths.__getitem__, contrasts, draws=draws, seed=seed)))
    return found


@functools.cache
def calibrated() -> tuple[Metric, np.ndarray]:
    """ECE over ten bins, and the rows of a right and a wrong answer of each confidence .505, .515, … .995."""
    metric = Ece(bins=10).for_task(("no", "yes"))
    samples, responses = [], []
    for i in range(100):
        confidence = 0.505 + 0.01 * (i // 2)
        said = {"yes": confidence, "no": 1 - confidence}
        samples.append(Sample(id=str(i), digest="", prompt="", target=("yes", "no")[i % 2]))
        responses.append(Response(key=str(i), answer="yes", label_probabilities=said))
    return metric, metric.sample_stats(samples, responses)


def calibration(draws: int, seed: int) -> list[tuple[str, Tally]]:
    """Models that say 1 − p too much of each of their answers, or ten times that of the surest tenth of them."""
    metric, rows = calibrated()
    said = 0.505 + 0.01 * np.arange(50)

    def too_sure(p: float) -> np.ndarray:
        return said - (1 - p)

    def surest(p: float) -> np.ndarray:
        return np.where(np.arange(50) >= 45, np.maximum(said - 10 * (1 - p), 0.0), said)

    def table(right: Callable[[float], np.ndarray]) -> Tally:
        def answers(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
            level = rng.integers(0, 50, n)
            return rows[2 * level + (rng.random(n) >= right(p)[level])]

        def truth(p: float) -> float:
            return float(metric.finalize((right(p)[:, None] * rows[::2] + (1 - right(p))[:, None] * rows[1::2]).sum(0)))

        contrasts = {"BCa bootstrap": resampled(metric, bca=True), "percentile bootstrap": resampled(metric, bca=False)}
        return drawn(metric, answers, truth, contrasts, draws=draws, seed=seed)

    return [("ECE, ten bins: 1 − p", table(too_sure)), ("ECE: of the surest tenth alone", table(surest))]


def paired(draws: int, seed: int) -> list[tuple[str, Tally]]:
    """Two runs on the same samples; 30 % of the answers were given anew, those of `accuracy` a little worse."""
    f1, four = labelled("F1")
    bleu = Bleu(tokenize="none")
    answers, scores, labels, texts = (Tally() for _ in range(4))
    for cell, (n, p) in enumerate(CELLS):
        rng = np.random.default_rng((seed, cell))
        # 60 % of the baseline's errors are right in the candidate, and so many answers and a fifth more are lost.
        gained, lost = 0.6 * (1 - p), 0.72 * (1 - p)
        for draw in range(draws):
            before = rng.random(n) < p
            flip = rng.random(n)
            after = np.where(before, flip >= lost / p, flip < gained / (1 - p))
            b, c, both = int((before & ~after).sum()), int((~before & after).sum()), int((before & after).sum())
            truth = lost - gained
            change = change_of(rows_of(after.astype(float)), rows_of(before.astype(float)), Accuracy(), draw)
            answers.add(GIVEN, (n, p), change, truth)
            answers.add("Newcombe, method 10", (n, p), newcombe(both, b, c, n - both - b - c), truth)
            answers.add("paired t", (n, p), mean_interval(before.astype(float) - after), truth)
            values = graded(rng, n, p)
            others = np.where(rng.random(n) < 0.3, graded(rng, n, p), values)
            scores.add(GIVEN, (n, p), change_of(rows_of(others), rows_of(values), TokenF1(), draw), 0.0)
            if draw % EVERY_PAIR:
                continue
            again = rng.random(n) < 0.3
            cells = rng.choice(4, n, p=confusion(p))
            others = np.where(again, rng.choice(4, n, p=confusion(p)), cells)
            paired_figures(labels, (n, p), f1, four[others], four[cells], draw)
            some = rng.integers(0, len(translated(p)), n)
            others = np.where(again, rng.integers(0, len(translated(p)), n), some)
            paired_figures(texts, (n, p), bleu, translated(p)[others], translated(p)[some], draw)
    return [("accuracy", answers), ("scores (token F1)", scores), ("F1", labels), ("BLEU", texts)]


def paired_figures(
    tally: Tally, cell: tuple[int, float], metric: Metric, current: np.ndarray, baseline: np.ndarray, draw: int
) -> None:
    tally.add(GIVEN, cell, change_of(current, baseline, metric, draw), 0.0)
    k = current.shape[1]
    rows = np.concatenate([current, baseline], axis=1)

    def difference(totals: np.ndarray) -> np.ndarray:
        return np.asarray(metric.finalize(totals[..., k:]) - metric.finalize(totals[..., :k]))

    found = replicates(rows, difference, n_resamples=RESAMPLES, seed=draw)
    tally.add("percentile bootstrap of pairs", cell, percentile_interval(found), 0.0)


def change_of(current: np.ndarray, baseline: np.ndarray, metric: Metric, draw: int) -> Interval:
    found = paired_change(current, baseline, metric, confidence=0.95, seed=draw)
    return found.low, found.high


# How many samples the clusters have, of `n` in all about
Sizes = Callable[[np.random.Generator, int], np.ndarray]


def scattered(rng: np.random.Generator, n: int) -> np.ndarray:
    """Most clusters small, few large: log-normal, 5 in the mean."""
    return np.maximum(1, np.round(5 * np.exp(rng.normal(-0.5, 1.0, n // 5)))).astype(int)


def one_large(rng: np.random.Generator, n: int) -> np.ndarray:
    """One cluster has a quarter of the samples, the others have four each."""
    return np.concatenate([[n // 4], np.full(n // 5 - 1, 4)])


def sizes(draws: int, seed: int) -> list[tuple[str, Tally]]:
    """Clusters of different sizes, and of other correlations, by which the method was not chosen."""

    def answers(rng: np.random.Generator, of: np.ndarray, p: float, icc: float) -> np.ndarray:
        ab = 1 / icc - 1
        rates = np.repeat(rng.beta(p * ab, (1 - p) * ab, len(of)), of)
        return (rng.random(of.sum()) < rates).astype(float)

    def alike(rng: np.random.Generator, of: np.ndarray, p: float, icc: float) -> np.ndarray:
        means = np.repeat(rng.beta(60 * p, 60 * (1 - p), len(of)), of)
        return rng.beta(30 * means, 30 * (1 - means))

    found = []
    for name, values, count, icc in (
        ("accuracy, sizes scattered, correlation 0.3", answers, scattered, 0.3),
        ("accuracy, sizes scattered, correlation 0.7", answers, scattered, 0.7),
        ("accuracy, one of a quarter, correlation 0.3", answers, one_large, 0.3),
        ("scores close together, sizes scattered", alike, scattered, 0.0),
        ("accuracy, one size, correlation 0.05", answers, lambda rng, n: np.full(n // 5, 5), 0.05),
        ("accuracy, one size, correlation 0.7", answers, lambda rng, n: np.full(n // 5, 5), 0.7),
    ):
        tally = Tally()
        for cell, (n, p) in enumerate(CELLS):
            rng = np.random.default_rng((seed, cell))
            for draw in range(draws):
                of = count(rng, n)
                rows = rows_of(values(rng, of, p, icc))
                codes = np.repeat(np.arange(len(of)), of)
                given = summarize(TokenF1(), rows, clusters=[str(code) for code in codes], seed=draw)
                tally.add(GIVEN, (n, p), (given.low, given.high), p)
                mean = float(rows[:, 1].mean())
                half = cluster_standard_error(rows[:, 1], codes) * math.sqrt(len(of) / (len(of) - 1))
                half *= t_quantile(0.975, len(of) - 1)
                tally.add("cluster-t, C − 1 degrees of freedom", (n, p), (mean - half, mean + half), p)
        found.append((name, tally))
    return found


def times(draws: int, seed: int) -> list[tuple[str, Tally]]:
    """Lognormal seconds: a column's spread of their logarithms stands in `SPREADS`."""

    def alone(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        return rows_of(np.exp(SPREADS[p] * rng.normal(size=n)))

    def in_fives(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
        # A share `ICC` of the variance is the cluster's.
        common = np.repeat(rng.normal(size=n // CLUSTER), CLUSTER)
        return rows_of(np.exp(SPREADS[p] * (math.sqrt(ICC) * common + math.sqrt(1 - ICC) * rng.normal(size=n))))

    def resampled_quantile(q: float) -> Contrast:
        def interval(rows: np.ndarray, codes: np.ndarray | None, draw: int) -> Interval:
            units = rows[:, 1].reshape(-1, 1 if codes is None else CLUSTER)
            drawn_units = units[np.random.default_rng(draw).integers(0, len(units), (RESAMPLES, len(units)))]
            return percentile_interval(np.quantile(drawn_units.reshape(RESAMPLES, -1), q, axis=1))

        return interval

    def mean(p: float) -> float:
        return math.exp(SPREADS[p] ** 2 / 2)

    def p95(p: float) -> float:
        return math.exp(SPREADS[p] * normal_quantile(0.95))

    found = []
    for where, sample, clustered in (("", alone, False), (f", in clusters of {CLUSTER}", in_fives, True)):
        setting = {"draws": draws, "seed": seed, "clustered": clustered}
        t = {"cluster-t" if clustered else "Student's t": t_interval}
        found.append((f"mean{where}", drawn(LatencyMean(), sample, mean, t, **setting)))
        for name, metric, truth, q in (
            ("median", LatencyP50(), lambda p: 1.0, 0.5),
            ("95th percentile", LatencyP95(), p95, 0.95),
        ):
            contrast = {"cluster bootstrap" if clustered else "percentile bootstrap": resampled_quantile(q)}
            found.append((f"{name}{where}", drawn(metric, sample, truth, contrast, **setting)))
    return found


SPREADS = {0.5: 0.5, 0.9: 1.0, 0.97: 1.5}
SECTIONS: dict[str, tuple[str, Callable[[int, int], list[tuple[str, Tally]]]]] = {
    "proportions": ("Proportions (all outcomes, by their probability)", proportions),
    "means": ("Means of scores between 0 and 1", means),
    "corpus": ("Corpus figures", corpus),
    "calibration": ("Calibration error", calibration),
    "clusters": (f"Samples in clusters of {CLUSTER}, intraclass correlation {ICC}", in_clusters),
    "times": ("Lognormal times, by the spread σ of their logarithms", times),
    "sizes": ("Clusters of other sizes and correlations", sizes),
    "paired": ("Differences of two runs on the same samples", paired),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/statistics.md")
    args = parser.parse_args()
    for section in args.only.split(","):
        title, tables = SECTIONS[section]
        began = time.perf_counter()
        header = [title, *(f"n={n}, {f'σ {SPREADS[p]:g}' if section == 'times' else f'{p:g}'}" for n, p in CELLS)]
        rows, missed = [], []
        for name, tally in tables(args.draws, args.seed):
            rows.append([f"**{name}**", *[""] * len(CELLS)])
            rows += tally.rows()
            missed += [f"{name} at n = {n}, p = {p:g}" for n, p in tally.missed()]
        table = markdown_table(header, rows)
        print(
            f"{table}\n\n{time.perf_counter() - began:.0f} s; misses the bar: {'; '.join(missed) or 'none'}\n",
            flush=True,
        )
        if args.write:
            replace_section(f"coverage_{section}", table, path=PAGE)


if __name__ == "__main__":
    main()
