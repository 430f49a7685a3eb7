"""Figures of explanations: how faithful they are, beside random ones, and how much of them lies on identity terms.

They read what a task with `explain` has put into its answers; nothing is asked of the model again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from evalharness.core.types import Kind, Response, Sample

from .base import NEEDS_NOTHING, MeanMetric

__all__ = [
    "Comprehensiveness",
    "ComprehensivenessOverRandom",
    "DeletionAuc",
    "DeletionAucOverRandom",
    "EfficiencyGap",
    "ExplanationEvaluations",
    "ExplanationMetric",
    "InsertionAuc",
    "InsertionAucOverRandom",
    "RandomisationSimilarity",
    "RandomisationSimilarityAbsolute",
    "RandomisationSimilarityAbsoluteOverRandom",
    "RandomisationSimilarityOverRandom",
    "SeedStability",
    "SeedStabilityOverRandom",
    "Sufficiency",
    "SufficiencyOverRandom",
    "explanation_of",
    "shown_values",
]

_ROUNDING = 1e-6  # of an output in float32
_ANY = (-math.inf, math.inf)


def explanation_of(response: Response) -> Mapping[str, Any] | None:
    """The explanation in a response's meta, None where it has none."""
    found = response.meta.get("explanation") if response.meta else None
    return found if isinstance(found, Mapping) else None


def explained_column(found: Mapping[str, Any]) -> int:
    """The place, among the outputs of an explanation, of the one whose quality is measured."""
    outputs = list(found.get("outputs") or ())
    explained = found.get("explained")
    return outputs.index(explained) if explained in outputs else 0


def shown_values(found: Mapping[str, Any]) -> list[float]:
    """The values of an explanation for the output that it explains; those that are no more than rounding are 0.

    An output that is sure of itself hardly moves, and what moves are the last digits of float32: their order and their
    shares say nothing.
    """
    column = explained_column(found)
    ends = (found.get("base_values") or (), found.get("full_values") or ())
    least = _ROUNDING * max((abs(float(end[column])) for end in ends if len(end) > column), default=0.0)
    values = [float(row[column]) for row in found.get("values") or ()]
    return [value if abs(value) > least else 0.0 for value in values]


class ExplanationMetric(MeanMetric):
    """The mean of something that stands in explanations; answers without one are left out."""

    __slots__ = ()

    kinds: frozenset[Kind] = frozenset({"study"})
    procedure: ClassVar[str] = "explain"
    needs = NEEDS_NOTHING
    scores_blank = False
    bounds = _ANY

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        found = (explanation_of(response) for response in responses)
        read = [None if one is None else self.read(one) for one in found]
        return [None if value is None or not math.isfinite(value) else value for value in read]

    def read(self, explanation: Mapping[str, Any]) -> float | None:
        """The value of one explanation; None where it has none."""
        raise NotImplementedError


class _Quality(ExplanationMetric):
    """A figure of `quality`; `over_random` is its difference from that of random attributions of the same text."""

    __slots__ = ()

    of: ClassVar[str] = ""
    over_random: ClassVar[bool] = False

    def read(self, explanation: Mapping[str, Any]) -> float | None:
        quality = explanation.get("quality")
        if not isinstance(quality, Mapping):
            return None
        value, random = quality.get(self.of), quality.get(f"{self.of}_random")
        if not self.over_random:
            return _number(value)
        own, other = _number(value), _number(random)
        return None if own is None or other is None else own - other


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comprehensiveness(_Quality):
    """How far an output falls when the words that an explanation puts first are masked: higher is more faithful.

        mean over q of f(x) − f(x without the top q of its words), q = 1, 5, 10, 20 and 50 %; in the unit of the output

    What a random explanation of the same text gets stands beside it: `comprehensiveness_over_random`.

    Source: DeYoung et al. 2020 (ERASER), area over the perturbation curve.
    """

    name = "comprehensiveness"
    of = "comprehensiveness"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComprehensivenessOverRandom(_Quality):
    """Comprehensiveness less that of random attributions of the same text: 0 is no better than chance.

        Σ_i (comprehensiveness_i − mean of its random attributions) / n

    Source: as `comprehensiveness`; the baseline is drawn by the task's seed.
    """

    name = "comprehensiveness_over_random"
    of = "comprehensiveness"
    over_random = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sufficiency(_Quality):
    """How far an output falls when only the words that an explanation puts first are kept: lower is more faithful.

        mean over q of f(x) − f(the top q of its words alone), q = 1, 5, 10, 20 and 50 %; in the unit of the output

    Source: DeYoung et al. 2020 (ERASER), area over the perturbation curve.
    """

    name = "sufficiency"
    of = "sufficiency"
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SufficiencyOverRandom(_Quality):
    """Sufficiency less that of random attributions of the same text: 0 is no better than chance, below 0 is better.

        Σ_i (sufficiency_i − mean of its random attributions) / n

    Source: as `sufficiency`; the baseline is drawn by the task's seed.
    """

    name = "sufficiency_over_random"
    of = "sufficiency"
    over_random = True
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionAuc(_Quality):
    """Mean output while words are masked one after the other, the most important first: lower is more faithful.

        area under f(x without its k most important words) over k / n, k = 0 … n; in the unit of the output

    Source: Petsiuk et al. 2018 (RISE), deletion, with words for pixels.
    """

    name = "deletion_auc"
    of = "deletion_auc"
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionAucOverRandom(_Quality):
    """Deletion area less that of random attributions of the same text: 0 is no better than chance, below 0 is better.

        Σ_i (deletion_auc_i − mean of its random attributions) / n

    Source: as `deletion_auc`; the baseline is drawn by the task's seed.
    """

    name = "deletion_auc_over_random"
    of = "deletion_auc"
    over_random = True
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertionAuc(_Quality):
    """Mean output while words are put back one after the other, the most important first: higher is more faithful.

        area under f(the k most important words of x alone) over k / n, k = 0 … n; in the unit of the output

    Source: Petsiuk et al. 2018 (RISE), insertion, with words for pixels.
    """

    name = "insertion_auc"
    of = "insertion_auc"


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertionAucOverRandom(_Quality):
    """Insertion area less that of random attributions of the same text: 0 is no better than chance.

        Σ_i (insertion_auc_i − mean of its random attributions) / n

    Source: as `insertion_auc`; the baseline is drawn by the task's seed.
    """

    name = "insertion_auc_over_random"
    of = "insertion_auc"
    over_random = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedStability(_Quality):
    """How alike explanations of one text by two seeds are: the rank correlation of their attributions.

        Σ_i spearman(values of seed s, values of seed s + 1) / n, from −1 to 1; 1 for methods that draw nothing

    Texts of one word, and those whose values do not vary, are left out.

    Source: Spearman's rank correlation, as scipy `spearmanr`.
    """

    name = "seed_stability"
    of = "seed_stability"
    bounds = (-1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedStabilityOverRandom(_Quality):
    """Likeness of the explanations by two seeds less that of shuffled values: 0 is no stabler than chance.

        Σ_i (seed_stability_i − mean rank correlation with its own values in 100 random orders) / n

    Source: as `seed_stability`; the orders are drawn by the task's seed.
    """

    name = "seed_stability_over_random"
    of = "seed_stability"
    over_random = True
    bounds = (-2.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationSimilarity(_Quality):
    """How alike the explanations of a model and of the same model with random upper layers are: near 0 is good.

        Σ_i spearman(values of the model, values of the model with its head and upper half drawn anew) / n, from −1 to 1

    An explanation that hardly changes when the model forgets shows the text and not the model. Needs
    `quality: {randomisation: true}`; texts of one word, and those whose values do not vary, are left out. No figure for
    `at_most`: −1 is as alike as 1, turned round, and texts of either sign cancel; a gate reads
    `randomisation_similarity_absolute_over_random`.

    Source: Adebayo et al. 2018, model parameter randomisation test (the rank correlation of signed values).
    """

    name = "randomisation_similarity"
    of = "randomisation_similarity"
    bounds = (-1.0, 1.0)
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationSimilarityOverRandom(_Quality):
    """Likeness to explanations of a model with random upper layers, less that of shuffled values: 0 is chance.

        Σ_i (randomisation_similarity_i − mean rank correlation with its own values in 100 random orders) / n

    Source: as `randomisation_similarity`; the orders are drawn by the task's seed.
    """

    name = "randomisation_similarity_over_random"
    of = "randomisation_similarity"
    over_random = True
    bounds = (-2.0, 2.0)
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationSimilarityAbsolute(_Quality):
    """How alike the explanations of a model and of the same model with random upper layers are, of either sign.

        Σ_i |spearman(values of the model, values of the model with its head and upper half drawn anew)| / n, 0 to 1

    Chance alone makes it more than 0, the more so the fewer words a text has: of five words .4, of twenty .18. Read it
    beside `randomisation_similarity_absolute_over_random`.

    Source: as `randomisation_similarity`.
    """

    name = "randomisation_similarity_absolute"
    of = "randomisation_similarity_absolute"
    bounds = (0.0, 1.0)
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationSimilarityAbsoluteOverRandom(_Quality):
    """Likeness, of either sign, to explanations of a model with random upper layers, less that of shuffled values.

        Σ_i (|ρ_i| − mean |rank correlation| with its own values in 100 random orders) / n

    0 is chance, and more is a likeness that a gate holds down with `at_most`, whichever way round it is.

    Source: as `randomisation_similarity`; the orders are drawn by the task's seed.
    """

    name = "randomisation_similarity_absolute_over_random"
    of = "randomisation_similarity_absolute"
    over_random = True
    bounds = (-1.0, 1.0)
    higher_is_better = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationEvaluations(ExplanationMetric):
    """Masked versions of a text that the model was asked about for its explanation.

        Σ_i n_evaluations_i / n

    What measuring the quality takes is not in it.

    Source: counted; a version that was asked for before counts once.
    """

    name = "explanation_evaluations"
    higher_is_better = False
    bounds = (0.0, math.inf)

    def read(self, explanation: Mapping[str, Any]) -> float | None:
        return _number(explanation.get("n_evaluations"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficiencyGap(ExplanationMetric):
    """How far attributions are from adding up to what they explain; 0 for Shapley values, whatever their order.

        Σ_i |Σ_j value_ij − (f(x_i) − f(x_i with all masked))| / n; in the unit of the output

    occlusion, LIME and attention do not promise to add up: for them it says how much of the output is left unexplained.

    Source: the efficiency axiom of Shapley 1953.
    """

    name = "efficiency_gap"
    higher_is_better = False
    bounds = (0.0, math.inf)

    def read(self, explanation: Mapping[str, Any]) -> float | None:
        column = explained_column(explanation)
        try:
            total = math.fsum(row[column] for row in explanation["values"])
            change = float(explanation["full_values"][column]) - float(explanation["base_values"][column])
        except (KeyError, IndexError, TypeError):
            return None
        return abs(total - change)
