"""How probable a model finds one label, whatever the right one is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.types import Response, Sample

from .base import LABELLED_KINDS, NEEDS_NOTHING, MeanMetric, require
from .labels import label_of
from .probabilities import label_probabilities

__all__ = ["LabelProbability"]


@dataclass(frozen=True, kw_only=True)
class LabelProbability(MeanMetric):
    """Mean probability that the model gives to one label, whether it is the right one or not.

        Σ_i p_i(label) / n

    Of a classifier it is the label's own probability; of multiple choice by likelihood that of the choice among the
    choices (softmax of their log-likelihoods); of a label that was read from text 1 or 0. By group it shows whom a
    model thinks well of: `{by_group: {metric: {label_probability: {label: "Yes"}}, column: gender, what: difference}}`.
    A missing or unreadable answer, and one without a probability for the label, is not measured.

    Options:
        label: the label; its case does not matter.
        better: whether higher or lower is better, for gates and for the worst group.

    Source: the first moment of the classifier's output, as in the bias audits of Kiritchenko and Mohammad 2018 (mean
    predicted intensity by group).
    """

    label: str
    better: Literal["higher", "lower"] = "higher"

    name = "label_probability"
    kinds = LABELLED_KINDS
    needs = NEEDS_NOTHING
    scores_blank = False
    total = "probability"

    def __post_init__(self) -> None:
        require(bool(self.label.strip()), "label: name the label whose probability is measured")

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """As `better` says."""
        return self.better == "higher"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [self._value(sample, response) for sample, response in zip(samples, responses, strict=True)]

    def _value(self, sample: Sample, response: Response) -> float | None:
        wanted = self.label.strip().casefold()
        given = label_probabilities(sample, response)
        if given:
            found = next((p for label, p in given.items() if label.strip().casefold() == wanted), math.nan)
            return None if math.isnan(found) else min(1.0, max(0.0, found))
        if response.loglikelihoods:
            return None
        said = label_of(response)
        return None if said is None else float(said.strip().casefold() == wanted)
