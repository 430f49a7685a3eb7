"""Which rules of a gate ring under which known-bad models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from evalharness.core.nulls import best_between

if TYPE_CHECKING:
    from evalharness.core.protocols import Metric
    from evalharness.core.types import MetricResult, VerdictState
    from evalharness.record import Record
    from evalharness.runner.knownbad import KnownBad
    from evalharness.suite.schema import Gates, Rule

__all__ = ["Alarm", "Tested", "hold_alarms"]

Worse = Literal["clearly", "within its interval", "no"]
Result = Literal["rings", "never rings", "not green", "not tested"]

_GREENER: Final[dict[VerdictState, int]] = {"pass": 0, "inconclusive": 1, "fail": 2}
# Tests that can say nothing of values that all agree, where the metric has no bounds: no doubt, but no evidence.
_ALL_AGREE: Final = frozenset({"no variation", "identical pairs", "constant change", "few differ", "few pairs differ"})
# A figure may move in its last digit where the order of additions does.
_TOLERANCE: Final = 1e-9


@dataclass(slots=True)
class Alarm:
    """One rule on one figure: which known-bad models it catches, and which it lets pass although its figure is worse.

    `state` is that on the record as it is: a rule that does not hold there rings only if it comes to fail.
    """

    rule: str
    tier: str
    value: float
    state: VerdictState
    caught: list[str] = field(default_factory=list)
    missed: dict[str, float] = field(default_factory=dict)
    """By model, the worse figure that the rule passes all the same."""
    unbreakable: bool = False
    """Whether no value that the figure can have breaks the limit."""
    retold: bool = False
    """Whether a known-bad model has the figure at all: judges and lm-eval's tasks are not asked again."""

    @property
    def result(self) -> Result:
        """Rings under a model at least; under none that makes its figure worse; was not green before; or not tested."""
        if self.caught:
            return "rings"
        if self.state != "pass":
            return "not green"
        return "never rings" if self.missed or self.unbreakable else "not tested"

    @property
    def why(self) -> str:
        """What there is to say of a rule that does not ring, in words that follow its name; "" where it rings."""
        match self.result:
            case "rings":
                return ""
            case "never rings" if self.unbreakable:
                return "never rings: no value that this figure can have breaks its limit"
            case "never rings":
                worst = ", ".join(self.missed)
                return f"never rings: it passes {worst}; its limit lets through what is bad beyond doubt"
            case "not green":
                word = "fails" if self.state == "fail" else "is inconclusive"
                return f"{word} on the record as it is, so that it cannot be told whether it would ring"
        if not self.retold:
            return "is not tested: a judge or lm-eval scores it, and neither is asked again"
        return "is not tested: no known-bad model takes its figure out of its interval"

    @property
    def is_silent(self) -> bool:
        """Whether this is a fault of the suite: a rule that people rely on, and that never rings."""
        return self.result == "never rings" and self.tier != "info"


@dataclass(frozen=True, slots=True)
class Tested:
    """All alarms, and by known-bad model the state of the gate under it.

    The state is that of the blocking rules whose figures the model makes worse; None where there is no such rule.
    """

    alarms: tuple[Alarm, ...]
    models: dict[str, VerdictState | None]

    @property
    def silent(self) -> tuple[Alarm, ...]:
        """The rules that never ring."""
        return tuple(alarm for alarm in self.alarms if alarm.is_silent)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; there is no NaN in JSON, and no figure is null."""
        return {
            "passed": not self.silent,
            "rules": [
                {
                    "rule": alarm.rule,
                    "tier": alarm.tier,
                    "result": alarm.result,
                    "value": _plain(alarm.value),
                    "state": alarm.state,
                    "why": alarm.why,
                    "caught": alarm.caught,
                    "missed": {name: _plain(value) for name, value in alarm.missed.items()},
                }
                for alarm in self.alarms
            ],
            "models": self.models,
        }


def hold_alarms(gates: Gates, made: Iterable[tuple[KnownBad | None, Record]]) -> Tested:
    """Hold `gates` against the records of known-bad models; rules on a baseline are held against the first of them.

    `made` is what `spoilt_records` gives: first the record as it is.
    """
    from evalharness.gate.select import rule_name

    records = iter(made)
    _, control = next(records)
    states = _states(control, gates, control)
    alarms: dict[tuple[str, str], Alarm] = {}
    sound: dict[tuple[str, str], MetricResult] = {}
    best: dict[tuple[str, str], float | None] = {}
    for rule in gates.rules:
        figures = list(_figures(rule, control))
        for name, figure in figures:
            key = name, rule.tier
            alarms[key] = Alarm(
                name, rule.tier, figure.value, states[key], unbreakable=_is_unbreakable(rule, figure, control)
            )
            sound[key] = figure
            metric = _metric_of(control, figure)
            best[key] = None if metric is None else best_between(metric)
        if not figures:
            alarms[rule_name(rule), rule.tier] = Alarm(rule_name(rule), rule.tier, math.nan, "fail")
    models: dict[str, VerdictState | None] = {}
    for bad, spoilt in records:
        assert bad is not None  # only the first is no model's
        states = _states(spoilt, gates, control)
        seen: list[VerdictState] = []
        for rule in gates.rules:
            for name, figure in _figures(rule, spoilt):
                key = name, rule.tier
                if key in alarms:
                    alarms[key].retold = True
                worse = "no" if key not in sound else _worse(rule, sound[key], figure, best[key])
                state = states[key]
                # What stays within its interval may be noise: it need not ring, and a doubt about it is no ring.
                if worse == "no" or (worse == "within its interval" and state != "fail"):
                    continue
                if _GREENER[state] > _GREENER[alarms[key].state]:
                    alarms[key].caught.append(bad.name)
                elif state == "pass":
                    alarms[key].missed[bad.name] = figure.value
                if rule.tier == "block":
                    seen.append(state)
        seen.sort(key=_GREENER.__getitem__)
        models[bad.name] = seen[-1] if seen else None
    return Tested(tuple(alarms.values()), models)


def _figures(rule: Rule, record: Record) -> Iterator[tuple[str, MetricResult]]:
    from evalharness.gate.select import figures_of, rule_name

    return ((rule_name(rule, figure), figure) for figure in figures_of(rule, record.results))


def _states(record: Record, gates: Gates, baseline: Record) -> dict[tuple[str, str], VerdictState]:
    """The state of each rule; where nothing but equal values of a metric without bounds leaves it open, the figure's.

    A model that always says the same, and a record beside itself, have no spread. Doubt of that kind would ring for
    any limit, and say nothing about this one.
    """
    from evalharness.gate import evaluate_gates

    verdicts = evaluate_gates(record, gates, baseline=baseline).verdicts
    found: dict[tuple[str, str], VerdictState] = {(v.rule, v.tier): v.state for v in verdicts}
    open_ones = {
        (v.rule, v.tier)
        for v in verdicts
        if v.state == "inconclusive" and v.method in _ALL_AGREE and v.p_value is not None and v.p_value >= 1
    }
    if open_ones:
        rules = [rule.model_copy(update={"decide_on": "point"}) for rule in gates.rules]
        by_point = evaluate_gates(record, gates.model_copy(update={"rules": rules}), baseline=baseline).verdicts
        found.update({(v.rule, v.tier): v.state for v in by_point if (v.rule, v.tier) in open_ones})
    return found


def _is_unbreakable(rule: Rule, figure: MetricResult, record: Record) -> bool:
    """Whether the limit of `rule` is as far as the figure's metric goes, or farther."""
    metric = _metric_of(record, figure)
    if metric is None:
        return False  # somebody's code, whose bounds are not known
    low, high = metric.bounds
    best = best_between(metric)
    if best is not None and rule.kind not in ("at_least", "at_most", "superior"):
        # How far from the best value it can get, beyond what it is already.
        far, now = max(high - best, best - low), abs(figure.value - best)
        allowed = rule.number * now if rule.kind == "max_relative_drop" else rule.number
        return now + allowed >= far
    match rule.kind:
        case "at_least":
            return rule.number <= low
        case "at_most":
            return rule.number >= high
        case "max_relative_drop":
            return figure.higher_is_better and low >= 0 and rule.number >= 1
        case "superior":
            return False
    return rule.number >= high - low


def _metric_of(record: Record, figure: MetricResult) -> Metric | None:
    from evalharness.compare.rebuild import metric_of
    from evalharness.core.errors import NotComparableError

    try:
        return metric_of(record, figure)
    except NotComparableError:
        return None


def _worse(rule: Rule, before: MetricResult, after: MetricResult, best: float | None = None) -> Worse:
    """Whether the figure went the way that the rule watches; a figure that is gone is worse, too.

    For a rule that compares, a figure that is best at `best` is the worse the farther it is from that.
    """
    if math.isnan(after.value) or math.isnan(before.value):
        return "clearly" if math.isnan(after.value) and not math.isnan(before.value) else "no"
    low, high = _ends(before)
    if best is not None and rule.is_paired:
        ways = [abs(after.value - best) - abs(before.value - best)]
        beyond = [ways[0] - max(high - before.value, before.value - low)]
    elif getattr(rule, "equivalent", None) is not None:
        ways = [before.value - after.value, after.value - before.value]
        beyond = [low - after.value, after.value - high]
    elif rule.at_least is not None or (rule.at_most is None and before.higher_is_better):
        ways, beyond = [before.value - after.value], [low - after.value]
    else:
        ways, beyond = [after.value - before.value], [after.value - high]
    # Out of the interval that it had, with an interval that leaves out what it was: no noise does both often.
    if max(beyond) > 0 and not (after.ci_low <= before.value <= after.ci_high):
        return "clearly"
    return "within its interval" if max(ways) > _TOLERANCE * max(1.0, abs(before.value)) else "no"


def _ends(figure: MetricResult) -> tuple[float, float]:
    """The figure's interval; an end that is open is as far away as the other one, none at all is the figure itself."""
    below = figure.value - figure.ci_low if math.isfinite(figure.ci_low) else math.inf
    above = figure.ci_high - figure.value if math.isfinite(figure.ci_high) else math.inf
    nearest = min(below, above)
    known = nearest if math.isfinite(nearest) else 0.0
    return (
        figure.value - (below if math.isfinite(below) else known),
        figure.value + (above if math.isfinite(above) else known),
    )


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
