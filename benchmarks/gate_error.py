"""How often a gate passes what just violates its rule, and how often it passes what it should.

    python benchmarks/gate_error.py                    # 10,000 releases a scenario; minutes on two cores
    python benchmarks/gate_error.py --releases 2000    # quicker
    python benchmarks/gate_error.py --write            # and writes the tables into RESULTS.md

Error: releases are drawn whose truth lies exactly at the margin (the worst case of "it is violated"), and decided by
the gate's own pure functions (`gate.evidence`, `gate.verdicts`); the share that passes must not exceed alpha, but for
the noise of the simulation. Power: releases as good as the baseline are drawn in the number that `stats.power` asks
for, beside what `evalharness plan` promises of that number (`gate.power_plan.found_power`).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.compare.planned import PlannedFigure
from evalharness.core.registry import registry
from evalharness.gate.evidence import absolute_evidence, paired_evidence
from evalharness.gate.power_plan import RuleTest, found_power
from evalharness.gate.simulated_power import Pool
from evalharness.gate.spread import Spread
from evalharness.gate.verdicts import Asked, Question, settle
from evalharness.stats.power import pairs_for_margin, samples_for_proportion
from evalharness.suite.schema import Rule

ALPHA = 0.05
Rng = np.random.Generator
# One release: draws it and says whether the rule passes.
Release = Callable[[Rng], bool]


@dataclass(frozen=True)
class Scenario:
    """What is drawn, and the share of releases that may (or should) pass."""

    table: str
    name: str
    release: Release
    promised: float
    # How many times fewer releases are drawn than elsewhere: resampling is dear.
    thinned: int = 1


def metric(name: str) -> Any:
    """A built-in metric with the labels a and b."""
    return registry("metrics").load(name)().for_task(("a", "b"))


def rows_of(values: Any) -> Any:
    """The statistics of a mean: n and the sum."""
    values = np.asarray(values, dtype=np.float64)
    return np.stack([np.ones_like(values), values], axis=1)


def passes(question: Question, evidence: Any, alpha: float = ALPHA) -> bool:
    """Whether the gate passes it, as `evaluate_gates` decides."""
    return settle([Asked(question, evidence)], alpha)[0].state == "pass"


def non_inferior(margin: float) -> Question:
    """The rule `non_inferior: {margin}`."""
    return Question(((-margin, "at_least"),))


def planned(name: str, n: int, distance: float, spread: Spread, **rule: Any) -> float:
    """The power that the plan promises `rule` on `n` samples of the metric `name`, `distance` beyond its limit."""
    asked = Rule.model_validate({"metric": f"t.{name}", **rule})
    figure = PlannedFigure("t", "m", name, metric(name), n)
    power = found_power(asked, figure, n, spread, RuleTest(ALPHA, 1, None), distance=distance).power
    assert power is not None
    return power


# ── pairs of right and wrong answers ──────────────────────────────────────────────────────────────────────────────────

_SEEN: dict[tuple[int, int, int, float], bool] = {}


def paired_binary(rng: Rng, *, n: int, discordance: float, margin: float, difference: float) -> bool:
    """Gains and losses in shares that differ by `difference`; equal counts are decided once."""
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    gains, losses, _ = (int(count) for count in rng.multinomial(n, [gain, loss, 1 - gain - loss]))
    key = gains, losses, n, margin
    if key not in _SEEN:
        current, baseline = np.zeros(n), np.zeros(n)
        current[:gains], baseline[gains : gains + losses] = 1, 1
        evidence = paired_evidence(metric("exact_match"), rows_of(current), rows_of(baseline))
        _SEEN[key] = passes(non_inferior(margin), evidence)
    return _SEEN[key]


def of_pairs() -> Iterator[Scenario]:
    """Error at the margin and power of paired proportions."""
    for discordance in (0.02, 0.05, 0.10):
        for n in (100, 300, 1000):
            for margin in (0.01, 0.02, 0.05):
                if margin <= discordance:
                    draw = partial(paired_binary, n=n, discordance=discordance, margin=margin, difference=-margin)
                    name = f"pairs, {discordance:.0%} differ, n = {n:,}, margin {margin:.0%}"
                    yield Scenario("error", name, draw, ALPHA)
    for discordance, margin in ((0.02, 0.01), (0.05, 0.01), (0.10, 0.01), (0.05, 0.02), (0.10, 0.02), (0.10, 0.05)):
        n = pairs_for_margin(margin, discordance, alpha=ALPHA, power=0.8)
        draw = partial(paired_binary, n=n, discordance=discordance, margin=margin, difference=0.0)
        name = f"pairs, {discordance:.0%} differ, n = {n:,}, margin {margin:.0%}"
        known = Spread(discordance, "", True, 0.0, discordance=discordance)
        promised = planned("exact_match", n, margin, known, non_inferior={"margin": margin})
        yield Scenario("power", name, draw, promised)


# ── one share ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_SHARES: dict[tuple[int, int, float], bool] = {}


def share(rng: Rng, *, n: int, truth: float, limit: float) -> bool:
    """Right answers out of `n`, and the rule at_least `limit`."""
    right = int(rng.binomial(n, truth))
    key = right, n, limit
    if key not in _SHARES:
        evidence = absolute_evidence(metric("exact_match"), rows_of(np.arange(n) < right))
        _SHARES[key] = passes(Question(((limit, "at_least"),)), evidence)
    return _SHARES[key]


def of_shares() -> Iterator[Scenario]:
    """Error and power of one proportion."""
    for truth in (0.5, 0.9, 0.97):
        for n in (30, 100, 300, 1000):
            yield Scenario("error", f"share {truth:g}, n = {n:,}", partial(share, n=n, truth=truth, limit=truth), ALPHA)
    for truth, limit in ((0.85, 0.8), (0.95, 0.93), (0.9, 0.85)):
        n = samples_for_proportion(truth, limit, alpha=ALPHA, power=0.8)
        known = Spread(truth * (1 - truth), "", True, truth)
        promised = planned("exact_match", n, truth - limit, known, at_least=limit)
        name = f"share {truth:g}, at least {limit:g}, n = {n:,}"
        yield Scenario("power", name, partial(share, n=n, truth=truth, limit=limit), promised)


# ── means ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def token_f1(rng: Rng, size: Any) -> Any:
    """What token F1 looks like: a fifth at 0, half at 1, the rest between. Its mean is 0.65."""
    kind = rng.random(size)
    return np.where(kind < 0.2, 0.0, np.where(kind < 0.7, 1.0, rng.uniform(0, 1, size)))


def repeats(rng: Rng, size: Any) -> Any:
    """Shares right of three tries at questions of unequal difficulty; mean 0.8."""
    return rng.binomial(3, rng.beta(4, 1, size)) / 3


def latencies(rng: Rng, size: Any) -> Any:
    """Seconds with a long tail; mean 1."""
    return rng.lognormal(-0.32, 0.8, size)


def mean_at_least(rng: Rng, *, n: int, draw: Callable[[Rng, Any], Any], truth: float) -> bool:
    """The rule at_least the truth."""
    evidence = absolute_evidence(metric("token_f1"), rows_of(draw(rng, n)))
    return passes(Question(((truth, "at_least"),)), evidence)


def mean_at_most(rng: Rng, *, n: int) -> bool:
    """The rule at_most the truth, on the side of the long tail."""
    evidence = absolute_evidence(metric("latency_mean_s"), rows_of(latencies(rng, n)))
    return passes(Question(((1.0, "at_most"),)), evidence)


def rouge_pairs(rng: Rng, *, n: int, margin: float, difference: float, changed: float = 0.4) -> bool:
    """The rule `non_inferior` on pairs of `changed_scores`."""
    after, before = changed_scores(rng, n, difference, changed)
    return passes(non_inferior(margin), paired_evidence(metric("token_f1"), after, before))


def changed_scores(rng: Rng, n: int, difference: float = 0.0, changed: float = 0.4) -> tuple[Any, Any]:
    """Rows of which a share changes by some 0.1, and which moved by `difference` on average; and those before."""
    before = rng.beta(4, 4, n) * 0.6 + 0.2
    moved = rng.random(n) < changed
    after = before + np.where(moved, rng.uniform(-0.17, 0.17, n) + difference / changed, 0.0)
    return rows_of(after), rows_of(before)


def rare_losses(rng: Rng, *, n: int, margin: float, rate: float) -> bool:
    """A share `rate` of answers loses much, which adds up to the margin; many others change a little."""
    before = np.full(n, 0.7)
    lost = rng.random(n) < rate
    after = before + np.where(lost, -margin / rate, rng.normal(0, 0.01, n))
    return passes(non_inferior(margin), paired_evidence(metric("token_f1"), rows_of(after), rows_of(before)))


def of_means() -> Iterator[Scenario]:
    """Error and power of means, ties and repeats included."""
    for n in (30, 100, 300, 1000):
        yield Scenario(
            "error", f"mean of token F1, n = {n:,}", partial(mean_at_least, n=n, draw=token_f1, truth=0.65), ALPHA
        )
    for n in (30, 100, 300):
        yield Scenario(
            "error", f"mean of 3 repeats, n = {n:,}", partial(mean_at_least, n=n, draw=repeats, truth=0.8), ALPHA
        )
    for n in (100, 300, 1000):
        yield Scenario("error", f"mean latency (long tail), at most, n = {n:,}", partial(mean_at_most, n=n), ALPHA)
    for n in (30, 100, 300, 1000):
        draw = partial(rouge_pairs, n=n, margin=0.01, difference=-0.01)
        yield Scenario("error", f"paired scores, 60 % ties, n = {n:,}", draw, ALPHA)
    for n, rate in ((100, 0.1), (300, 0.05), (300, 0.02), (1000, 0.02)):
        draw = partial(rare_losses, n=n, margin=0.01, rate=rate)
        yield Scenario("error", f"paired scores, {rate:.0%} lose {0.01 / rate:.2g}, n = {n:,}", draw, ALPHA)
    variance = 0.4 * 0.17**2 / 3
    n = pairs_for_margin(0.005, variance, alpha=ALPHA, power=0.8)
    draw = partial(rouge_pairs, n=n, margin=0.005, difference=0.0)
    # What an earlier run of 10,000 such pairs would tell.
    after, before = changed_scores(np.random.default_rng(12345), 10_000)
    known = Spread(variance, "", True, 0.0, pool=Pool(after, before, (None,) * 10_000))
    promised = planned("token_f1", n, 0.005, known, non_inferior={"margin": 0.005})
    yield Scenario("power", f"paired scores, 60 % ties, n = {n:,}, margin 0.005", draw, promised)


# ── clusters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def names(n_clusters: int, size: int) -> list[str | None]:
    """The cluster of each sample."""
    return [f"c{i // size}" for i in range(n_clusters * size)]


def clustered_share(rng: Rng, *, n_clusters: int, size: int, truth: float, spread: float) -> bool:
    """Answers of clusters whose own rates scatter (beta, intraclass correlation `spread`)."""
    total = 1 / spread - 1
    rates = rng.beta(truth * total, (1 - truth) * total, n_clusters)
    right = (rng.random((n_clusters, size)) < rates[:, None]).ravel()
    evidence = absolute_evidence(metric("exact_match"), rows_of(right), clusters=names(n_clusters, size))
    return passes(Question(((truth, "at_least"),)), evidence)


def clustered_pairs(rng: Rng, *, n_clusters: int, size: int, margin: float) -> bool:
    """Pairs whose gains and losses come in clusters."""
    shift = rng.normal(0, 0.02, n_clusters)[:, None]
    draw = rng.random((n_clusters, size))
    loss, gain = np.clip(0.08 + margin / 2 + shift, 0, 0.5), np.clip(0.08 - margin / 2 - shift, 0, 0.5)
    current = np.where(draw < loss, 0.0, 1.0).ravel()
    baseline = np.where(draw > 1 - gain, 0.0, 1.0).ravel()
    evidence = paired_evidence(
        metric("exact_match"), rows_of(current), rows_of(baseline), clusters=names(n_clusters, size)
    )
    return passes(non_inferior(margin), evidence)


def scattered(rng: Rng, n_clusters: int) -> tuple[Any, list[str | None]]:
    """The cluster of each sample, by number and by name: most clusters small, few large, 5 in the mean."""
    sizes = np.maximum(1, np.round(5 * np.exp(rng.normal(-0.5, 1.0, n_clusters)))).astype(int)
    codes = np.repeat(np.arange(n_clusters), sizes)
    return codes, [f"c{code}" for code in codes]


def scattered_share(rng: Rng, *, n_clusters: int, truth: float, spread: float) -> bool:
    """As `clustered_share`, in clusters of very different sizes."""
    codes, of = scattered(rng, n_clusters)
    total = 1 / spread - 1
    rates = rng.beta(truth * total, (1 - truth) * total, n_clusters)[codes]
    evidence = absolute_evidence(metric("exact_match"), rows_of(rng.random(len(codes)) < rates), clusters=of)
    return passes(Question(((truth, "at_least"),)), evidence)


def scattered_pairs(rng: Rng, *, n_clusters: int, margin: float) -> bool:
    """Scores of pairs whose differences their cluster shares, in clusters of very different sizes."""
    codes, of = scattered(rng, n_clusters)
    before = rng.uniform(0.3, 0.7, len(codes))
    after = before - margin + rng.normal(0, 0.05, n_clusters)[codes] + rng.normal(0, 0.03, len(codes))
    found = paired_evidence(metric("token_f1"), rows_of(np.clip(after, 0, 1)), rows_of(before), clusters=of)
    return passes(non_inferior(margin), found)


def of_clusters() -> Iterator[Scenario]:
    """Error where samples come in clusters."""
    for n_clusters in (20, 60):
        for truth, spread in ((0.8, 0.3), (0.5, 0.7)):
            draw = partial(scattered_share, n_clusters=n_clusters, truth=truth, spread=spread)
            name = f"share {truth:g} in {n_clusters} clusters of 1 to some 30, correlation {spread:g}"
            yield Scenario("error", name, draw, ALPHA)
        draw = partial(scattered_pairs, n_clusters=n_clusters, margin=0.02)
        yield Scenario("error", f"paired scores in {n_clusters} clusters of 1 to some 30, margin 2%", draw, ALPHA)
    for n_clusters, size in ((20, 10), (40, 5), (100, 5)):
        for truth, spread in ((0.8, 0.1), (0.8, 0.3), (0.95, 0.2)):
            draw = partial(clustered_share, n_clusters=n_clusters, size=size, truth=truth, spread=spread)
            name = f"share {truth:g} in {n_clusters} clusters of {size}, correlation {spread:g}"
            yield Scenario("error", name, draw, ALPHA)
    for n_clusters, size in ((20, 10), (40, 10), (100, 5)):
        draw = partial(clustered_pairs, n_clusters=n_clusters, size=size, margin=0.02)
        yield Scenario("error", f"pairs in {n_clusters} clusters of {size}, margin 2%", draw, ALPHA)


# ── functions of totals and of rows ───────────────────────────────────────────────────────────────────────────────────


def confusion(rng: Rng, n: int, right: float, targets: Any) -> Any:
    """Rows of a classifier's answers of which the share `right` is right."""
    from evalharness.core.types import Response, Sample

    good = rng.random(n) < right
    answers = np.where(good, targets, 1 - targets)
    labels = ("a", "b")
    samples = [Sample(str(i), str(i), "", target=labels[t]) for i, t in enumerate(targets.tolist())]
    responses = [Response(str(i), text=labels[a], answer=labels[a]) for i, a in enumerate(answers.tolist())]
    return samples, responses


def f1_share(rng: Rng, *, n: int, right: float) -> bool:
    """Macro-F1 of balanced labels, whose truth is the share right."""
    found = metric("f1_macro")
    samples, responses = confusion(rng, n, right, np.arange(n) % 2)
    evidence = absolute_evidence(found, found.sample_stats(samples, responses))
    return passes(Question(((right, "at_least"),)), evidence)


def f1_pairs(rng: Rng, *, n: int, margin: float) -> bool:
    """Macro-F1 of two runs that are right independently of each other, one worse by the margin."""
    found = metric("f1_macro")
    targets = np.arange(n) % 2
    before = found.sample_stats(*confusion(rng, n, 0.85, targets))
    after = found.sample_stats(*confusion(rng, n, 0.85 - margin, targets))
    return passes(non_inferior(margin), paired_evidence(found, after, before))


def tail_latency(rng: Rng, *, n: int) -> bool:
    """The 95th percentile, at most its truth."""
    truth = math.exp(-0.32 + 0.8 * 1.6448536269514722)
    evidence = absolute_evidence(metric("latency_p95_s"), rows_of(latencies(rng, n)))
    return passes(Question(((truth, "at_most"),)), evidence)


def of_functions() -> Iterator[Scenario]:
    """Error of corpus metrics and of quantiles."""
    for n in (100, 300):
        yield Scenario("error", f"macro-F1 (bootstrap), n = {n:,}", partial(f1_share, n=n, right=0.85), ALPHA, 5)
        draw = partial(f1_pairs, n=n, margin=0.02)
        yield Scenario("error", f"macro-F1, paired (bootstrap), n = {n:,}, margin 2%", draw, ALPHA, 5)
    for n in (100, 300, 1000):
        yield Scenario("error", f"95th percentile of latency, n = {n:,}", partial(tail_latency, n=n), ALPHA)


# ── several rules ─────────────────────────────────────────────────────────────────────────────────────────────────────


def family(rng: Rng, *, m: int, shared: float) -> bool:
    """Whether any of `m` rules passes, all of them at the margin; `shared` is the correlation of their figures."""
    common = rng.standard_normal((300, 1))
    values = 9 + math.sqrt(shared) * common + math.sqrt(1 - shared) * rng.standard_normal((300, m))
    found = metric("latency_mean_s")
    asked = [Asked(Question(((9.0, "at_least"),)), absolute_evidence(found, rows_of(values[:, i]))) for i in range(m)]
    return any(one.state == "pass" for one in settle(asked, ALPHA, "holm"))


def of_families() -> Iterator[Scenario]:
    """Holm's family-wise error."""
    for m, shared in ((3, 0.0), (10, 0.0), (10, 0.6)):
        name = f"any of {m} rules (Holm), correlation {shared:g}"
        yield Scenario("error", name, partial(family, m=m, shared=shared), ALPHA, 2)


# ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def scenarios() -> list[Scenario]:
    """All of them, the same at every call."""
    parts = (of_pairs, of_shares, of_means, of_clusters, of_functions, of_families)
    return [scenario for part in parts for scenario in part()]


def measured(index: int, releases: int, seed: int) -> tuple[int, int]:
    """(how many passed, of how many) in scenario `index`."""
    scenario = scenarios()[index]
    n = max(releases // scenario.thinned, 100)
    rng = np.random.default_rng([seed, index])
    return sum(scenario.release(rng) for _ in range(n)), n


def main() -> None:
    """Runs the scenarios and prints, or writes, the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--releases", type=int, default=10_000, help="simulated releases a scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=None, help="processes (default: all cores)")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--write", action="store_true", help="write the tables into RESULTS.md")
    args = parser.parse_args()
    chosen = [i for i, scenario in enumerate(scenarios()) if args.only in scenario.name]
    with ProcessPoolExecutor(args.workers) as pool:
        found = list(pool.map(partial(measured, releases=args.releases, seed=args.seed), chosen))
    text = report([scenarios()[i] for i in chosen], found, args.releases)
    print(text)
    if args.write:
        replace_section("gate_error", text)


def report(chosen: list[Scenario], found: list[tuple[int, int]], releases: int) -> str:
    """The tables of errors and of power, with what the simulation's noise allows."""
    errors, powers, worst = [], [], 0.0
    for scenario, (passed, n) in zip(chosen, found, strict=True):
        rate = passed / n
        noise = 1.96 * math.sqrt(scenario.promised * (1 - scenario.promised) / n)
        if scenario.table == "error":
            worst = max(worst, rate - noise)
            errors.append((scenario.name, f"{n:,}", f"{rate:.2%}", "yes" if rate <= ALPHA + noise else "NO"))
        else:
            gap = 100 * (rate - scenario.promised)
            powers.append((scenario.name, f"{n:,}", f"{scenario.promised:.1%}", f"{rate:.1%}", f"{gap:+.1f}"))
    return "\n".join(
        [
            "## Errors and power of the gate",
            "",
            f"`python benchmarks/gate_error.py`: {releases:,} simulated releases a scenario (fewer where resampling "
            f"decides), alpha {ALPHA:g}; {machine()}.",
            "",
            "Passed although the truth lies at the margin, which is violated (to be no more than 5 %, but for the "
            "simulation's noise):",
            "",
            markdown_table(["scenario", "releases", "passed", "within alpha"], errors),
            "",
            "Passed where candidate and baseline are equally good (or the figure as good as named), in the number of "
            "samples that the normal approximation asks for; promised is what `evalharness plan` says of that number:",
            "",
            markdown_table(["scenario", "releases", "promised", "passed", "points"], powers),
        ]
    )


if __name__ == "__main__":
    main()
