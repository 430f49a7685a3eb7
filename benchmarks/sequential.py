"""Stopping early: the error at the margin, the power and the calls saved, beside the design of one look.

    python benchmarks/sequential.py [--releases 10000]

Each simulated release is a run of paired right and wrong answers against a baseline, of which a share differs. A rule
`non_inferior: {margin: 0.01}` is looked at as `execution.stop_when_decided` does: by the product's own evidence
(`gate.evidence`) and boundaries (`compare.sequential`). The fixed design decides once, on all samples. At the margin a
release must not pass more often than alpha. Several rules: the chance that any of those at the margin passes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.compare.sequential import Design, LookedRule, LookedRules, Spending, Standing
from evalharness.gate.evidence import Evidence, paired_values_evidence
from evalharness.gate.paired_cases import question_of
from evalharness.gate.power_plan import RuleTest
from evalharness.metrics.match import ExactMatch
from evalharness.stats.paired_exact import score_of_margin
from evalharness.stats.paired_power import power_of_exact_pairs
from evalharness.stats.power import pairs_for_margin
from evalharness.stats.sequential import boundaries, futility
from evalharness.stats.tails import normal_probability, normal_quantile
from evalharness.suite.schema import Rule, StopWhenDecided

ALPHA = 0.05
# Further than this from every boundary, in standard errors, the normal tail decides as the exact sum does.
FAR = 0.6
MARGIN = 0.01
FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)
RULE = Rule.model_validate({"metric": "task.exact_match", "non_inferior": {"margin": MARGIN}})


class Outcome(NamedTuple):
    """What came of many releases."""

    passed: float
    failed: float
    given_up: float
    asked: float
    fixed_passed: float
    fixed_failed: float


def looked(n_worse: int, n_better: int, n: int, near: Sequence[float]) -> LookedRule:
    """As `tested`, by the normal tail of the same score where no boundary is near: the exact sum takes milliseconds."""
    z = float(score_of_margin(n_better, n_worse, n, -MARGIN))
    if min(abs(z - bound) for bound in near) > FAR:
        return LookedRule(normal_probability(-z), normal_probability(z))
    return tested(n_worse, n_better, n)


@cache
def bounds_at(look: int, spending: Spending, n_rules: int) -> tuple[float, ...]:
    """Every z at which something is decided at a look, and that of a fixed design."""
    found = [0.0 - normal_quantile(ALPHA), normal_quantile(ALPHA)]
    for among in range(1, n_rules + 1):
        z = float(boundaries(spending, FRACTIONS, ALPHA / among)[look])
        found += [z, -z, float(futility(spending, FRACTIONS, ALPHA / among, 0.8)[look])]
    return tuple(found)


@cache
def tested(n_worse: int, n_better: int, n: int) -> LookedRule:
    """The p-values of the rule on `n` pairs, of which so many differ."""
    current, baseline = np.zeros(n), np.zeros(n)
    current[:n_better] = 1
    baseline[n_better : n_better + n_worse] = 1
    evidence: Evidence = paired_values_evidence(current, baseline, ExactMatch())
    question = question_of(RULE, ExactMatch())
    return LookedRule(question.holds(evidence), question.is_violated(evidence))


def counts(difference: float, discordance: float, n: int, releases: int, rng: np.random.Generator) -> np.ndarray:
    """(releases, looks, 2) pairs that are worse and better up to each look."""
    ends = [round(n * fraction) for fraction in FRACTIONS]
    steps = np.diff([0, *ends])
    worse, better = (discordance - difference) / 2, (discordance + difference) / 2
    drawn = np.stack([rng.multinomial(step, [worse, better, 1 - worse - better], releases) for step in steps], axis=1)
    return drawn[:, :, :2].cumsum(axis=1)


def follow(
    found: Sequence[np.ndarray], n: int, spending: Spending, futility: bool, correction: str
) -> tuple[list[Standing], float]:
    """The standing of each rule at the end, and the share of the samples that it took."""
    design = Design(FRACTIONS, spending, ALPHA, gives_up=futility)
    rules = LookedRules([design] * len(found), correction=correction)  # type: ignore[arg-type]
    standing: list[Standing] = []
    for look, fraction in enumerate(FRACTIONS):
        at, near = round(n * fraction), bounds_at(look, spending, len(found))
        standing = rules.look([looked(int(rule[look, 0]), int(rule[look, 1]), at, near) for rule in found])
        if "open" not in standing:
            return standing, fraction
    return standing, 1.0


def simulate(
    difference: float, discordance: float, n: int, releases: int, spending: Spending, futility: bool
) -> Outcome:
    """One rule, over many releases."""
    rng = np.random.default_rng(20260101)
    drawn = counts(difference, discordance, n, releases, rng)
    ended = [follow([release], n, spending, futility, "holm") for release in drawn]
    states = [standing[0] for standing, _ in ended]
    last = bounds_at(len(FRACTIONS) - 1, spending, 1)
    fixed = [looked(int(release[-1, 0]), int(release[-1, 1]), n, last) for release in drawn]
    return Outcome(
        *(states.count(state) / releases for state in ("pass", "fail", "given up")),
        sum(share for _, share in ended) / releases,
        sum(one.p_pass <= ALPHA for one in fixed) / releases,
        sum(one.p_fail <= ALPHA for one in fixed) / releases,
    )


def promised(difference: float, discordance: float, n: int, spending: Spending, gives_up: bool) -> tuple[str, str]:
    """The power that `evalharness plan` finds for such a truth: of all looks together, and of one.

    It promises that of a candidate as good as the baseline (`gate.share_power.PairsPower`), by these two functions.
    """
    stop = StopWhenDecided(looks=len(FRACTIONS), spending=spending, futility=gives_up)
    looks = RuleTest(ALPHA, 1, stop).looks
    assert looks is not None
    together = looks.power_of_pairs(n, MARGIN, discordance, difference, both=False)
    once = power_of_exact_pairs(n, MARGIN, discordance, alpha=ALPHA, difference=difference)
    return percent(together), percent(once)


def family(differences: Sequence[float], discordance: float, n: int, releases: int, correlation: float) -> float:
    """The share of releases in which any rule that is at the margin, or below it, passes; rules share samples."""
    rng = np.random.default_rng(20260102)
    ends = [round(n * fraction) for fraction in FRACTIONS]
    wrong = 0
    for _ in range(releases):
        # Rules of one run see the same samples: with this chance a pair differs alike in all of them.
        shared = rng.random(n)
        found = []
        for difference in differences:
            own = np.where(rng.random(n) < correlation, shared, rng.random(n))
            worse = own < (discordance - difference) / 2
            better = own > 1 - (discordance + difference) / 2
            found.append(np.array([[worse[:end].sum(), better[:end].sum()] for end in ends]))
        standing, _ = follow(found, n, "obrien-fleming", True, "holm")
        wrong += any(s == "pass" and d <= -MARGIN for s, d in zip(standing, differences, strict=True))
    return wrong / releases


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    args = parser.parse_args()
    text: list[str] = []
    say: Callable[[str], None] = text.append
    heads = [
        "truth, points",
        "passed",
        "promised",
        "failed",
        "given up",
        "calls",
        "one look: passed",
        "promised",
        "failed",
    ]
    designs: list[tuple[Spending, bool, float]] = [
        ("obrien-fleming", True, 0.05),
        ("obrien-fleming", True, 0.10),
        ("obrien-fleming", False, 0.05),
        ("pocock", True, 0.05),
    ]
    for spending, gives_up, discordance in designs:
        n = pairs_for_margin(MARGIN, discordance)
        rows = []
        for points in (-3, -2, -1, -0.5, 0, 1, 3):
            found = simulate(points / 100, discordance, n, args.releases, spending, gives_up)
            looked, once = promised(points / 100, discordance, n, spending, gives_up)
            cells = list(map(percent, found))
            rows.append([f"{points:+g}", cells[0], looked, *cells[1:5], once, cells[5]])
        way = "with" if gives_up else "without"
        say(f"{spending} {way} futility, {discordance:.0%} of the pairs differ, n = {n:,}:\n")
        say(markdown_table(heads, rows) + "\n")
    rows = []
    n = pairs_for_margin(MARGIN, 0.05)
    for name, differences in (
        ("3 rules, all at the margin", (-0.01, -0.01, -0.01)),
        ("3 rules, one at the margin, two well above", (-0.01, 0.02, 0.02)),
        ("5 rules, all at the margin", (-0.01,) * 5),
    ):
        for correlation in (0.0, 0.8):
            share = family(differences, 0.05, n, args.releases // 5, correlation)
            rows.append([name, f"{correlation:g}", percent(share)])
    say("Several rules over the same looks (Holm), with a share of pairs that differ alike in all of them:\n")
    say(markdown_table(["rules", "share alike", "a rule at the margin passes"], rows) + "\n")
    head = (
        f"## Stopping when decided\n\n`python benchmarks/sequential.py`: {args.releases:,} simulated releases a line, "
        f"five looks, alpha {ALPHA}, margin {MARGIN:.0%}, the exact paired test of the gate; n is what one look needs "
        f"for power .8. {machine()}.\n"
    )
    whole = "\n".join([head, *text])
    print(whole)
    if args.write:
        replace_section("sequential", whole)


if __name__ == "__main__":
    main()
