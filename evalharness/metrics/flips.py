"""How often an answer changes when the question is asked in other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import Ints, np
from evalharness.stats.intervals import Interval
from evalharness.stats.leaning import cluster_wilson

from .base import BOOTSTRAP, LABELLED_KINDS, NEEDS_NOTHING, ORIGINALS, BaseMetric, check_batch, require
from .labels import label_of
from .text import squad_normalize

__all__ = ["OPTION_ORDER", "FlipRate"]

OPTION_ORDER = "option_order"
"""The field of a rewritten row that says which of the original options stands at each place."""
_MARK = "#"
# What no answer can read: it holds a character that no text of a model does.
_REFUSED, _UNREADABLE = "\0refusal", "\0unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipRate(BaseMetric):
    """Share of rewritten questions whose answer differs from that to the original: how easily a model is swayed.

        Σ_i Σ_v [answer_iv ≠ answer_i] / Σ_i Σ_v 1,  over rows i and their variants v

    Right and wrong do not matter here: a model that changes its mind as often for the better as for the worse keeps its
    accuracy and has a flip rate. Of multiple choice the option counts, wherever it stands and whatever its letter; a
    refusal and an answer that could not be read are answers of their own. A pair is left out where one of the two never
    came, and where the rewriting left the question as it was. Free text that nothing is extracted from differs nearly
    always: give the task an `extract`. With several repeats the most frequent answer speaks for the question. The
    variants of a row are one cluster, at least.

    Options:
        column: the group column that says which variant a sample is.
        reference: the variant that the others are compared with.
        levels: only these variants (default: all).
        expect: same, or change, for rewritings that turn the meaning round: then more is better.
        normalize: how answers are compared: squad (case, punctuation and articles do not count), strip or none.

    Source: a share of pairs with the cluster-robust Wilson interval; "flip rate" as in Ribeiro et al. 2020 (CheckList,
    arXiv 2005.04118), failure rate of invariance tests.
    """

    column: str = "perturbation"
    reference: str = "original"
    levels: tuple[str, ...] | None = None
    expect: Literal["same", "change"] = "same"
    normalize: Literal["squad", "strip", "none"] = "strip"

    name = "flip_rate"
    kinds = LABELLED_KINDS
    needs = NEEDS_NOTHING
    interval = BOOTSTRAP
    interval_name = "wilson"
    scores_blank = False

    def __post_init__(self) -> None:
        require(self.levels is None or len(self.levels) > 0, "levels must name at least one variant")
        require(
            self.reference not in (self.levels or ()), f"levels must not name the reference, {self.reference!r}, itself"
        )

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """Only where answers should change."""
        return self.expect == "change"

    @property
    def columns(self) -> tuple[str, ...]:
        """Codes of what is compared, no numbers to be added: `row`, `answer` and `content` are hashes."""
        return ("n", ORIGINALS, "row", "answer", "content")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        rows = [self._row(sample, response) for sample, response in zip(samples, responses, strict=True)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.columns))

    def _row(self, sample: Sample, response: Response) -> tuple[float, ...]:
        level = sample.groups.get(self.column)
        if level is None or (self.levels is not None and level not in (*self.levels, self.reference)):
            return (0.0,) * len(self.columns)
        base = sample.id.removesuffix(f"{_MARK}{level}")
        return (1.0, float(level == self.reference), _code(base), _code(self._said(sample, response)), _of(sample))

    def _said(self, sample: Sample, response: Response) -> str:
        if response.status == "refusal":
            return _REFUSED
        said = label_of(response)
        if said is None:
            return _UNREADABLE
        if said in sample.choices:
            place = sample.choices.index(said)
            order = sample.fields.get(OPTION_ORDER)
            return f"\0option {order[place] if isinstance(order, list | tuple) else place}"
        if self.normalize == "squad":
            return squad_normalize(said)
        return said.strip() if self.normalize == "strip" else said

    def merge_repeats(self, rows: Array, owner: Ints) -> Array:
        """A sample's row from those of its repeats: its most frequent answer, the first of equally frequent ones."""
        merged = np.zeros((int(owner.max()) + 1 if len(owner) else 0, rows.shape[1]))
        for number in range(len(merged)):
            mine = rows[owner == number]
            mine = mine[mine[:, 0] > 0]
            if len(mine):
                answers, first, counts = np.unique(mine[:, 3], return_index=True, return_counts=True)
                best = min(range(len(answers)), key=lambda i: (-int(counts[i]), int(first[i])))
                merged[number] = mine[first[best]]
                merged[number, [1, 2, 4]] = mine[0, [1, 2, 4]]
        return merged

    def finalize(self, totals: Array) -> Array:
        """NaN: one sample, or totals, have no pairs."""
        return np.full(np.shape(totals)[:-1], np.nan)

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The share of the rows (n, 5) for each row of frequency weights (..., n)."""
        variants, originals, flipped = self._pairs(stats)
        weight = np.ones(len(stats)) if weights is None else np.asarray(weights, dtype=np.float64)
        pairs = weight[..., variants] * (weight[..., originals] > 0)
        total = pairs.sum(axis=-1)
        found = (pairs * flipped).sum(axis=-1)
        result: Array = np.divide(found, total, out=np.full(np.shape(total), np.nan), where=total > 0)
        return result

    def interval_rows(self, stats: Array, *, confidence: float, codes: Ints | None = None) -> Interval:
        """Wilson's interval at the effective number of pairs, which variants of a row (or a cluster) share."""
        variants, _, flipped = self._pairs(stats)
        owners = stats[variants, 2] if codes is None else codes[variants]
        clusters = np.unique(owners, return_inverse=True)[1].astype(np.int64)
        if not len(clusters) or clusters.max() < 1:
            return Interval(np.nan, np.nan)
        return cluster_wilson(flipped, clusters, confidence=confidence)

    def n_measured(self, stats: Array) -> int:
        """How many pairs the rows hold."""
        return len(self._pairs(stats)[0])

    def _pairs(self, stats: Array) -> tuple[Ints, Ints, Array]:
        """(indexes of the variants, of their originals, 1.0 where the answers differ) of the questions that differ."""
        stats = np.asarray(stats, dtype=np.float64)
        known = stats[:, 0] > 0
        originals = np.flatnonzero(known & (stats[:, 1] > 0))
        variants = np.flatnonzero(known & (stats[:, 1] == 0))
        order = originals[np.argsort(stats[originals, 2], kind="stable")]
        if not len(order) or not len(variants):
            none = np.zeros(0, dtype=np.int64)
            return none, none, np.zeros(0)
        places = np.minimum(np.searchsorted(stats[order, 2], stats[variants, 2]), len(order) - 1)
        mine = order[places]
        paired = (stats[mine, 2] == stats[variants, 2]) & (stats[mine, 4] != stats[variants, 4])
        variants, mine = variants[paired].astype(np.int64), mine[paired].astype(np.int64)
        return variants, mine, (stats[variants, 3] != stats[mine, 3]).astype(np.float64)


def _of(sample: Sample) -> float:
    return _code(sample.digest)


@lru_cache(maxsize=65536)
def _code(text: str) -> float:
    """A number for a text, exact in a float64: two texts of a run share one with a chance of about n² / 2⁴⁹."""
    return float(1 + int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).digest()))
