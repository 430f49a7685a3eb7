"""From evidence to verdicts: pass, fail or inconclusive, by one-sided bounds, stepping down over rules. Pure.

A rule passes where the evidence excludes that it is violated, and fails where the evidence excludes that it holds; all
else is inconclusive. Each of the two claims has a p-value, and Holm's step-down keeps the chance of any wrong "pass",
and of any wrong "fail", among all rules handed over together at `alpha`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..core.types import VerdictState
from ..stats.tails import normal_probability, normal_quantile
from .decide import TOLERANCE, Decision, show
from .evidence import Condition, Evidence

__all__ = ["Asked", "Question", "Settled", "because", "further_samples", "settle", "step_down"]

Correction = Literal["holm", "none"]

_OPPOSITE: dict[Condition, Condition] = {"at_least": "at_most", "at_most": "at_least"}
_MOST = 10_000_000
# The probability with which further samples are to settle a rule.
_SETTLED = 0.8


@dataclass(frozen=True, slots=True)
class Question:
    """What a rule asks of a figure: all `limits` must hold. `subject` is what they are limits of, in words.

    `strict` says that the limit itself is not enough (a superior figure is above it).
    """

    limits: tuple[tuple[float, Condition], ...]
    subject: str = "its"
    strict: bool = False

    def holds(self, evidence: Evidence) -> float:
        """The p-value of "the rule is violated"."""
        return max(self.each_holds(evidence))

    def each_holds(self, evidence: Evidence) -> list[float]:
        """The p-value of "the limit is violated", of each limit."""
        if self.strict:
            return [_beyond(evidence, limit, condition) for limit, condition in self.limits]
        return [evidence.p_value(limit, condition) for limit, condition in self.limits]

    def is_violated(self, evidence: Evidence) -> float:
        """The p-value of "the rule holds"."""
        return min(_beyond(evidence, limit, _OPPOSITE[condition]) for limit, condition in self.limits)

    def fulfilled_by(self, value: float) -> bool:
        """Whether `value` is on the right side of every limit, not on it."""
        return all(value > limit if condition == "at_least" else value < limit for limit, condition in self.limits)


def _beyond(evidence: Evidence, limit: float, condition: Condition) -> float:
    """The p-value of "the figure is not beyond `limit`": no rate is below 0, and none at 0 violates at_most 0."""
    step = TOLERANCE * max(1.0, abs(limit))
    return evidence.p_value(limit + step if condition == "at_least" else limit - step, condition)


class Asked(NamedTuple):
    """A question and the evidence for it."""

    question: Question
    evidence: Evidence


class Settled(NamedTuple):
    """The state of a question, the p-values of both claims, and the alpha at which each was decided."""

    state: VerdictState
    p_pass: float
    p_fail: float
    alpha_pass: float
    alpha_fail: float


def step_down(p_values: Sequence[float], alpha: float, correction: Correction = "holm") -> list[tuple[bool, float]]:
    """(whether it is rejected, the alpha at which) for each null hypothesis.

    Holm 1979: the i-th smallest of m p-values is held against alpha/(m − i + 1), and with the first that exceeds its
    alpha all larger ones are kept, at that alpha. NaN is no test: it counts for nothing and is never rejected.
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    found = [(False, alpha)] * len(p_values)
    stopped = None
    for rank, i in enumerate(order):
        level = alpha if correction == "none" else stopped or alpha / (len(order) - rank)
        rejected = p_values[i] <= level and stopped is None
        if not rejected and correction == "holm":
            stopped = level
        found[i] = rejected, level
    return found


def settle(asked: Sequence[Asked], alpha: float, correction: Correction = "holm") -> list[Settled]:
    """The state of every question; `correction` is over those handed over together."""
    p_pass = [one.question.holds(one.evidence) for one in asked]
    p_fail = [one.question.is_violated(one.evidence) for one in asked]
    passes, fails = step_down(p_pass, alpha, correction), step_down(p_fail, alpha, correction)
    return [
        Settled("pass" if ok else "fail" if wrong else "inconclusive", p, q, of_pass, of_fail)
        for p, q, (ok, of_pass), (wrong, of_fail) in zip(p_pass, p_fail, passes, fails, strict=True)
    ]


def because(asked: Asked, settled: Settled, more: int | None) -> Decision:
    """The state, and the end of the sentence that says which bound at which level decided.

    `more` is what `further_samples` says.
    """
    question = asked.question
    if settled.state == "pass":
        return Decision("pass", _passed(question, asked.evidence, settled.alpha_pass))
    if settled.state == "fail":
        return Decision("fail", _failed(question, asked.evidence, settled.alpha_fail))
    if asked.evidence.note:
        return Decision("inconclusive", f"{asked.evidence.note}, so nothing is decided")
    return Decision("inconclusive", f"{_open(asked, settled)}; {_more(asked, more)}")


def further_samples(asked: Asked, settled: Settled) -> int | None:
    """About how many more samples settle it with a probability of 80 %, if they come in the same shares; or None.

    For a figure beyond its limit until it fails, for one that fulfils the rule until it passes; for one at its limit
    there is no such number. The samples that there are stay: with n of them and m more, the z of all together varies
    with the square root of m/(n + m) about that of the same shares in n + m samples. What would just lie on the bound
    were a toss of a coin.
    """
    question, n = asked.question, asked.evidence.n
    if settled.state != "inconclusive" or n == 0:
        return None
    holds = question.fulfilled_by(asked.evidence.value)
    alpha = settled.alpha_pass if holds else settled.alpha_fail

    def settles(factor: float) -> bool:
        evidence, varies = asked.evidence.scaled(factor), math.sqrt(1 - 1 / factor)
        p_values = question.each_holds(evidence) if holds else [question.is_violated(evidence)]
        missed = sum(1 - _chance(p_value, alpha, varies) for p_value in p_values)
        return missed <= 1 - _SETTLED

    if not math.isfinite(asked.evidence.value) or asked.evidence.method == "none":
        return None
    needed = _least_factor(settles, n)
    return None if needed is None else max(math.ceil(n * needed) - n, 1)


def _chance(p_value: float, alpha: float, varies: float) -> float:
    """How probably a p-value is no more than `alpha` whose z varies by so much about that of `p_value`."""
    if not 0 < p_value < 1 or alpha <= 0:
        return float(p_value <= alpha)
    return normal_probability((normal_quantile(alpha) - normal_quantile(p_value)) / varies)


def _least_factor(settles: Callable[[float], bool], n: int) -> float | None:
    low, high = 1.0, 2.0
    while not settles(high):
        low, high = high, 2 * high
        if high * n > _MOST:
            return None
    # As exact as a figure that may move is worth, and to the sample where there are few.
    while high - low > max(0.002 * low, 0.5 / n):
        middle = (low + high) / 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):.4g} %"


def _passed(question: Question, evidence: Evidence, alpha: float) -> str:
    low, high = evidence.bounds(alpha)
    if len(question.limits) == 2:
        (worst, _), (best, _) = question.limits
        return (
            f"{_of(question, f'lower and upper {_level(alpha)} bounds')}, {show(low)} and {show(high)}, lie within "
            f"{show(worst)} and {show(best)}, as required"
        )
    ((limit, condition),) = question.limits
    bound, side = (low, "lower") if condition == "at_least" else (high, "upper")
    wanted = "at most" if condition == "at_most" else "above" if question.strict else "at least"
    return f"{_bound(question, side, alpha, bound, limit)} is {wanted} {show(limit, bound)}, as required"


def _failed(question: Question, evidence: Evidence, alpha: float) -> str:
    low, high = evidence.bounds(alpha)
    for limit, condition in question.limits:
        if _beyond(evidence, limit, _OPPOSITE[condition]) <= alpha:
            bound, side, where = (high, "upper", "below") if condition == "at_least" else (low, "lower", "above")
            if show(bound, limit) == show(limit, bound):
                where = "no more than" if condition == "at_least" else "no less than"
            return f"{_bound(question, side, alpha, bound, limit)} is {where} {show(limit, bound)}"
    raise AssertionError("nothing failed")


def _open(asked: Asked, settled: Settled) -> str:
    question = asked.question
    for_low, for_high = settled.alpha_pass, settled.alpha_fail
    if question.limits[0][1] == "at_most":
        for_low, for_high = for_high, for_low
    low, high = asked.evidence.bounds(for_low).low, asked.evidence.bounds(for_high).high
    if len(question.limits) == 2:
        low, high = asked.evidence.bounds(settled.alpha_pass)
        limits = f"{show(question.limits[0][0])} and {show(question.limits[1][0])}"
        bounds = _of(question, f"lower and upper {_level(settled.alpha_pass)} bounds")
        return f"{bounds}, {show(low)} and {show(high)}, straddle {limits}"
    limit = question.limits[0][0]
    if for_low == for_high:
        bounds = _of(question, f"lower and upper {_level(for_low)} bounds")
        return f"{bounds}, {show(low, limit)} and {show(high, limit)}, straddle the limit of {show(limit)}"
    lower = _bound(question, "lower", for_low, low, limit)
    return f"{lower} and upper {_level(for_high)} bound {show(high, limit)} straddle the limit of {show(limit)}"


def _more(asked: Asked, more: int | None) -> str:
    now = asked.evidence.n
    if more is None:
        value, question = asked.evidence.value, asked.question
        if any(show(value, limit) == show(limit, value) for limit, _ in question.limits):
            alone = " (decide_on: point judges this run alone)" if question.subject == "its" else ""
            return f"the figure lies at the limit, so that no number of samples would settle it{alone}"
        return "how many more samples would settle it cannot be said"
    return f"about {more:,} more samples would settle it with a probability of 80 % (now {now:,})"


def _bound(question: Question, side: str, alpha: float, bound: float, limit: float) -> str:
    text = _of(question, f"{side} {_level(alpha)} bound")
    return f"{text} {show(bound, limit)}" if question.subject == "its" else f"{text}, {show(bound, limit)},"


def _of(question: Question, what: str) -> str:
    return f"its {what}" if question.subject == "its" else f"the {what} of {question.subject}"
