"""What searches on many texts say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.stats.arrays import np
from evalharness.stats.intervals import Interval, wilson

from .search import Attacked

__all__ = ["AttackFigures", "attack_figures"]


@dataclass(frozen=True, slots=True)
class AttackFigures:
    """Figures of an attack; NaN where there is nothing to measure.

    `success_rate` is fooled / attacked, those attacked being the texts that were classified rightly; `accuracy` and
    `accuracy_under_attack` are of all texts. The means of queries are over the texts attacked, those of changed words
    and similarity over the fooled ones.
    """

    n: int
    n_attacked: int
    n_fooled: int
    n_out_of_queries: int
    success_rate: float
    success_interval: Interval
    accuracy: float
    accuracy_under_attack: float
    mean_queries: float
    mean_share_changed: float
    mean_similarity: float


def attack_figures(found: Sequence[Attacked], *, confidence: float = 0.95) -> AttackFigures:
    """The figures of `found`, with Wilson's interval of the success rate."""
    attacked = [one for one in found if one.outcome != "wrong before"]
    fooled = [one for one in attacked if one.outcome == "fooled"]
    n = len(found)
    return AttackFigures(
        n=n,
        n_attacked=len(attacked),
        n_fooled=len(fooled),
        n_out_of_queries=sum(one.outcome == "out of queries" for one in attacked),
        success_rate=_mean([float(one.outcome == "fooled") for one in attacked]),
        success_interval=wilson(len(fooled), len(attacked), confidence=confidence),
        accuracy=_mean([float(one.outcome != "wrong before") for one in found]),
        accuracy_under_attack=_mean([float(one.outcome in ("held", "out of queries")) for one in found]),
        mean_queries=_mean([one.n_queries for one in attacked]),
        mean_share_changed=_mean([one.share_changed for one in fooled]),
        mean_similarity=_mean([one.similarity for one in fooled]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
