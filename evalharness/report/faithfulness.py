"""How faithful explanations are: figures beside those of random ones, and curves over the words that are masked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.language import retold, t
from .charts import Chart, curves

if TYPE_CHECKING:
    from .explanations import ExplanationView

__all__ = ["CURVES", "FAITHFUL", "QUALITIES", "Curve", "QualityRow", "faith_charts", "mean_curves", "quality_rows"]

Curve = tuple[tuple[float, float], ...]
_CONFIDENCE = 0.95
_POINTS = 11
CURVES = {
    "deletion": {"explanation": "deletion_curve", "random order": "deletion_random_curve"},
    "insertion": {"explanation": "insertion_curve", "random order": "insertion_random_curve"},
}

QUALITIES = (
    ("comprehensiveness", "comprehensiveness", 1),
    ("sufficiency", "sufficiency", -1),
    ("deletion area", "deletion_auc", -1),
    ("insertion area", "insertion_auc", 1),
    ("stability over seeds", "seed_stability", 1),
    ("likeness to a model with random layers", "randomisation_similarity", 0),
    ("… of either sign", "randomisation_similarity_absolute", -1),
)
# Those that measure the model itself: how far its output follows the explanation.
FAITHFUL = frozenset(name for name, _, _ in QUALITIES[:4])


@dataclass(frozen=True, slots=True)
class QualityRow:
    """A figure of faithfulness beside that of random attributions; `gain` with its interval is their difference.

    `better` is 1 where a higher figure is more faithful, −1 where a lower one is, and 0 where one near 0 is.
    """

    name: str
    value: float
    random: float
    gain: float
    low: float
    high: float
    n: int
    better: int

    @property
    def way(self) -> str:
        """Which way a figure is more faithful, as an arrow."""
        return "↑" if self.better > 0 else "↓" if self.better < 0 else "→0"

    @property
    def finding(self) -> str:
        """What the interval of the difference says."""
        if math.isnan(self.low) or math.isnan(self.high):
            return "too few texts"
        if not self.better:
            if self.low > 0:
                return "more alike than chance"
            return "less alike than chance" if self.high < 0 else "no likeness beyond chance shown"
        signed = (self.low, self.high) if self.better > 0 else (-self.high, -self.low)
        if signed[0] > 0:
            return "better than chance"
        return "worse than chance" if signed[1] < 0 else "no better than chance shown"


def quality_rows(
    found: Sequence[Mapping[str, Any]], clusters: Sequence[str | None] | None = None
) -> Iterator[QualityRow]:
    """A row for each figure that any of the texts has; `found` is what stands in the `quality` of their answers.

    Texts of one of `clusters` (an entry a text) count as one for the interval, as they do for metrics.
    """
    from ..stats.intervals import cluster_codes, mean_interval

    known = [None] * len(found) if clusters is None else clusters

    for name, key, better in QUALITIES:
        told = ((one.get(key), one.get(f"{key}_random"), of) for one, of in zip(found, known, strict=True))
        pairs = [
            (float(a), float(b), of) for a, b, of in told if isinstance(a, int | float) and isinstance(b, int | float)
        ]
        if not pairs:
            continue
        gains = [value - random for value, random, _ in pairs]
        low, high = mean_interval(gains, confidence=_CONFIDENCE, codes=cluster_codes([of for *_, of in pairs]))
        n = len(pairs)
        mean = math.fsum(value for value, *_ in pairs) / n
        random = math.fsum(value for _, value, _ in pairs) / n
        yield QualityRow(name, mean, random, mean - random, low, high, n, better)


def mean_curves(found: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Curve]]:
    """The mean over texts of an output, at shares of their words from 0 to 1, as `CURVES`; {} where no text has one.

    Texts have different numbers of words, so each curve is read at eleven shares of them, by straight lines.
    """
    import numpy as np

    shares = np.linspace(0.0, 1.0, _POINTS)
    curves: dict[str, dict[str, Curve]] = {}
    for way, keys in CURVES.items():
        n_before = 0
        for name, key in keys.items():
            told = [one[key] for one in found if _is_curve(one.get(key))]
            # The means of all texts and of some of them are not to be compared.
            if told and len(told) >= n_before:
                n_before = len(told)
                rows = [
                    np.interp(shares, np.linspace(0.0, 1.0, len(one)), np.asarray(one, dtype=float)) for one in told
                ]
                mean = np.mean(rows, axis=0)
                curves.setdefault(way, {})[name] = tuple(zip(shares.tolist(), mean.tolist(), strict=True))
    return curves


def _is_curve(given: Any) -> bool:
    return isinstance(given, Sequence) and len(given) > 1 and None not in given


def faith_charts(view: ExplanationView) -> list[Chart]:
    """What becomes of the output as the most important words are masked, and as they are shown; by chance, too."""
    titles = {
        "deletion": t("Mean output as the most important words are masked first"),
        "insertion": t("Mean output as the most important words are shown first"),
    }
    unit = retold(view.unit.replace("_", " ") or "output")
    return [
        curves(
            {t(name): curve for name, curve in named.items()},
            title=titles[way],
            x=t("share of the words"),
            y=unit,
            x_percent=True,
        )
        for way, named in view.curves.items()
    ]
