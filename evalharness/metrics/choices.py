"""Multiple choice by log-likelihood: which choice is the likeliest, and whether it is the right one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalharness.core.types import FAILED_STATES, Kind, LogLikelihood, Response, Sample

from .base import NEEDS_TARGET, PROPORTION, MeanMetric

__all__ = ["ChoiceAccuracy", "MutualInfoAccuracy", "Normalize", "best_choice"]

Normalize = Literal["none", "tokens", "bytes", "chars"]
_CHOICES: frozenset[Kind] = frozenset({"loglikelihood"})


def best_choice(
    choices: tuple[str, ...], loglikelihoods: tuple[LogLikelihood, ...], *, normalize: Normalize = "none"
) -> str | None:
    """The choice with the highest log-likelihood, the first one of equals; None where none is a number.

    `normalize` divides each log-likelihood by its number of tokens, or by the UTF-8 bytes or the characters of the
    choice (lm-eval's `acc_bytes` and `acc_norm`, which count the choice without its delimiter).
    """

    def score(choice: str, found: LogLikelihood) -> float:
        if normalize == "tokens":
            return found.total / max(found.n_tokens, 1)
        if normalize == "bytes":
            return found.total / max(len(choice.encode("utf-8", "surrogatepass")), 1)
        return found.total / max(len(choice), 1) if normalize == "chars" else found.total

    scores = [score(c, found) for c, found in zip(choices, loglikelihoods, strict=True)]
    usable = [(value, -index) for index, value in enumerate(scores) if not math.isnan(value)]
    return choices[-max(usable)[1]] if usable else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceAccuracy(MeanMetric):
    """Share of samples whose likeliest choice is the gold one, with a length that is taken out, or not.

        accuracy = Σ_i [argmax_c ll_ic / length_ic = target_i] / n

    A long choice is less likely than a short one because it is long. Dividing by its length favours long ones instead;
    neither is right as such, so the length is part of the figure: give both, `{choice_accuracy: {normalize: chars, as:
    acc_norm}}`. All forms come from the same log-likelihoods, whatever the task's own `normalize`, which decides what
    `accuracy` counts. The first of equals is taken. Samples without a log-likelihood for each choice are left out.

    Options:
        normalize: none compares sums; chars divides by the choice's characters (lm-eval's acc_norm), bytes by its
            UTF-8 bytes (acc_bytes; the same for ASCII), tokens by the model's tokens, which is not comparable between
            models.

    Source: lm-evaluation-harness 0.4.13 `acc`, `acc_norm` and `acc_bytes`, equal.
    """

    normalize: Literal["none", "chars", "bytes", "tokens"] = "none"

    name = "choice_accuracy"
    kinds = _CHOICES
    needs = NEEDS_TARGET
    interval = PROPORTION
    total = "correct"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [self._right(sample, response) for sample, response in zip(samples, responses, strict=True)]

    def _right(self, sample: Sample, response: Response) -> float | None:
        if sample.target is None or not sample.choices:
            return None
        if response.status in FAILED_STATES:
            return 0.0
        if len(sample.choices) != len(response.loglikelihoods):
            return None
        return float(best_choice(sample.choices, response.loglikelihoods, normalize=self.normalize) == sample.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualInfoAccuracy(MeanMetric):
    """Share of samples whose gold choice gains the most from the question: how likely choices are by themselves is out.

        accuracy = Σ_i [argmax_c (ln p(c | question_i) − ln p(c)) = target_i] / n

    A choice that is likely wherever it stands ("yes") wins by sums whatever is asked; here it must win by what the
    question adds, which is the pointwise mutual information of both. The run asks the model for the choices after
    nothing, once for each set of choices: some more requests, of a few tokens each. The first of equals is taken.
    Samples without both log-likelihoods of each choice, as in a record from before the metric was there, are left out.

    Source: lm-evaluation-harness 0.4.13 `acc_mutual_info`, equal; Brown et al. 2020 (GPT-3), section 2.4, normalise by
    the likelihood after "Answer: " in place of nothing.
    """

    name = "acc_mutual_info"
    kinds = _CHOICES
    needs = NEEDS_TARGET
    interval = PROPORTION
    total = "correct"
    unconditional: ClassVar[bool] = True

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [self._right(sample, response) for sample, response in zip(samples, responses, strict=True)]

    @staticmethod
    def _right(sample: Sample, response: Response) -> float | None:
        alone = (response.meta or {}).get("unconditional")
        n = len(sample.choices)
        if sample.target is None or not n:
            return None
        if response.status in FAILED_STATES:
            return 0.0
        if len(response.loglikelihoods) != n:
            return None
        if not isinstance(alone, Sequence) or isinstance(alone, str) or len(alone) != n:
            return None
        gains = [found.total - float(own) for found, own in zip(response.loglikelihoods, alone, strict=True)]  # type: ignore[arg-type]
        usable = [(gain, -place) for place, gain in enumerate(gains) if not math.isnan(gain)]
        return float(sample.choices[-max(usable)[1]] == sample.target) if usable else None
