"""Numbers in answers against numbers in references, with a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

from evalharness.core.types import Response, Sample

from .base import LABELLED_KINDS, PROPORTION, MeanMetric, answer_text, golds, nothing_read, require
from .number_reading import numbers_in

__all__ = ["NumericMatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericMatch(MeanMetric):
    r"""Share of answers whose number is that of one of their references, within a tolerance.

        value = Σ_i max_r [|a_i − r_ir| ≤ max(absolute, relative · |r_ir|)] / n

    Numbers are read with thousands separators (1,234.5), as fractions (3/4, 1 1/2, ½, \frac{3}{4}), in scientific
    notation (1.2e-3, 1.2 × 10^-3), with a sign of per cent, and in the digits of any script. Only a minus makes one
    negative: brackets, as accountants write (5), are left unread. They are compared as exact
    fractions: 0.1 is 1/10, and 0.333 is not 1/3 without a tolerance. Units and currencies are left unread, so they may
    stand there or not; but 5 km is 5 m then. An answer without a number is wrong. A reference without one (`no
    solution`) is met by the same text, whatever its case.

    Options:
        absolute: how far the number may be from the reference.
        relative: how far it may be, as a share of the reference's size; the wider of the two holds.
        which: the last number of the answer (as lm-eval's flexible extract for GSM8K), the first, or the only one: an
            answer with several numbers is then wrong. Of a reference the same is read.
        decimal: the sign before decimals; with comma, points are thousands separators (1.234,5).
        percent: hundredths reads 20% as 0.2; sign leaves the sign unread, for references that are counts of per cent.

    Source: the rule of Python's `math.isclose` with the reference as the measure of relative; equal to comparing
    `fractions.Fraction`s.
    """

    absolute: float = 0.0
    relative: float = 0.0
    which: Literal["last", "first", "only"] = "last"
    decimal: Literal["point", "comma"] = "point"
    percent: Literal["hundredths", "sign"] = "hundredths"

    name = "numeric_match"
    kinds = LABELLED_KINDS
    interval = PROPORTION
    total = "correct"

    def __post_init__(self) -> None:
        for option in ("absolute", "relative"):
            value = getattr(self, option)
            require(0 <= value < float("inf"), f"{option} must be 0 or more, and finite; got {value!r}")

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        # By way of the digits that were written: the float 0.3 is a little less than 3/10.
        absolute, relative = Fraction(str(self.absolute)), Fraction(str(self.relative))

        @cache
        def read(text: str) -> Fraction | None:
            return self.number(text)

        def equal(answer: str, gold: str) -> bool:
            expected = read(gold)
            if expected is None:
                return answer.strip().casefold() == gold.strip().casefold()
            found = read(answer)
            return found is not None and abs(found - expected) <= max(absolute, relative * abs(expected))

        return [
            None
            if not golds(sample)
            else float(not nothing_read(response) and any(equal(answer_text(response), gold) for gold in golds(sample)))
            for sample, response in zip(samples, responses, strict=True)
        ]

    def number(self, text: str) -> Fraction | None:
        """The number that is read from `text`; None where there is none."""
        found = numbers_in(text, decimal=self.decimal, percent=self.percent)
        if not found or (self.which == "only" and len(found) > 1):
            return None
        return found[0] if self.which == "first" else found[-1]
