"""What a gate can see before it is run: for each rule the difference it detects, and what its margin takes.

Power is that of the gate's own tests where answers are right or wrong and for quantiles (`share_power`), else that of
the normal approximation, at the level that the rule has at first under Holm: alpha over all blocking rules; of a run
that stops when decided, that of all looks together. A rule whose test cannot pass however good the answers are cannot
be won: the very test that the gate will use says so, on the best answers that there could be (`best_case`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ..compare.planned import PlannedFigure, figures_planned
from ..compare.sequential import Design
from ..core.nulls import best_between
from ..stats.sequential import boundaries, crossings, drift, futility
from ..stats.tails import normal_probability, normal_quantile
from ..suite.names import covers
from ..suite.schema import BaselineModel, Gates, Rule, StopWhenDecided
from .best_case import best_case, least_samples, reach
from .cases import decided_by
from .decide import show
from .looked_power import Look, Looks
from .looks import as_result
from .select import rule_name
from .share_power import POWER, Found, found_pairs, found_quantile, found_share
from .simulated_power import Redrawn, can_be_redrawn
from .spread import Spread, spread_of

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["POWER", "RulePlan", "RuleTest", "found_power", "plan_rules"]

_MOST_REPEATS = 1_000


@dataclass(frozen=True, slots=True)
class RulePlan:
    """What a rule can see on one figure, with `n` samples of `repeats` answers each. None is what cannot be told.

    `number` counts the rules of the gates from 0. `detectable` is how far beyond its limit the true figure (or
    difference) must lie for the rule to pass with a probability of .8. `distance` is how far it is believed to lie: the
    margin, for a candidate as good as the baseline, or what an earlier run had; `power` is that of this distance,
    `samples_needed` and `repeats_needed` what takes it to .8 (repeats with the samples that there are).
    `requests_more`, `usd_more` and `seconds_more` go beyond this plan.
    """

    number: int
    rule: str
    tier: str
    task: str
    model: str
    metric: str
    group: str | None
    n: int
    repeats: int
    alpha: float
    variance: float | None
    variance_from: str
    detectable: float | None
    distance: float | None
    power: float | None
    samples_needed: int | None
    repeats_needed: int | None
    requests_more: int | None = None
    usd_more: float | None = None
    seconds_more: float | None = None
    warnings: tuple[str, ...] = ()


class _Case(NamedTuple):
    number: int
    rule: Rule
    figure: PlannedFigure
    n: int


def plan_rules(
    gates: Gates,
    figures: Sequence[PlannedFigure],
    *,
    baseline: Record | None = None,
    past: Record | None = None,
    stop: StopWhenDecided | None = None,
) -> list[RulePlan]:
    """The plan of each rule on each figure; `past` is an earlier run, `stop` how the run is looked at.

    Rules on the point have none: figures decide them as they are.
    """
    cases = [
        case
        for number, rule in enumerate(gates.rules)
        if decided_by(rule, gates) == "interval"
        for case in _cases(number, rule, gates, figures)
    ]
    n_blocking = sum(case.rule.tier == "block" for case in cases)
    return [_planned(case, gates, n_blocking, baseline, past, stop) for case in cases]


def _cases(number: int, rule: Rule, gates: Gates, figures: Sequence[PlannedFigure]) -> Iterator[_Case]:
    own = gates.baseline.model if isinstance(gates.baseline, BaselineModel) else None
    for figure in figures_planned(rule, figures):
        if own is None or not covers(own, figure.model) or not (rule.is_paired or rule.model is None):
            yield _Case(number, rule, figure, figure.n if rule.group is None else figure.groups[rule.group])


def _planned(
    case: _Case,
    gates: Gates,
    n_blocking: int,
    baseline: Record | None,
    past: Record | None,
    stop: StopWhenDecided | None,
) -> RulePlan:
    number, rule, figure, n = case
    among = n_blocking if rule.tier == "block" and gates.correction == "holm" else 1
    looked = stop if rule.tier == "block" else None
    first, last = (RuleTest(gates.alpha, m, looked) for m in (among, 1))
    own = gates.baseline.model if isinstance(gates.baseline, BaselineModel) else None
    spread = spread_of(rule, figure, baseline, past, of_model=own)
    distance = _distance(rule, spread, best_between(figure.metric))
    least = least_samples(rule, figure, first.level)
    found = Found()
    if n > 0 and (spread.variance > 0 or spread.values is not None):
        found = found_power(rule, figure, n, spread, first, distance=distance, least=least)
    warned = _warnings(case, spread, found.power, least, first.level, last.level, among)
    return RulePlan(
        number=number,
        rule=rule_name(rule, as_result(figure, rule.group)),
        tier=rule.tier,
        task=figure.task,
        model=figure.model,
        metric=figure.name,
        group=rule.group,
        n=n,
        repeats=figure.repeats,
        alpha=first.level,
        variance=spread.variance if math.isfinite(spread.variance) else None,
        variance_from=spread.source,
        detectable=found.detectable,
        distance=distance,
        power=found.power,
        samples_needed=found.needed,
        repeats_needed=None if found.needed is None else _repeats_needed(n, found.needed, spread, figure.repeats),
        requests_more=None if found.needed is None else max(found.needed - n, 0) * figure.repeats,
        warnings=tuple(warned),
    )


def found_power(
    rule: Rule,
    figure: PlannedFigure,
    n: int,
    spread: Spread,
    test: RuleTest,
    *,
    distance: float | None = None,
    least: int | None = None,
) -> Found:
    """What `n` samples can see and what they lack; `least` samples are needed whatever the power.

    By the gate's own test where that can be gone through, or be made of redrawn samples, else by a normal formula.
    """
    if spread.values is not None:
        return found_quantile(rule, figure.metric, spread.values, n, test.level, least, looks=test.looks)
    is_share = figure.metric.interval == "proportion" and figure.repeats == 1
    best = best_between(figure.metric) if rule.is_paired else None
    if is_share and rule.is_paired and not spread.clustered:
        return found_pairs(rule, spread, n, test.level, distance, least, looks=test.looks, best=best)
    if is_share and not rule.is_paired and 0 < rule.number < 1 and (not spread.clustered or spread.pool is None):
        return found_share(rule, spread, n, test.level, least, looks=test.looks)
    both = rule.kind == "equivalent"
    if best is not None and (spread.pool is None or not can_be_redrawn(figure.metric, spread.pool)):
        # On which side of the best value a figure lies is not known before: two tests, each at half of alpha.
        test = RuleTest(test.alpha / 2, test.among, test.stop)
    eta = test.drift((1 + POWER) / 2 if both else POWER)
    guess = None
    if distance is not None and distance > 0:
        guess = max(math.ceil(eta**2 * spread.variance / distance**2 * (1 - 1e-9)), least or 0, 2)
    if spread.pool is not None and can_be_redrawn(figure.metric, spread.pool):
        redrawn = Redrawn(rule, figure.metric, spread.pool, test.level, test.looks)
        needed = None if guess is None or distance is None else redrawn.needed(guess, distance, POWER)
        power = None if distance is None else redrawn.power(n, distance)
        return Found(redrawn.detectable(n, POWER), power, None if needed is None else max(needed, least or 0))
    error = math.sqrt(spread.variance / n)
    detectable = test.drift(POWER) * error
    if distance is None:
        return Found(detectable)
    power = test.power(distance / error)
    return Found(detectable, max(2 * power - 1, 0.0) if both else power, guess)


@dataclass(frozen=True)
class RuleTest:
    """How a rule is tested, once or at the looks of `stop`, where `among` rules share the error."""

    alpha: float
    among: int
    stop: StopWhenDecided | None

    @property
    def _shares(self) -> tuple[float, ...]:
        assert self.stop is not None
        return tuple((number + 1) / self.stop.looks for number in range(self.stop.looks))

    @cached_property
    def level(self) -> float:
        """The one-sided p-value that passes the rule on all samples."""
        if self.stop is None:
            return self.alpha / self.among
        return Design(self._shares, self.stop.spending, self.alpha).level(self.stop.looks - 1, self.among)

    @cached_property
    def looks(self) -> Looks | None:
        """What each look lets pass and gives up; None for a single one."""
        if self.stop is None:
            return None
        design = Design(self._shares, self.stop.spending, self.alpha, gives_up=self.stop.futility)
        among = self.among
        return Looks(
            tuple(
                Look(share, design.level(number, among), design.futile_below(number, among))
                for number, share in enumerate(self._shares)
            ),
            self.power,
        )

    def drift(self, power: float) -> float:
        """How many standard errors beyond its limit the truth must lie for this power."""
        if self.stop is None:
            return normal_quantile(power) - normal_quantile(self.level)
        spending, alpha = self.stop.spending, self.alpha / self.among
        return drift(spending, self._shares, alpha, power, with_futility=self.stop.futility and power == POWER)

    def power(self, eta: float) -> float:
        """The chance to pass where the truth lies `eta` standard errors beyond the limit."""
        if self.stop is None:
            return normal_probability(eta + normal_quantile(self.level))
        spending, alpha = self.stop.spending, self.alpha / self.among
        upper = boundaries(spending, self._shares, alpha)
        lower = futility(spending, self._shares, alpha, POWER) if self.stop.futility else None
        return float(crossings(upper, self._shares, lower=lower, drift=eta).upper.sum())


def _distance(rule: Rule, spread: Spread, best: float | None) -> float | None:
    """How far on the good side of its limit the truth is believed to lie: of candidates as good as the baseline.

    `best` is the value that is best of a figure that may lie on either side of it.
    """
    match rule.kind:
        case "at_least":
            return None if spread.expected is None else spread.expected - rule.number
        case "at_most":
            return None if spread.expected is None else rule.number - spread.expected
        case "superior":
            return None  # a candidate as good as the baseline should not pass
        case "max_relative_drop":
            return None if spread.baseline_value is None else rule.number * abs(spread.baseline_value - (best or 0.0))
    return rule.number


def _repeats_needed(n: int, needed: int, spread: Spread, repeats: int) -> int | None:
    """The repeats at which the samples that there are suffice; None where that is not known, or none suffices."""
    if needed <= n:
        return repeats
    if not spread.within:
        return None
    # The variance shrinks by the part within samples: v(r) = v − within·(1/r₀ − 1/r), and n must be enough for it.
    wanted = spread.variance * n / needed
    left = spread.within / repeats - (spread.variance - wanted)
    if left <= 0:
        return None
    found = math.ceil(spread.within / left)
    return found if found <= _MOST_REPEATS else None


def _warnings(
    case: _Case, spread: Spread, power: float | None, least: int | None, first: float, last: float, among: int
) -> Iterator[str]:
    _, rule, figure, n = case
    name = rule_name(rule, as_result(figure, rule.group))
    if rule.number == 0 and rule.kind in ("non_inferior", "max_regression", "max_relative_drop"):
        yield (
            f"{name}: a margin of 0 passes only what is better than the baseline beyond doubt; give a margin that "
            "counts as no loss, or write superior: true"
        )
        return
    if rule.kind == "max_relative_drop" and rule.number >= 1 and figure.metric.higher_is_better:
        yield (
            f"{name}: cannot be won: a drop by {100 * rule.number:.12g} % can never be exceeded; it is a share, and "
            "5 % are 0.05"
        )
        return
    nothing = spread.baseline_value is not None and spread.baseline_value <= 0
    if best_between(figure.metric) is not None:
        nothing = spread.baseline_value == best_between(figure.metric)
    if rule.kind == "max_relative_drop" and spread.baseline_value is not None and nothing:
        yield (
            f"{name}: cannot be won: the baseline's figure is {show(spread.baseline_value)}, and a share of that is no "
            "drop that could be allowed; use max_regression for this figure"
        )
        return
    best = best_case(rule, figure, n, clustered=spread.clustered)
    p = 0.0 if best is None else best.question.holds(best.evidence)
    if best is not None and not p <= last:
        could = "" if least is None else f"; from n = {least:,} on they could"
        who = "a candidate as good as the baseline cannot pass" if rule.is_paired else "cannot be won"
        yield f"{name}: {who}: with n = {n:,} not even {best.what} would pass{reach(best, last)}{could}"
    elif best is not None and not p <= first:
        yield (
            f"{name}: {best.what}{f' (n = {n:,})' if rule.is_paired else ''} would pass only after other rules: Holm "
            f"holds it against "
            f"{show(first)} at first (alpha over {among} rules), and its p-value is {show(p)}"
        )
    elif power is not None and power < POWER:
        known = "" if spread.is_measured else ", if the figures vary as is assumed here"
        yield f"{name}: {_believed(rule, spread)} passes with a probability of {power:.0%} only{known}"


def _believed(rule: Rule, spread: Spread) -> str:
    if rule.is_paired:
        return "a candidate as good as the baseline"
    return f"a figure of {show(spread.expected or 0.0)}, as it was,"
