"""Confidence-based estimates (CBPE) of classes: from the stated probability of what was predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from evalharness.core.errors import UsageError
from evalharness.metrics.labels import choose_positive
from evalharness.stats.arrays import Bools, Floats, np
from evalharness.stats.label_free import FIGURES, Fitness, Reference, estimates, fitness_of

from .estimating import Estimate, Refused
from .kept_rows import KeptRows

__all__ = ["LEAST_LABELLED", "MOST_ERROR", "class_estimates"]

LEAST_LABELLED: Final = 300
"""Labelled rows of the reference; fewer do not tell a map of probabilities."""
MOST_ERROR: Final = 0.03
"""Calibration error that held-out rows may show beyond chance: estimates of accuracy are off by about as much."""


def class_estimates(
    reference: KeptRows, current: KeptRows, groups: Mapping[str, Bools]
) -> Sequence[Estimate] | Refused:
    """Accuracy of each group; of two classes of which one is positive also F1, AUROC and Brier score."""
    known = ~np.isnan(reference.probability)
    labels = np.array([label or "" for label in reference.labels], dtype=str)
    predicted = np.array(reference.predictions, dtype=str)
    right = np.array([p == (label or "").strip() for p, label in zip(predicted.tolist(), labels.tolist(), strict=True)])
    if int(known.sum()) < LEAST_LABELLED:
        return Refused(
            f"cbpe needs {LEAST_LABELLED} responses of the reference with prediction, probability and label, and has "
            f"{int(known.sum()):,}; take a longer reference, or wait for its labels and remove its folder `estimate-…`"
        )
    rows = Reference(reference.probability[known], right[known].astype(np.bool_), reference.clusters[known])
    fitness = fitness_of(rows)
    refused = _unfit(rows, fitness)
    if refused is not None:
        return refused
    stated = current.probability
    usable = ~np.isnan(stated)
    if not usable.any():
        return Refused("cbpe: no response of the interval states the probability of its prediction")
    positive = _positive({*predicted.tolist(), *labels.tolist(), *current.predictions} - {""})
    chosen = None if positive is None else np.array([p == positive for p in current.predictions], dtype=np.bool_)
    held = {name: mask[usable] for name, mask in groups.items() if (mask & usable).any()}
    found = estimates(rows, stated[usable], None if chosen is None else chosen[usable], fitness=fitness, groups=held)
    realised = _Realised(current, chosen, stated)
    return [
        Estimate(metric, group, value, interval, int(held[group].sum()), *realised(metric, groups[group] & usable))
        for (group, metric), (value, interval) in found.items()
    ]


def _unfit(rows: Reference, fitness: Fitness) -> Refused | None:
    if rows.right.all() or not rows.right.any():
        what = "right" if rows.right.all() else "wrong"
        return Refused(f"cbpe: all labelled responses of the reference are {what}; nothing tells when one is not")
    if fitness.error > MOST_ERROR:
        return Refused(
            "cbpe: the probabilities of the reference cannot be calibrated: held out, they are off by "
            f"{fitness.error:.3f} beyond chance ({fitness.chance:.3f}), and {MOST_ERROR:g} is the most; take a "
            "reference of one period and one model"
        )
    if not fitness.area_low > 0.5:
        return Refused(
            "cbpe: the probabilities of the reference do not tell right from wrong answers (AUROC "
            f"{fitness.area:.3f}, at least {fitness.area_low:.3f} with 95 % confidence; it must be above 0.5); log "
            "another measure of confidence"
        )
    return None


def _positive(labels: set[str]) -> str | None:
    if len(labels) != 2:
        return None
    try:
        return choose_positive(tuple(sorted(labels)), None, metric="cbpe")
    except UsageError:
        return None


class _Realised:
    """The figures of those that are labelled."""

    def __init__(self, rows: KeptRows, chosen: Bools | None, stated: Floats) -> None:
        self._labelled = np.array([label is not None for label in rows.labels], dtype=np.bool_)
        pairs = zip(rows.predictions, rows.labels, strict=True)
        self._right = np.array([p == (label or "").strip() for p, label in pairs], dtype=np.float64)
        self._chosen = np.ones(rows.n, dtype=np.bool_) if chosen is None else chosen
        self._stated = np.where(self._chosen, stated, 1.0 - stated)

    def __call__(self, metric: str, mask: Bools) -> tuple[float, int]:
        held = mask & self._labelled
        n = int(held.sum())
        return (FIGURES[metric](self._right[held], self._chosen[held], self._stated[held]) if n else math.nan), n
