"""What people said of a record's outputs: one value a rating.

The registry keeps ratings (`RunRegistry.ratings`); records themselves are sealed and never change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ..core.errors import UsageError

__all__ = ["TIE", "Rating", "RatingKind", "check_rating"]

RatingKind: TypeAlias = Literal["scale", "label", "pairwise"]

TIE = "tie"
"""The label of a pairwise rating by which neither output is better."""


@dataclass(frozen=True, slots=True)
class Rating:
    """One rater's answer to one question about one output, or, if `question` is "pairwise", about two of a sample.

    `run_id`, `task`, `model`, `sample_id` and `repeat` say which output. The answer is `value` (scale), `label`
    (label), or for a pair `label`: the name of the better model, which is `model` or `against`, or "tie". `against` is
    the other model of the pair; where that one's output stands in another record, it is written MODEL@RUN_ID. Of the
    two outputs the one with the lesser (run, model) is `model`, whichever stood on the left, so that all raters of a
    pair, and all sessions, name it alike. A rating without an answer is a comment and nothing else.

    `asked` are the words of the question. Two questions of one kind about the same output are two questions: their
    ratings do not replace one another, and must not be pooled.
    """

    run_id: str
    task: str
    model: str
    sample_id: str
    repeat: int
    rater: str
    question: RatingKind
    value: float | None = None
    label: str | None = None
    against: str | None = None
    comment: str = ""
    created_utc: str = ""
    asked: str = ""

    @property
    def is_answered(self) -> bool:
        """Whether it says anything beside its comment."""
        return self.value is not None or self.label is not None

    @property
    def identity(self) -> tuple[str, str, str, str, int, str, str, str, str]:
        """What a later rating must have in common with this one to take its place."""
        output = (self.run_id, self.task, self.model, self.sample_id, self.repeat)
        return (*output, self.rater, self.question, self.asked, self.against or "")


def check_rating(rating: Rating) -> None:
    """Refuse a rating that contradicts itself.

    Raises:
        UsageError: naming the field.
    """
    place = f"rating of {rating.sample_id!r} by {rating.rater!r}"
    if rating.question not in get_args(RatingKind):
        raise UsageError(f"{place}: question is {rating.question!r}; it is one of {', '.join(get_args(RatingKind))}")
    if not rating.rater.strip():
        raise UsageError(f"{place}: rater is empty; every rating needs the name of who gave it")
    if rating.value is not None and (rating.question != "scale" or not math.isfinite(rating.value)):
        raise UsageError(f"{place}: value is {rating.value!r}; only a scale has values, and they are finite numbers")
    if rating.label is not None and rating.question == "scale":
        raise UsageError(f"{place}: label is {rating.label!r}; a rating on a scale has a value and no label")
    if (rating.against is None) is (rating.question == "pairwise"):
        raise UsageError(
            f"{place}: against is {rating.against!r}; it names the other model of a pair, and of a pair only"
        )
    if rating.question == "pairwise":
        if TIE in (rating.model, rating.against):
            raise UsageError(
                f"{place}: a model is called {TIE!r}, which means that neither is better; rename the model"
            )
        if rating.label not in (None, rating.model, rating.against, TIE):
            raise UsageError(
                f"{place}: label is {rating.label!r}; it names the better model, {rating.model!r} or "
                f"{rating.against!r}, or is {TIE!r}"
            )
