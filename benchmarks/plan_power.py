"""The power that `evalharness plan` promises beside how often the gate passes, over worlds of many kinds.

    python benchmarks/plan_power.py                   # minutes on one core
    python benchmarks/plan_power.py --releases 500    # quicker
    python benchmarks/plan_power.py --write           # and writes the table into RESULTS.md

The promise is that of `gate.power_plan.found_power` for a world that an earlier run has told: the share of pairs that
differ, or 10,000 rows (in clusters: as many clusters) of it. Then new releases are drawn from the world itself, and
decided by the gate's functions (`gate.evidence`, `gate.verdicts`, of runs that stop `compare.sequential`). The two are
to lie within 3 points, but for the noise of the simulation. Rules of a family are held to the first level of Holm's,
which is the one that is planned.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.compare.planned import PlannedFigure
from evalharness.compare.sequential import Design, LookedRule, LookedRules
from evalharness.core.registry import registry
from evalharness.gate.evidence import Evidence, absolute_evidence, paired_evidence
from evalharness.gate.paired_cases import question_of
from evalharness.gate.power_plan import RuleTest, found_power
from evalharness.gate.simulated_power import Pool
from evalharness.gate.spread import Spread
from evalharness.gate.verdicts import Question
from evalharness.stats.bootstrap import cluster_totals, jackknife
from evalharness.suite.schema import Rule, StopWhenDecided

Rng = np.random.Generator
_POOL, _SIZED = 10_000, 100


class Drawn(NamedTuple):
    """The rows of a run, those of its baseline, and how many samples each cluster has (0: none)."""

    current: Any
    baseline: Any = None
    cluster: int = 0


@dataclass(frozen=True)
class World:
    """A rule of so many samples, what `draw` makes of them, and how far beyond its limit the truth lies."""

    name: str
    metric: str
    rule: dict[str, Any]
    n: int
    draw: Callable[[Rng, int], Drawn]
    truth: float
    alpha: float = 0.05
    among: int = 1
    stop: dict[str, Any] | None = None
    thinned: int = 1


@lru_cache
def metric(name: str) -> Any:
    """A built-in metric with the labels a and b."""
    options = {"positive": "b"} if name == "auroc" else {}
    return registry("metrics").load(name)(**options).for_task(("a", "b"))


def rows_of(values: Any) -> Any:
    """The statistics of a mean: n and the sum."""
    values = np.asarray(values, dtype=np.float64)
    return np.stack([np.ones_like(values), values], axis=1)


# ── what is drawn ─────────────────────────────────────────────────────────────────────────────────────────────────────


def share(rng: Rng, n: int, *, p: float) -> Drawn:
    """Right and wrong answers."""
    return Drawn(rows_of(rng.random(n) < p))


def pairs(rng: Rng, n: int, *, p: float, differ: float, gain: float = 0.0) -> Drawn:
    """Answers right with `p` before, of which a share differs."""
    kind = rng.random(n)
    before = np.where(kind < (differ + gain) / 2, 0, np.where(kind < differ, 1, rng.random(n) < p))
    after = np.where(kind < differ, 1 - before, before)
    return Drawn(rows_of(after), rows_of(before))


def clustered_share(rng: Rng, n: int, *, p: float, correlation: float, size: int) -> Drawn:
    """Answers whose clusters have rates of their own (beta)."""
    total = 1 / correlation - 1
    rates = np.repeat(rng.beta(p * total, (1 - p) * total, n // size), size)
    return Drawn(rows_of(rng.random(len(rates)) < rates), None, size)


def clustered_pairs(rng: Rng, n: int, *, size: int) -> Drawn:
    """Pairs whose losses and gains come in clusters."""
    shift = np.repeat(rng.normal(0, 0.03, n // size), size)
    draw = rng.random(len(shift))
    after = np.where(draw < np.clip(0.08 + shift, 0, 0.5), 0.0, 1.0)
    before = np.where(draw > 1 - np.clip(0.08 - shift, 0, 0.5), 0.0, 1.0)
    return Drawn(rows_of(after), rows_of(before), size)


def clustered_scores(rng: Rng, n: int, *, size: int) -> Drawn:
    """Scores within (0, 1) that clusters share a part of."""
    common = np.repeat(rng.normal(0, 0.1, n // size), size)
    return Drawn(rows_of(np.clip(0.6 + common + rng.normal(0, 0.15, len(common)), 0, 1)), None, size)


def f1_scores(rng: Rng, n: int) -> Drawn:
    """A fifth at 0, half at 1, the rest between; mean 0.65."""
    kind = rng.random(n)
    return Drawn(rows_of(np.where(kind < 0.2, 0.0, np.where(kind < 0.7, 1.0, rng.uniform(0, 1, n)))))


def high_scores(rng: Rng, n: int) -> Drawn:
    """Mostly 1, a tenth anywhere; mean 0.95."""
    return Drawn(rows_of(np.where(rng.random(n) < 0.9, 1.0, rng.uniform(0, 1, n))))


def repeated(rng: Rng, n: int) -> Drawn:
    """Shares right of three tries at questions of unequal difficulty; mean 0.8."""
    return Drawn(rows_of(rng.binomial(3, rng.beta(4, 1, n)) / 3))


def seconds(rng: Rng, n: int) -> Drawn:
    """Latencies with a long tail; mean 1."""
    return Drawn(rows_of(rng.lognormal(-0.32, 0.8, n)))


def changed_scores(rng: Rng, n: int) -> Drawn:
    """Pairs of scores of which two fifths change by up to 0.17."""
    before = rng.beta(4, 4, n) * 0.6 + 0.2
    return Drawn(rows_of(before + np.where(rng.random(n) < 0.4, rng.uniform(-0.17, 0.17, n), 0.0)), rows_of(before))


def rare_losses(rng: Rng, n: int) -> Drawn:
    """One in twenty loses 0.4, which the others make up for."""
    before = np.full(n, 0.5)
    lost = rng.random(n) < 0.05
    after = before + np.where(lost, -0.4, 0.4 * 0.05 / 0.95 + rng.normal(0, 0.03, n))
    return Drawn(rows_of(after), rows_of(before))


@lru_cache
def _labels(name: str) -> Any:
    """The rows of the four outcomes: target and answer, each a or b."""
    from evalharness.core.types import Response, Sample

    found = metric(name)
    cases = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    samples = [Sample(str(i), str(i), "", target=target) for i, (target, _) in enumerate(cases)]
    answers = [Response(str(i), text=answer, answer=answer) for i, (_, answer) in enumerate(cases)]
    return found.sample_stats(samples, answers)


def labels(rng: Rng, n: int, *, right: float = 0.85, both: bool = False) -> Drawn:
    """A classifier's answers to balanced labels; with `both` those of two that are right apart from each other."""
    target = np.arange(n) % 2
    runs = [_labels("f1_macro")[2 * target + (target ^ (rng.random(n) >= right))] for _ in range(1 + both)]
    return Drawn(runs[0], runs[1] if both else None)


def scored(rng: Rng, n: int, *, positives: float) -> Drawn:
    """Targets and scores of which the positives' lie 1.5 SD higher; AUROC 0.856."""
    target = rng.random(n) < positives
    chance = 1 / (1 + np.exp(-(rng.normal(0, 1, n) + 1.5 * target - 1)))
    return Drawn(np.stack([np.ones(n), ~target, target, 1 - chance, chance], axis=1).astype(np.float64))


def bleu_rows(rng: Rng, n: int, *, both: bool = False) -> Drawn:
    """BLEU's counts of sentences whose words match more or less often."""
    width = len(metric("bleu").columns)
    length = rng.integers(8, 30, n)

    def run() -> Any:
        rate = rng.beta(6, 4, n)
        found = np.zeros((n, width))
        columns = list(metric("bleu").columns)
        for order in range(1, 5):
            total = np.maximum(length - order + 1, 0)
            found[:, columns.index(f"matches_{order}")] = rng.binomial(total, rate**order)
            found[:, columns.index(f"ngrams_{order}")] = total
        found[:, columns.index("n")] = 1
        found[:, columns.index("answer_length")] = length
        found[:, columns.index("reference_length")] = length
        return found

    return Drawn(run(), run() if both else None)


# ── the worlds ────────────────────────────────────────────────────────────────────────────────────────────────────────

OBF: dict[str, Any] = {"looks": 5}
BLIND: dict[str, Any] = {"looks": 4, "futility": False}
POCOCK: dict[str, Any] = {"looks": 3, "spending": "pocock"}


def worlds() -> Iterator[World]:
    """All of them, the same at every call."""
    rule: dict[str, Any]
    for p, limit, n in ((0.6, 0.5, 60), (0.9, 0.8, 60), (0.97, 0.9, 60), (0.99, 0.95, 200), (0.93, 0.9, 700)):
        yield World(f"share {p:g}, at least {limit:g}", "exact_match", {"at_least": limit}, n, partial(share, p=p), p)
    yield World("share 0.02, at most 0.05", "exact_match", {"at_most": 0.05}, 300, partial(share, p=0.02), 0.02)
    yield World("share 0.9, at least 0.8", "exact_match", {"at_least": 0.8}, 100, partial(share, p=0.9), 0.9, among=4)
    for n, differ, margin, among in (
        (20, 0.1, 0.25, 1),
        (60, 0.03, 0.05, 1),
        (160, 0.08, 0.05, 1),
        (300, 0.01, 0.01, 1),
        (300, 0.02, 0.02, 4),
        (700, 0.01, 0.01, 2),
        (1_000, 0.05, 0.02, 5),
        (1_000, 0.3, 0.05, 2),
        (5_000, 0.02, 0.005, 1),
        (5_000, 0.3, 0.02, 1),
    ):
        draw = partial(pairs, p=0.9, differ=differ)
        name = f"pairs, {differ:.0%} differ, non-inferior within {margin:g}"
        yield World(name, "exact_match", {"non_inferior": {"margin": margin}}, n, draw, 0.0, among=among)
    for n, differ, margin, among in ((100, 0.05, 0.08, 1), (300, 0.02, 0.03, 2), (1_000, 0.2, 0.05, 1)):
        draw = partial(pairs, p=0.8, differ=differ)
        name = f"pairs, {differ:.0%} differ, equivalent within {margin:g}"
        yield World(name, "exact_match", {"equivalent": {"margin": margin}}, n, draw, 0.0, among=among)
    for n, differ, drop in ((200, 0.06, 0.06), (1_000, 0.1, 0.04)):
        draw = partial(pairs, p=0.8, differ=differ)
        rule = {"max_relative_drop": drop}
        yield World(f"pairs, {differ:.0%} differ, drop by {drop:.0%}", "exact_match", rule, n, draw, 0.0)
    for p, limit, n, size, correlation in (
        (0.8, 0.65, 100, 5, 0.3),
        (0.8, 0.7, 300, 5, 0.2),
        (0.95, 0.85, 200, 10, 0.1),
        (0.9, 0.85, 1_000, 5, 0.3),
    ):
        draw = partial(clustered_share, p=p, correlation=correlation, size=size)
        name = f"share {p:g} in {n // size} clusters, at least {limit:g}"
        yield World(name, "exact_match", {"at_least": limit}, n, draw, p)
    for n, size, margin in ((200, 10, 0.08), (500, 5, 0.05)):
        draw = partial(clustered_pairs, size=size)
        yield World(
            f"pairs in {n // size} clusters, within {margin:g}", "exact_match", {"max_regression": margin}, n, draw, 0.0
        )
    for n, limit, among in ((60, 0.5, 1), (300, 0.56, 4)):
        name = f"scores in {n // 5} clusters, at least {limit:g}"
        yield World(name, "token_f1", {"at_least": limit}, n, partial(clustered_scores, size=5), 0.6, among=among)
    for n, limit, among in ((20, 0.4, 1), (20, 0.35, 4), (100, 0.55, 1), (1_000, 0.62, 1)):
        yield World(
            f"token F1 .65, at least {limit:g}", "token_f1", {"at_least": limit}, n, f1_scores, 0.65, among=among
        )
    for n, limit in ((30, 0.75), (60, 0.88), (300, 0.93)):
        yield World(f"scores mostly 1, at least {limit:g}", "token_f1", {"at_least": limit}, n, high_scores, 0.95)
    yield World("three repeats, at least 0.72", "exact_match", {"at_least": 0.72}, 100, repeated, 0.8)
    for n, limit in ((50, 1.4), (300, 1.15)):
        yield World(f"mean latency, at most {limit:g}", "latency_mean_s", {"at_most": limit}, n, seconds, 1.0)
    for n, margin, among in ((20, 0.05, 1), (60, 0.02, 1), (300, 0.01, 5)):
        rule = {"non_inferior": {"margin": margin}}
        yield World(
            f"paired scores, 60 % ties, within {margin:g}", "token_f1", rule, n, changed_scores, 0.0, among=among
        )
    yield World(
        "paired scores, equivalent within 0.02", "token_f1", {"equivalent": {"margin": 0.02}}, 120, changed_scores, 0.0
    )
    yield World("paired scores, drop by 4 %", "token_f1", {"max_relative_drop": 0.04}, 60, changed_scores, 0.0)
    for n, margin in ((60, 0.05), (300, 0.015)):
        rule = {"non_inferior": {"margin": margin}}
        yield World(f"paired scores, rare losses, within {margin:g}", "token_f1", rule, n, rare_losses, 0.0)
    yield World("macro-F1 .85, at least 0.75", "f1_macro", {"at_least": 0.75}, 100, labels, 0.85, thinned=4)
    yield World("macro-F1 .85, at least 0.8", "f1_macro", {"at_least": 0.8}, 300, labels, 0.85, thinned=4)
    both = partial(labels, both=True)
    rule = {"non_inferior": {"margin": 0.06}}
    yield World("macro-F1 of two runs, within 0.06", "f1_macro", rule, 400, both, 0.0, thinned=4)
    for n, positives in ((100, 0.5), (300, 0.1)):
        draw = partial(scored, positives=positives)
        name = f"AUROC .856, {positives:.0%} positive, at least 0.75"
        yield World(name, "auroc", {"at_least": 0.75}, n, draw, 0.8556, thinned=2)
    yield World(
        "corpus BLEU, two runs, within 3",
        "bleu",
        {"non_inferior": {"margin": 3.0}},
        200,
        partial(bleu_rows, both=True),
        0.0,
        thinned=8,
    )
    for name, stop in (("O'Brien-Fleming, 5", OBF), ("4 looks, no futility", BLIND), ("Pocock, 3", POCOCK)):
        for n, p, limit in ((60, 0.95, 0.85), (400, 0.8, 0.75)):
            draw = partial(share, p=p)
            yield World(
                f"{name}: share {p:g}, at least {limit:g}", "exact_match", {"at_least": limit}, n, draw, p, stop=stop
            )
        for n, differ, margin, among in ((200, 0.05, 0.05, 1), (600, 0.02, 0.02, 2), (1_200, 0.1, 0.03, 1)):
            draw = partial(pairs, p=0.9, differ=differ)
            rule = {"non_inferior": {"margin": margin}}
            yield World(
                f"{name}: pairs, {differ:.0%} differ, within {margin:g}",
                "exact_match",
                rule,
                n,
                draw,
                0.0,
                among=among,
                stop=stop,
            )
        yield World(
            f"{name}: token F1 .65, at least 0.55",
            "token_f1",
            {"at_least": 0.55},
            120,
            f1_scores,
            0.65,
            stop=stop,
            thinned=2,
        )
        rule = {"non_inferior": {"margin": 0.015}}
        yield World(
            f"{name}: paired scores, within 0.015", "token_f1", rule, 200, changed_scores, 0.0, stop=stop, thinned=2
        )
    draw = partial(pairs, p=0.9, differ=0.1)
    yield World(
        "O'Brien-Fleming, 5: pairs, 10% differ, equivalent within 0.05",
        "exact_match",
        {"equivalent": {"margin": 0.05}},
        500,
        draw,
        0.0,
        stop=OBF,
    )
    draw = partial(clustered_share, p=0.8, correlation=0.2, size=5)
    yield World(
        "O'Brien-Fleming, 5: share 0.8 in 80 clusters, at least 0.7",
        "exact_match",
        {"at_least": 0.7},
        400,
        draw,
        0.8,
        stop=OBF,
        thinned=2,
    )


# ── promised, and passed ──────────────────────────────────────────────────────────────────────────────────────────────


def clusters_of(drawn: Drawn) -> list[str | None]:
    """The cluster of each sample; None where it stands alone."""
    n = len(drawn.current)
    return [f"c{i // drawn.cluster}" for i in range(n)] if drawn.cluster else [None] * n


def spread_of_world(world: World, rule: Rule, found: Any) -> Spread:
    """What an earlier run of the world says, as `gate.spread` makes it."""
    rng = np.random.default_rng(12345)
    # 2,000 clusters of five tell a rate of 0.8 only to 0.6 points, which moves the power of 100 such answers by 4.
    size = _POOL * max(world.draw(rng, _SIZED).cluster, 1)
    drawn = world.draw(rng, size)
    names = clusters_of(drawn)
    pool = Pool(drawn.current, drawn.baseline, tuple(names))
    sign = 1.0 if found.higher_is_better else -1.0
    relative = rule.number if rule.kind == "max_relative_drop" else 0.0
    runs = [drawn.current] if drawn.baseline is None else [drawn.current, drawn.baseline]
    codes = np.arange(size) // drawn.cluster if drawn.cluster else None
    if getattr(found, "interval_rows", None) is not None:
        low, high = found.interval_rows(drawn.current[:2_000], confidence=0.95)[:2]
        return Spread(2_000 * ((high - low) / 3.92) ** 2, "", True, world.truth, pool=pool)
    units = [run if codes is None else cluster_totals(run, codes) for run in runs]
    left = [jackknife(unit, found.finalize) for unit in units]
    figures = left[0] if len(left) == 1 else sign * (left[0] - (1 - sign * relative) * left[1])
    c = len(figures)
    variance = float(size * (c - 1) / c * np.sum((figures - figures.mean()) ** 2))
    if drawn.baseline is None:
        return Spread(variance, "", True, world.truth, clustered=drawn.cluster > 0, pool=pool)
    before = float(found.finalize(drawn.baseline.sum(axis=0)[None])[0])
    differ = float((drawn.current != drawn.baseline).any(axis=1).mean())
    if isinstance(world.draw, partial) and world.draw.func is pairs:
        differ = world.draw.keywords["differ"]
    clustered = drawn.cluster > 0
    return Spread(variance, "", True, 0.0, before, clustered=clustered, discordance=differ, pool=pool)


def promised(world: World, rule: Rule, found: Any) -> float:
    """The power that the plan states."""
    spread = spread_of_world(world, rule, found)
    stop = None if world.stop is None else StopWhenDecided.model_validate(world.stop)
    repeats = 3 if world.draw is repeated else 1
    figure = PlannedFigure("t", "m", world.metric, found, world.n, repeats)
    if rule.kind == "max_relative_drop":
        assert spread.baseline_value is not None
        distance = rule.number * spread.baseline_value
    else:
        distance = rule.number if rule.is_paired else abs(world.truth - rule.number)
    test = RuleTest(world.alpha, world.among, stop)
    power = found_power(rule, figure, world.n, spread, test, distance=distance).power
    assert power is not None
    return power


_P: dict[tuple[Any, ...], LookedRule] = {}


def tested(world: World, rule: Rule, found: Any, drawn: Drawn, end: int) -> LookedRule:
    """The p-values of the rule on the first `end` samples; right and wrong answers that stand alone are tested once."""
    current = drawn.current[:end]
    before = None if drawn.baseline is None else drawn.baseline[:end]
    key: tuple[Any, ...] | None = None
    if world.metric == "exact_match" and not drawn.cluster and world.draw is not repeated:
        a = current[:, 1]
        counts: tuple[Any, ...] = (
            (a.sum(),) if before is None else ((a > before[:, 1]).sum(), (a < before[:, 1]).sum(), before[:, 1].sum())
        )
        if rule.kind != "max_relative_drop":
            counts = counts[:2]
        key = (rule.kind, rule.number, end, *(int(count) for count in counts))
        if key in _P:
            return _P[key]
    names = clusters_of(drawn)[:end] if drawn.cluster else None
    evidence: Evidence
    if before is None:
        question = Question(((rule.number, "at_least" if rule.kind == "at_least" else "at_most"),))
        evidence = absolute_evidence(found, current, clusters=names)
    else:
        question = question_of(rule, found)
        relative = rule.number if rule.kind == "max_relative_drop" else 0.0
        evidence = paired_evidence(found, current, before, clusters=names, relative=relative)
    result = LookedRule(question.holds(evidence), question.is_violated(evidence))
    if key is not None:
        _P[key] = result
    return result


def passed(world: World, rule: Rule, found: Any, rng: Rng) -> bool:
    """Whether one release of the world passes."""
    drawn = world.draw(rng, world.n)
    if world.stop is None:
        return tested(world, rule, found, drawn, world.n).p_pass <= world.alpha / world.among
    stop = StopWhenDecided.model_validate(world.stop)
    fractions = tuple((i + 1) / stop.looks for i in range(stop.looks))
    design = Design(fractions, stop.spending, world.alpha / world.among, gives_up=stop.futility)
    rules = LookedRules([design])
    for fraction in fractions:
        step = drawn.cluster or 1
        end = round(world.n * fraction / step) * step
        state = rules.look([tested(world, rule, found, drawn, end)])[0]
        if state != "open":
            return state == "pass"
    return False


def main() -> None:
    """Goes through the worlds and prints, or writes, the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--releases", type=int, default=4_000, help="simulated releases a world")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="worlds whose name contains this")
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    args = parser.parse_args()
    lines, far = [], 0
    for number, world in enumerate(worlds()):
        if args.only not in world.name:
            continue
        found = metric(world.metric)
        rule = Rule.model_validate({"metric": f"t.{world.metric}", **world.rule})
        said = promised(world, rule, found)
        rng = np.random.default_rng([args.seed, number])
        n = max(args.releases // world.thinned, 100)
        seen = sum(passed(world, rule, found, rng) for _ in range(n)) / n
        gap, noise = 100 * (seen - said), 196 * math.sqrt(max(seen * (1 - seen), 1e-4) / n)
        holds = abs(gap) <= 3 + noise
        far += not holds
        alpha = f"{world.alpha / world.among:.4g}"
        line = (
            world.name,
            f"{world.n:,}",
            alpha,
            f"{said:.1%}",
            f"{seen:.1%}",
            f"{gap:+.1f}",
            f"{noise:.1f}",
            "yes" if holds else "NO",
        )
        print(" | ".join(line), flush=True)
        lines.append(line)
    heads = ["world", "n", "level", "promised", "passed", "points", "± noise", "within 3"]
    text = "\n".join(
        [
            "## Power that a plan promises",
            "",
            f"`python benchmarks/plan_power.py`: {args.releases:,} simulated releases a world (fewer where they are "
            f"dear); {len(lines) - far} of {len(lines)} within 3 points, but for the noise of the simulation; "
            f"{machine()}.",
            "",
            markdown_table(heads, lines),
        ]
    )
    print(text.split("\n")[2])
    if args.write:
        replace_section("plan_power", text)


if __name__ == "__main__":
    main()
