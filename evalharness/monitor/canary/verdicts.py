"""From a canary and the promoted run to figures and conditions: which quality fell, by evidence and by size.

Two things make a figure bad. A rule of the suite's gates fails: the evidence excludes that it holds. Or the paired test
of all figures of the canary, adjusted by Holm, finds it worse, and it fell by the margin at least. Both share the
chance `alpha` of any false alarm of one canary: of the two-sided tests half of it lies on the side of the worse, and
the other half is the rules'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from evalharness.compare.records import compare_records
from evalharness.compare.result import ComparedFigure, Comparison
from evalharness.core.types import Verdict
from evalharness.gate.evaluate import evaluate_gates
from evalharness.gate.select import figures_of
from evalharness.report.compare_text import p_text
from evalharness.report.text import figure as shown
from evalharness.report.text import single_line

from ..conditions import Condition
from ..measurement import FigureRow

if TYPE_CHECKING:
    from evalharness.gate.outcome import GateOutcome
    from evalharness.record import Record
    from evalharness.suite.schema import Gates, Rule

__all__ = ["PAGE", "Judged", "figure_rows", "judge_canary", "loss_of", "margin_of"]

PAGE: Final = "canary.html"
_CONFIDENCE: Final = 0.95
# Of a superior release no more is asked than that it stays as good as it was.
_KINDS_LEFT_OUT: Final = frozenset({"superior"})
_Key = tuple[str, str, str, str | None]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a canary found."""

    comparison: Comparison
    outcome: GateOutcome | None
    conditions: tuple[Condition, ...]


def judge_canary(
    record: Record,
    promoted: Record,
    gates: Gates | None,
    *,
    alpha: float,
    margin: float,
    any_model: bool = False,
    unsure: Mapping[tuple[str, str], str] | None = None,
) -> Judged:
    """Compare `record` with `promoted` in pairs, and say of each figure whether it is worse.

    Args:
        record: The canary.
        promoted: What it is compared with.
        gates: Rules that hold for it, too.
        alpha: The chance of any false alarm.
        margin: The least loss that matters, as a share of the figure's range (of the promoted figure without one).
        any_model: Whether rules hold whatever model they name: production is asked by another name.
        unsure: By task and metric, why a figure says nothing of the model now: its alert stays as it is.

    Raises:
        NotComparableError: what must agree differs; the message names each field.
        UsageError: both have no figure in common.
    """
    comparison = compare_records([record], promoted, confidence=_CONFIDENCE, correction="holm")
    outcome, rules = _decided(record, promoted, gates, alpha=alpha / 2, any_model=any_model)
    found = {_key(one): one for one in comparison.figures}
    bounds = {(r.task, r.model, r.metric, r.group): r.bounds for r in record.results}
    conditions: list[Condition] = []
    keys = dict.fromkeys([*(k for k, one in found.items() if one.section == "figures"), *rules])
    several = len({model for _, model, _, _ in keys}) > 1
    for key in keys:
        task, model, metric, group = key
        labels = {"task": task, "metric": metric}
        labels |= {"model": model} if several else {}
        labels |= {"group": group} if group else {}
        name = f"canary:{task}.{metric}"
        reason = (unsure or {}).get((task, metric))
        if reason is not None:
            conditions.append(Condition(name, "held", labels, summary=f"{task}.{metric}: {reason}"))
            continue
        conditions.append(
            _condition(name, labels, found.get(key), rules.get(key, ()), bounds.get(key), alpha=alpha, share=margin)
        )
    worse = sum(one.state == "bad" for one in conditions)
    notes = [
        f"{task}.{metric}: {reason}; whether it fell says nothing of the model, and is no alert"
        for (task, metric), reason in (unsure or {}).items()
        if any(one.task == task and one.metric == metric for one in comparison.figures)
    ]
    note = (
        f"the monitor alerts of {worse} of these {len(conditions)} figures: a rule of the gates fails, or the adjusted "
        f"p is at most {alpha:.3g} and the loss at least {100 * margin:g} % of the figure's range"
    )
    return Judged(replace(comparison, notes=(note, *notes, *comparison.notes)), outcome, tuple(conditions))


def _key(one: ComparedFigure) -> _Key:
    return one.task, one.model, one.metric, one.group


def _decided(
    record: Record, promoted: Record, gates: Gates | None, *, alpha: float, any_model: bool
) -> tuple[GateOutcome | None, dict[_Key, list[Verdict]]]:
    """What the gates say of the figures that the canary has."""
    if gates is None:
        return None, {}
    rules = [
        rule if not any_model else rule.model_copy(update={"model": None})
        for rule in gates.rules
        if rule.kind not in _KINDS_LEFT_OUT
    ]
    rules = [rule for rule in dict.fromkeys(rules) if figures_of(rule, record.results)]
    if not rules:
        return None, {}
    own = {"rules": tuple(rules), "alpha": alpha, "baseline": None, "decide_on": "interval"}
    outcome = evaluate_gates(record, gates.model_copy(update=own), baseline=promoted)
    found: dict[_Key, list[Verdict]] = {}
    for key, verdict in zip(_keys(rules, record), outcome.verdicts, strict=True):
        found.setdefault(key, []).append(verdict)
    return outcome, found


def _keys(rules: Sequence[Rule], record: Record) -> Iterator[_Key]:
    """What each verdict speaks of, in the order in which gates decide."""
    for rule in rules:
        for one in figures_of(rule, record.results):
            yield one.task, one.model, one.metric, one.group


def _condition(
    name: str,
    labels: Mapping[str, str],
    one: ComparedFigure | None,
    verdicts: Sequence[Verdict],
    bounds: tuple[float, float] | None,
    *,
    alpha: float,
    share: float,
) -> Condition:
    failed = [verdict for verdict in verdicts if verdict.state == "fail"]
    loss = loss_of(one) if one is not None else math.nan
    margin = margin_of(one, bounds, share) if one is not None else math.nan
    # Below what arithmetic leaves over, a loss of the margin itself would count or not by chance.
    fell = one is not None and loss > 0 and one.adjusted_p <= alpha and loss >= margin * (1 - 1e-9)
    # As far from the best value on its other side is a difference beyond doubt, and no loss.
    fell = fell and one is not None and one.towards_best != "changed sides"
    bad = bool(failed) or (fell and not (verdicts and one is not None and one.section != "figures"))
    parts = [] if one is None else [_sentence(one)]
    parts += [single_line(verdict.reason) for verdict in failed]
    return Condition(
        name,
        "bad" if bad else "ok",
        labels,
        value=loss,
        limit=margin,
        summary=" ".join(parts) or single_line(verdicts[0].reason),
        link=PAGE,
    )


def loss_of(one: ComparedFigure) -> float:
    """By how much the figure is worse than the promoted one, in its own unit."""
    return 0.0 - one.gain


def margin_of(one: ComparedFigure, bounds: tuple[float, float] | None, share: float) -> float:
    """The least loss that matters: `share` of the figure's range, or of the promoted figure where it has no bounds."""
    span = bounds[1] - bounds[0] if bounds is not None else math.inf
    return share * (span if math.isfinite(span) else abs(one.baseline))


def _sentence(one: ComparedFigure) -> str:
    where = f"{one.task}.{one.metric}{f' where {one.group}' if one.group else ''}"
    if not one.n_paired:
        return f"{where}: no sample that both runs have."
    change = abs(one.difference)
    loss = loss_of(one)
    word = "as good as" if not change else "worse than" if loss > 0 else "better than"
    if one.best is not None and change:
        far = "farther from" if loss > 0 else "nearer to" if loss < 0 else "as far from"
        word = f"{far} {one.best:g} {'than' if loss else 'as'}"
    low, high = (one.low, one.high) if one.difference > 0 else (-one.high, -one.low)
    bounds = "" if math.isnan(low) else f"{100 * one.confidence:g} % {shown(low)} to {shown(high)}, "
    way = " by" if one.best is None else ": they differ by"
    by = f"{way} {shown(change)} ({bounds}p = {p_text(one.adjusted_p)}, n = {one.n_paired:,})" if change else ""
    return f"{where} is {shown(one.value)}, {word} the promoted {shown(one.baseline)}{by}."


def figure_rows(comparison: Comparison, prefix: str = "canary") -> tuple[FigureRow, ...]:
    """What is recorded of each figure that is known: its value, the difference from the promoted run, p and flips."""
    several = len({one.model for one in comparison.figures}) > 1
    rows: list[FigureRow] = []
    for one in comparison.figures:
        if math.isnan(one.value):
            continue
        column = f"{prefix}.{one.task}.{one.metric}{f'[{one.model}]' if several else ''}"
        segment, n = one.group or "", one.n_paired
        rows.append(FigureRow(column, "value", one.value, n, segment=segment))
        rows.append(FigureRow(column, "difference", one.difference, n, one.low, one.high, segment))
        if one.section == "operations":
            continue
        rows.append(FigureRow(column, "p_adjusted", one.adjusted_p, n, segment=segment))
        if one.right_to_wrong is not None and one.wrong_to_right is not None:
            rows.append(FigureRow(column, "right_to_wrong", float(one.right_to_wrong), n, segment=segment))
            rows.append(FigureRow(column, "wrong_to_right", float(one.wrong_to_right), n, segment=segment))
    return tuple(rows)
