"""The state of one column of a window: additive, of a size that does not depend on the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..stats.arrays import Floats, Ints
from ..stats.fourier import fourier_features
from .binning import bin_codes, count_sorted, level_counts, sum_of_squares
from .bounded import frequent, smallest_hashes
from .groups import group_of, row_codes, text_codes
from .layout import ColumnLayout
from .table import Column
from .terms_of_text import document_terms

__all__ = ["CategoryState", "ColumnState", "EmbeddingState", "NumericState", "TextState", "empty_state"]

# New names that are kept with their counts, and hashes for the number of distinct ones.
FRESH = 256
HASHES = 256
_ROWS = 2_048

Arrays: TypeAlias = dict[str, Any]


class _State:
    """What all columns share: how many rows have a value and how many have none, and the way to and from bytes."""

    ARRAYS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, layout: ColumnLayout, groups: int) -> None:
        self.layout = layout
        self.n_groups = groups
        # Rows with a value, without one, and (numbers) of −∞ and +∞.
        self.tally = np.zeros(4, dtype=np.int64)
        self.fresh: dict[str, int] = {}

    @property
    def n(self) -> int:
        """Rows that have a value."""
        return int(self.tally[0])

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return int(self.tally[1])

    def arrays(self) -> Arrays:
        """All that is kept, by name; what is None is left out."""
        return {name: found for name in ("tally", *self.ARRAYS) if (found := getattr(self, name)) is not None}

    def restore(self, arrays: Mapping[str, Any], fresh: Mapping[str, int]) -> None:
        """Take what `arrays` gave.

        Raises:
            ValueError: where an array is not known or has another shape.
        """
        for name, given in arrays.items():
            if name not in ("tally", *self.ARRAYS):
                raise ValueError(f"{name!r} is not kept of a column of this kind")
            wanted = self.shape(name)
            if wanted is not None and given.shape != wanted:
                raise ValueError(f"{name!r} has the shape {given.shape}, and must have {wanted}")
            setattr(self, name, given)
        self.fresh = {str(name): int(n) for name, n in fresh.items()}

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape that an array must have; None where it varies."""
        size = {"tally": (4,), "counts": (self.layout.size,), "by_group": (self.n_groups, self.layout.size)}
        return size.get(name, (self.n_groups,) if name in ("sizes", "sums") else None)

    def _add(self, other: Any, *names: str) -> None:
        for name in names:
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None:
                setattr(self, name, theirs.copy() if mine is None else mine + theirs)


class NumericState(_State):
    """Rows by frozen bin, moments and extremes of a numeric column.

    `moments` are (mean, sum of squared deviations), `range` (least, greatest). Of clustered rows, `by_group` (G, k)
    are the counts and `sums` (G,) the sums by random group. Infinite numbers are counted apart and are in nothing else.
    """

    ARRAYS = ("counts", "moments", "range", "by_group", "sums")

    def __init__(self, layout: ColumnLayout, groups: int) -> None:
        super().__init__(layout, groups)
        self.counts = np.zeros(layout.size, dtype=np.int64)
        self.moments = np.zeros(2)
        self.range = np.array([np.inf, -np.inf])
        self.by_group: Ints | None = None
        self.sums: Floats | None = None

    def shape(self, name: str) -> tuple[int, ...] | None:
        return (2,) if name in ("moments", "range") else super().shape(name)

    def update(self, column: Column, group: Ints | None) -> None:
        values = np.asarray(column.values, dtype=np.float64)
        if group is None:
            counts, missing, low, high = count_sorted(values, self.layout.cuts)
            n = int(counts.sum())
            finite = values if n == values.size else values[np.isfinite(values)]
        else:
            keep = np.isfinite(values)
            missing, low, high = (int(found.sum()) for found in (np.isnan(values), values == -np.inf, values == np.inf))
            finite, group = (values, group) if keep.all() else (values[keep], group[keep])
            n, k = finite.size, self.layout.size
            codes = group * k + bin_codes(finite, self.layout.cuts)
            by_group = np.bincount(codes, minlength=self.n_groups * k).reshape(self.n_groups, k)
            counts = by_group.sum(axis=0)
            sums = np.bincount(group, finite, minlength=self.n_groups).astype(np.float64)
            self.by_group = by_group if self.by_group is None else self.by_group + by_group
            self.sums = sums if self.sums is None else self.sums + sums
        self.counts = self.counts + counts
        before = self.n
        self.tally = self.tally + np.array([n, missing, low, high])
        if n:
            with np.errstate(over="ignore", invalid="ignore"):
                mean = float(finite.mean())
                squares = sum_of_squares(finite, mean)
            self._join(before, n, mean, squares)
            ends = [float(finite.min()), float(finite.max())]
            self.range = np.array([min(self.range[0], ends[0]), max(self.range[1], ends[1])])

    def _join(self, n: int, m: int, mean: float, squares: float) -> None:
        """Chan, Golub and LeVeque's update, written so that both orders give the same bits."""
        if not n:
            self.moments = np.array([mean, squares])
            return
        own, kept = float(self.moments[0]), float(self.moments[1])
        with np.errstate(over="ignore", invalid="ignore"):
            gap = np.float64(own) - mean
            between = gap * gap * (float(n) * float(m) / (n + m))
            self.moments = np.array([own * (n / (n + m)) + mean * (m / (n + m)), kept + squares + between])

    def merge(self, other: NumericState) -> None:
        if other.n:
            self._join(self.n, other.n, float(other.moments[0]), float(other.moments[1]))
        self._add(other, "tally", "counts", "by_group", "sums")
        ends = [self.range, other.range]
        self.range = np.array([min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)])


class CategoryState(_State):
    """Rows by known level and of all others, the frequent new levels, and hashes for the number of distinct ones."""

    ARRAYS = ("counts", "by_group", "hashes")

    def __init__(self, layout: ColumnLayout, groups: int) -> None:
        super().__init__(layout, groups)
        self.counts = np.zeros(layout.size, dtype=np.int64)
        self.by_group: Ints | None = None
        self.hashes = np.zeros(0, dtype=np.uint64)

    def update(self, column: Column, group: Ints | None) -> None:
        codes, known = column.values, len(self.layout.names)
        places = np.array([self.layout.places.get(level, known) for level in column.levels], dtype=np.int64)
        by_level = level_counts(column.values, len(column.levels))
        n = int(by_level.sum())
        if group is not None:
            keep = codes >= 0
            if n < codes.size:
                codes, group = codes[keep], group[keep]
            held = np.bincount(group * (known + 1) + places[codes], minlength=self.n_groups * (known + 1))
            by_group = held.reshape(self.n_groups, known + 1)
            self.by_group = by_group if self.by_group is None else self.by_group + by_group
        self.counts = self.counts + np.bincount(places, by_level, minlength=known + 1).astype(np.int64)
        self.tally = self.tally + np.array([n, len(column.values) - n, 0, 0])
        seen = np.flatnonzero(by_level)
        new = {column.levels[i]: int(by_level[i]) for i in seen if places[i] == known}
        self.fresh = frequent(self.fresh, new, FRESH)
        self.hashes = smallest_hashes(self.hashes, (column.levels[i] for i in seen), HASHES)

    def merge(self, other: CategoryState) -> None:
        self._add(other, "tally", "counts", "by_group")
        self.fresh = frequent(self.fresh, other.fresh, FRESH)
        self.hashes = np.unique(np.concatenate([self.hashes, other.hashes]))[:HASHES]


class TextState(_State):
    """Texts that hold each known term, and how many further terms they hold, by random group.

    The groups are those of the clusters, or of the texts themselves where rows have none: the terms of one text never
    are independent. `fresh` are frequent terms that the reference's vocabulary does not have.
    """

    ARRAYS = ("by_group", "sizes")

    def __init__(self, layout: ColumnLayout, groups: int) -> None:
        super().__init__(layout, groups)
        self.by_group = np.zeros((groups, layout.size), dtype=np.int64)
        self.sizes = np.zeros(groups, dtype=np.int64)

    @property
    def counts(self) -> Ints:
        """(k,) texts that hold each term; last, the further terms of all texts."""
        found: Ints = self.by_group.sum(axis=0)
        return found

    def update(self, column: Column, group: Ints | None) -> None:
        places, known = self.layout.places, len(self.layout.names)
        there = [i for i, text in enumerate(column.texts) if text is not None]
        texts = [column.texts[i] or "" for i in there]
        codes = group_of(text_codes(texts), self.n_groups) if group is None else group[there]
        new: Counter[str] = Counter()
        cells: list[int] = []
        for text, g in zip(texts, codes.tolist(), strict=True):
            terms = document_terms(text)
            cells += [g * (known + 1) + places.get(term, known) for term in terms]
            new.update(term for term in terms if term not in places)
        counted = np.bincount(np.array(cells, dtype=np.int64), minlength=self.n_groups * (known + 1))
        self.by_group = self.by_group + counted.reshape(self.n_groups, known + 1)
        self.sizes = self.sizes + np.bincount(codes, minlength=self.n_groups)
        self.tally = self.tally + np.array([len(texts), len(column.texts) - len(texts), 0, 0])
        self.fresh = frequent(self.fresh, new, FRESH)

    def merge(self, other: TextState) -> None:
        self._add(other, "tally", "by_group", "sizes")
        self.fresh = frequent(self.fresh, other.fresh, FRESH)


class EmbeddingState(_State):
    """Sums of random Fourier features and of the vectors themselves, by random group of clusters (or of vectors)."""

    ARRAYS = ("features", "sizes", "total")

    def __init__(self, layout: ColumnLayout, groups: int) -> None:
        super().__init__(layout, groups)
        self.features = np.zeros((groups, layout.features))
        self.sizes = np.zeros(groups, dtype=np.int64)
        self.total = np.zeros(layout.dimensions)

    def shape(self, name: str) -> tuple[int, ...] | None:
        if name == "features":
            return (self.n_groups, self.layout.features)
        return (self.layout.dimensions,) if name == "total" else super().shape(name)

    def update(self, column: Column, group: Ints | None) -> None:
        values: Floats = np.asarray(column.values, dtype=np.float64)
        keep = column.present
        if values.shape[1:] != self.total.shape:
            values = np.zeros((len(values), self.total.size))
        if not keep.all():
            values, group = values[keep], None if group is None else group[keep]
        self.tally = self.tally + np.array([len(values), keep.size - len(values), 0, 0])
        codes = group_of(row_codes(values), self.n_groups) if group is None else group
        self.sizes = self.sizes + np.bincount(codes, minlength=self.n_groups)
        self.total = self.total + values.sum(axis=0, dtype=np.float64)
        features = self.features.copy()
        for start in range(0, len(values), _ROWS):
            block = fourier_features(values[start : start + _ROWS], self.layout.matrix)
            chosen = codes[start : start + _ROWS, None] == np.arange(self.n_groups)
            features += chosen.T.astype(np.float64) @ block
        self.features = features

    def merge(self, other: EmbeddingState) -> None:
        self._add(other, "tally", "features", "sizes", "total")


ColumnState: TypeAlias = NumericState | CategoryState | TextState | EmbeddingState

_STATES: Mapping[str, Any] = {
    "numeric": NumericState,
    "category": CategoryState,
    "text": TextState,
    "embedding": EmbeddingState,
}


def empty_state(layout: ColumnLayout, groups: int) -> ColumnState:
    """The state of no rows, which changes nothing when it is merged."""
    found: ColumnState = _STATES[layout.kind](layout, groups)
    return found
