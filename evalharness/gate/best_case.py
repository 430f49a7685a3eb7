"""The best that a number of samples could say of a rule: what cannot be won, and from how many samples on it could."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..compare.planned import PlannedFigure
from ..core.nulls import best_between
from ..stats.order_statistics import OrderStatistic
from ..suite.schema import Rule
from .decide import show
from .evidence import Condition, Evidence, mean_evidence, paired_values_evidence
from .kernels import nearer
from .paired_cases import question_of
from .verdicts import Question

__all__ = ["BestCase", "best_case", "least_samples", "reach"]

_MOST_SAMPLES = 1_000_000


class BestCase(NamedTuple):
    """A question, the evidence of the best answers that there could be, and what those are."""

    question: Question
    evidence: Evidence
    what: str


def reach(best: BestCase, alpha: float) -> str:
    """The bound that the best answers would have, in words."""
    low, high = best.evidence.bounds(alpha)
    limit, condition = best.question.limits[0]
    bound, side = (low, "lower") if condition == "at_least" else (high, "upper")
    return f" (the {side} bound would be {show(bound, limit)}, and {show(limit, bound)} is required)"


def best_case(rule: Rule, figure: PlannedFigure, n: int, *, clustered: bool = False) -> BestCase | None:
    """The best that `n` samples could say; None where the metric has no best value."""
    metric = figure.metric
    low, high = metric.bounds
    q = getattr(metric, "q", None)
    if n > 0 and isinstance(q, float) and not rule.is_paired and not clustered:
        # Order statistics count what lies on either side of the limit: of too few values they bound nothing.
        kernel = OrderStatistic(np.full(n, rule.number), q)
        evidence = Evidence(rule.number, n, "order statistics", kernel)
        return BestCase(Question(((rule.number, _side(rule)),)), evidence, f"{n:,} answers on its right side")
    if n < 1 or not math.isfinite(high - low):
        return None
    if not rule.is_paired:
        value = high if rule.kind == "at_least" else low
        question = Question(((rule.number, _side(rule)),))
        return BestCase(question, mean_evidence(np.full(n, value), metric.bounds), f"{n:,} perfect answers")
    if rule.kind in ("non_inferior", "max_regression", "equivalent"):
        question = question_of(rule, metric)
        same = np.full(n, high if metric.interval == "proportion" else (low + high) / 2)
        evidence = paired_values_evidence(same, same, metric)
        if (best := best_between(metric)) is not None:
            mirrored = paired_values_evidence(same, 2 * best - same, metric)
            evidence = replace(evidence, kernel=nearer(evidence.kernel, mirrored.kernel, 0.0))
        return BestCase(question, evidence, "answers that all equal the baseline's")
    return None


def _side(rule: Rule) -> Condition:
    return "at_least" if rule.kind == "at_least" else "at_most"


def least_samples(rule: Rule, figure: PlannedFigure, alpha: float) -> int | None:
    """The fewest samples with which the best answers would pass; None where that is not known, or none would do."""

    def passes(n: int) -> bool:
        best = best_case(rule, figure, n)
        return best is not None and best.question.holds(best.evidence) <= alpha

    if rule.is_paired and rule.number == 0:
        return None  # to be as good is not to be better
    high = 1
    while not passes(high):
        high *= 2
        if high > _MOST_SAMPLES:
            return None
    low = high // 2  # does not pass, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
