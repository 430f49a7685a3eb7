"""Who beats whom in the eyes of people: wins, ties and losses, and Bradley-Terry strengths in Elo points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..core.types import MetricResult
from ..record.ratings import TIE
from ..stats.arrays import Floats, np
from ..stats.bradley_terry import ELO, bradley_terry, separate_groups
from ..stats.tails import normal_quantile

__all__ = ["STRENGTH", "Duels", "Score", "duels_of"]

STRENGTH = "Elo"
"""The name of the figure."""

_PRIOR = 0.5


class Score(NamedTuple):
    """How often a model won, tied and lost."""

    won: int
    tied: int
    lost: int


@dataclass(frozen=True, slots=True)
class Duels:
    """The models of all comparisons, best first: their strengths where there are any, and their scores.

    `note` says why there is no ranking, or what had to be assumed for it.
    """

    results: tuple[MetricResult, ...]
    scores: tuple[tuple[str, Score], ...]
    note: str = ""

    def score(self, model: str) -> Score:
        """The score of `model`."""
        return dict(self.scores)[model]


def duels_of(task: str, verdicts: Sequence[tuple[str, str, str, str]], *, confidence: float = 0.95) -> Duels:
    """The ranking from verdicts (sample, one model, the other model, who won or "tie").

    Strengths are those of Bradley and Terry with ties as half wins, in Elo points from the mean model. Verdicts on the
    same sample may hang together: the standard error is the larger of that of independent verdicts and the robust one,
    clustered by sample. Where a model won or lost all its comparisons, half a win is added to either side of each pair.
    """
    models = sorted({name for _, one, other, _ in verdicts for name in (one, other)})
    samples = list(dict.fromkeys(sample for sample, *_ in verdicts))
    row, unit = {m: i for i, m in enumerate(models)}, {s: i for i, s in enumerate(samples)}
    wins, ties = (np.zeros((len(samples), len(models), len(models))) for _ in range(2))
    for sample, one, other, winner in verdicts:
        if winner == TIE:
            ties[unit[sample], row[one], row[other]] += 1
            ties[unit[sample], row[other], row[one]] += 1
        else:
            wins[unit[sample], row[winner], row[other if winner == one else one]] += 1
    scores = {
        m: Score(*(int(part.sum()) for part in (wins[:, i], ties[:, i], wins[:, :, i]))) for i, m in enumerate(models)
    }
    counts = wins + ties / 2
    note, prior = _assumed(counts.sum(axis=0), models)
    if prior is None:
        by_wins = sorted(models, key=lambda m: -(scores[m].won - scores[m].lost))
        return Duels((), tuple((m, scores[m]) for m in by_wins), note)
    fit = bradley_terry(counts.sum(axis=0), prior=prior)
    errors = np.fmax(fit.standard_errors, fit.robust_errors(counts))
    elo = np.round(fit.elo, 6) + 0.0  # what is left of the mean by rounding is 0, and not −1e-14
    half = normal_quantile((1 + confidence) / 2) * errors * ELO
    order = np.argsort(-fit.log_strengths, kind="stable").tolist()
    results = tuple(
        MetricResult(
            task=task,
            model=models[i],
            metric=STRENGTH,
            value=float(elo[i]),
            ci_low=float(elo[i] - half[i]),
            ci_high=float(elo[i] + half[i]),
            ci_method="bradley-terry",
            confidence=confidence,
            n=sum(scores[models[i]]),
            n_failed=0,
            higher_is_better=True,
            bounds=(-math.inf, math.inf),
            signature="",
        )
        for i in order
    )
    return Duels(results, tuple((models[i], scores[models[i]]) for i in order), note)


def _assumed(counts: Floats, models: Sequence[str]) -> tuple[str, float | None]:
    """What has to be assumed for a ranking, in words, and the prior; None where there can be no ranking."""
    if not models:
        return "", None
    if len(separate_groups(counts)) == 1:
        return "", 0.0
    apart = separate_groups(counts + counts.T)
    if len(apart) > 1:
        groups = " | ".join(", ".join(models[i] for i in group) for group in apart)
        return f"no ranking: these were never compared with one another, not even through others: {groups}", None
    return (
        "some models won or lost all comparisons with the rest: half a win is added to either side of each pair, so "
        "that their strength is finite, and it is a cautious one",
        _PRIOR,
    )
