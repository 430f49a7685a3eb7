"""What a window state is counted over: bins, levels, terms and features, frozen once from the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..core.canonical import digest
from ..core.drifting import ColumnKind
from ..core.errors import UsageError
from ..stats.arrays import Floats, Ints
from ..stats.fourier import fourier_matrix, median_distance
from .binning import bin_edges, level_counts
from .table import Column, Table
from .terms_of_text import document_terms

__all__ = ["OTHER", "ColumnLayout", "Layout", "freeze"]

OTHER = "(other)"
"""The name of what a layout does not know: further levels, terms, and values of a segment."""

_SAMPLE = 200_000
_TEXTS = 20_000
_VECTORS = 5_000
_LEAST_BINS, _ROWS_A_BIN = 4, 20
# Names counted while a layout is made; beyond twice as many, the rarest are dropped.
_NAMES = 50_000


@dataclass(frozen=True)
class ColumnLayout:
    """How one column is counted.

    `edges` and `positions` are those of numeric columns (see `binning`), the positions being the reference's mean in
    each bin in its standard deviations; `names` the levels of a category or the terms of a text, most frequent first;
    `dimensions`, `features`, `bandwidth` and `seed` make the Fourier matrix of an embedding, and `encoder` is the
    identity of what makes its vectors, where that is known.
    """

    kind: ColumnKind
    edges: tuple[float, ...] = ()
    positions: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    dimensions: int = 0
    features: int = 0
    bandwidth: float = 1.0
    seed: int = 0
    encoder: str = ""

    @property
    def size(self) -> int:
        """How many counts a row of this column has: bins, or names and the rest."""
        return len(self.edges) + 1 if self.kind == "numeric" else len(self.names) + 1

    @cached_property
    def cuts(self) -> Floats:
        """(k − 1,) the edges."""
        return np.array(self.edges, dtype=np.float64)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each name is counted."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def matrix(self) -> Floats:
        """(dimensions, features/2) the Fourier frequencies."""
        return fourier_matrix(self.dimensions, self.features, self.bandwidth, seed=self.seed)


@dataclass(frozen=True)
class Layout:
    """All columns' layouts, the known values of each segment, and the number of random groups of clusters.

    Two states are compared and merged only under one `digest`.
    """

    columns: Mapping[str, ColumnLayout]
    segments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: int = 64

    @cached_property
    def digest(self) -> str:
        """The sha256 of all that is in it."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, from which `from_json` makes the same layout."""
        columns = {name: _plain(asdict(column)) for name, column in self.columns.items()}
        return {"columns": columns, "segments": {k: list(v) for k, v in self.segments.items()}, "groups": self.groups}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Layout:
        """The layout that `to_json` wrote."""
        columns: dict[str, ColumnLayout] = {}
        for name, given in plain["columns"].items():
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
            columns[str(name)] = ColumnLayout(**values)
        return cls(columns, {k: tuple(v) for k, v in plain["segments"].items()}, int(plain["groups"]))

    def difference(self, other: Layout) -> str:
        """The first thing in which two layouts differ, in words; "" where they are the same."""
        for name in dict.fromkeys((*self.columns, *other.columns)):
            mine, theirs = self.columns.get(name), other.columns.get(name)
            if mine is None or theirs is None:
                return f"only one of them has the column {name!r}"
            for key, value in asdict(mine).items():
                if value != getattr(theirs, key):
                    return f"column {name!r} has another {key!r}: {_short(value)} and {_short(getattr(theirs, key))}"
        for key in ("segments", "groups"):
            if getattr(self, key) != getattr(other, key):
                return f"{key!r} differ: {_short(getattr(self, key))} and {_short(getattr(other, key))}"
        return ""


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    # Layouts from before there were encoders keep their digests.
    kept = {key: value for key, value in given.items() if key != "encoder" or value}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def freeze(
    reference: Table | Iterable[Table],
    *,
    bins: int = 64,
    levels: int = 256,
    terms: int = 500,
    features: int = 512,
    segment_levels: int = 32,
    groups: int = 64,
    seed: int = 0,
) -> Layout:
    """The layout of a reference, in one pass with bounded memory; the same tables give the same layout.

    Bins come from a random sample of at most 200,000 rows, levels and terms are the most frequent ones, an embedding's
    bandwidth is the median distance of its rows.

    Args:
        reference: one table, or the chunks of one.
        bins: bins of equal share of a numeric column, at most one for 20 rows; heavy values and the tails get some
            more.
        levels: known levels of a category; the rest is counted together.
        terms: known terms of a text.
        features: random Fourier features of an embedding, an even number.
        segment_levels: values of a segment that are looked at by themselves.
        groups: random groups of clusters.
        seed: of the sample and of the Fourier matrix.

    Raises:
        UsageError: for no table, and for chunks that differ in their columns.
    """
    gathered: dict[str, _Gathered] = {}
    segments: dict[str, Counter[str]] = {}
    rng = np.random.default_rng(seed)
    names: tuple[str, ...] | None = None
    options: dict[str, int] = {"bins": bins, "levels": levels, "terms": terms, "features": features, "seed": seed}
    layouts: dict[str, ColumnLayout] = {}
    # Of one table, a column's sample is dropped as soon as its layout is made.
    whole = isinstance(reference, Table)
    for table in (reference,) if isinstance(reference, Table) else reference:
        if names is None:
            names = tuple(table.columns)
            gathered = {name: _Gathered(column.kind) for name, column in table.columns.items()}
            segments = {name: Counter() for name in table.segments}
        elif names != tuple(table.columns):
            raise UsageError(
                f"all chunks of the reference must have the same columns; one has {', '.join(names)}, "
                f"another {', '.join(table.columns)}"
            )
        order = rng.random(table.n)
        # The rows that a sample may keep are the same for all columns.
        first = np.argpartition(order, _SAMPLE)[:_SAMPLE] if table.n > _SAMPLE else None
        for name, column in table.columns.items():
            gathered[name].add(column, order, first)
            if whole:
                layouts[name] = gathered.pop(name).layout(**options)
        for name, column in table.segments.items():
            _count(segments.setdefault(name, Counter()), column)
    if names is None:
        raise UsageError("a reference without rows cannot be frozen; give at least one table")
    return Layout(
        layouts or {name: one.layout(**options) for name, one in gathered.items()},
        {name: _most(counts, segment_levels) for name, counts in segments.items()},
        groups,
    )


def _count(counts: Counter[str], column: Column) -> None:
    found = level_counts(column.values, len(column.levels))
    counts.update({level: int(n) for level, n in zip(column.levels, found, strict=True) if n})
    _bound(counts)


def _bound(counts: Counter[str]) -> None:
    if len(counts) > 2 * _NAMES:
        kept = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_NAMES]
        counts.clear()
        counts.update(dict(kept))


def _most(counts: Counter[str], size: int) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:size])


class _Gathered:
    """What is kept of one column while chunks of the reference go by."""

    def __init__(self, kind: ColumnKind) -> None:
        self.kind = kind
        self.counts: Counter[str] = Counter()
        self.sample: Floats | None = None
        self.order = np.zeros(0)
        self.texts = 0
        self.encoder: str | None = None

    def add(self, column: Column, order: Floats, first: Ints | None) -> None:
        if column.kind != self.kind:
            raise UsageError(f"a column is {self.kind} in one chunk of the reference and {column.kind} in another")
        if self.encoder not in (None, column.encoder):
            raise UsageError("the vectors of a column come from two encoders; embed all chunks of the reference by one")
        self.encoder = column.encoder
        if self.kind == "category":
            _count(self.counts, column)
        elif self.kind == "text":
            for text in column.texts[: max(0, _TEXTS - self.texts)]:
                self.counts.update(document_terms(text or ""))
            self.texts += len(column.texts)
            _bound(self.counts)
        else:
            if self.kind == "embedding" and not np.asarray(column.values).shape[1]:
                return
            values: Floats = np.asarray(column.values, dtype=np.float64)
            if first is not None:
                values, order = values[first], order[first]
            self._keep(values, order, _SAMPLE if self.kind == "numeric" else _VECTORS)

    def _keep(self, values: Floats, order: Floats, size: int) -> None:
        """The rows with the smallest random numbers so far: a simple random sample, whatever the chunks are."""
        if len(order) > size:
            places = np.argpartition(order, size)[:size]
            values, order = values[places], order[places]
        if self.sample is not None:
            values, order = np.concatenate([self.sample, values]), np.concatenate([self.order, order])
            places = np.argsort(order)[:size]
            values, order = values[places], order[places]
        self.sample, self.order = values, order

    def layout(self, *, bins: int, levels: int, terms: int, features: int, seed: int) -> ColumnLayout:
        if self.kind in ("category", "text"):
            return ColumnLayout(self.kind, names=_most(self.counts, levels if self.kind == "category" else terms))
        sample = np.zeros(0) if self.sample is None else self.sample
        kept = sample[np.isfinite(sample).reshape(len(sample), -1).all(axis=1)] if len(sample) else sample
        if self.kind == "embedding":
            width = kept.shape[1] if kept.ndim == 2 else 0
            bandwidth = median_distance(kept, seed=seed)
            return ColumnLayout(
                "embedding",
                dimensions=width,
                features=features,
                bandwidth=bandwidth,
                seed=seed,
                encoder=self.encoder or "",
            )
        # Edges that are values of the reference itself fit it too well where each bin has a few rows only.
        edges = bin_edges(kept, max(_LEAST_BINS, min(bins, kept.size // _ROWS_A_BIN)))
        return ColumnLayout("numeric", tuple(map(float, edges)), _positions(kept, edges))


def _positions(sample: Floats, edges: Floats) -> tuple[float, ...]:
    """The mean of each bin's values in standard deviations; of a bin without values, its nearest edge."""
    k = edges.size + 1
    if not sample.size:
        return tuple([0.0] * k)
    ordered = np.sort(sample)
    centre = float(np.median(ordered))
    below = np.concatenate([[0], np.searchsorted(ordered, edges, side="right"), [ordered.size]])
    ordered -= centre
    counts, sums = np.diff(below), np.diff(np.concatenate([[0.0], np.cumsum(ordered)])[below])
    ends = np.concatenate([edges, edges[-1:]])
    means = np.where(counts > 0, sums / np.maximum(counts, 1), ends - centre)
    scale = float(ordered.std())
    return tuple(map(float, np.maximum.accumulate(means) / (scale if scale > 0 else 1.0)))
