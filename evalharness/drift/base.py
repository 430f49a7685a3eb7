"""What a drift test takes and gives: summaries of two windows go in, evidence and effect come out.

A test is a frozen dataclass whose fields are its options. It never sees a window as a whole: it is given one column of
each in the smallest shape that it can work from.

| shape | what it holds | who keeps it |
|---|---|---|
| `Counts` | rows by bin or level, and the same by random group of clusters | numeric, category and text states |
| `Moments` | n, mean, variance, and (n, sum) by group | numeric states |
| `Features` | sums of random Fourier features by group | embedding states |
| `Rows` | the values themselves | a comparison of two tables |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from evalharness.core.drifting import ColumnKind
from evalharness.stats.arrays import Floats, Ints, np

__all__ = ["Counts", "DriftTest", "Features", "Moments", "Outcome", "Rows", "Window"]


@dataclass(frozen=True, eq=False)
class Counts:
    """Rows of one column, counted over bins (or levels) that both windows share.

    `counts` (k,) are whole numbers ≥ 0; `order` says that the bins are ordered (numeric). `positions` (k,) are the
    centres of ordered bins in standard deviations of the reference; where they are missing, effects that need them use
    the normal scores of the reference's mid-ranks.

    `groups` (G, k) are the same counts by random group of clusters (conversations), Σ_g groups = counts: what varies
    between groups is what varies between clusters, so that they make every test robust against rows that belong
    together. For text the counts are of terms and the documents are the clusters: `groups` must be there always,
    since the terms of one document are never independent.
    """

    counts: Floats
    groups: Floats | None = None
    order: bool = False
    positions: Floats | None = None

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=np.float64)
        if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
            raise ValueError(f"counts must be a row of numbers of 0 or more; got {self.counts!r}")
        object.__setattr__(self, "counts", counts)
        for name, shape in (("groups", (-1, counts.size)), ("positions", (counts.size,))):
            given = getattr(self, name)
            if given is None:
                continue
            given = np.asarray(given, dtype=np.float64)
            if given.ndim != len(shape) or given.shape[-1] != counts.size:
                raise ValueError(f"{name} must have {counts.size} columns, as counts has; got shape {given.shape}")
            object.__setattr__(self, name, given)

    @property
    def n(self) -> int:
        """The rows (for text: the terms)."""
        return round(float(self.counts.sum()))


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and variance (over n − 1) of a numeric column; `groups` (G, 2) its (n, sum) by random group."""

    n: int
    mean: float
    var: float
    groups: Floats | None = None


@dataclass(frozen=True, eq=False)
class Features:
    """Sums of an embedding's random Fourier features by random group of clusters.

    `groups` (G, D) are the sums, `sizes` (G,) the rows behind each. Where rows have no cluster, each row is one: the
    groups are kept all the same, since the spread between them is the noise of the mean.
    """

    groups: Floats
    sizes: Floats

    @property
    def n(self) -> int:
        """The rows."""
        return round(float(np.sum(self.sizes)))


@dataclass(frozen=True, eq=False)
class Rows:
    """The values themselves, none missing: (n,) numbers, or (n, d) embeddings; `clusters` (n,) codes or None."""

    values: Floats
    clusters: Ints | None = None

    @property
    def n(self) -> int:
        """The rows."""
        return len(self.values)


Window: TypeAlias = Counts | Moments | Features | Rows


class Outcome(NamedTuple):
    """What a test found.

    `p_value` lies within (0, 1], and is NaN where nothing can be said (a window without rows). `effect` is in the unit
    that the test's `effect_name` names, with a 95 % interval where one is known, else NaN. `detail` tells how the
    p-value came about ("law": "permutation", "chi-square", …) and what else a reader may ask for.
    """

    statistic: float
    p_value: float
    effect: float
    effect_low: float = float("nan")
    effect_high: float = float("nan")
    detail: Mapping[str, float | str] = {}


class DriftTest(Protocol):
    """A two-sample test of one column.

    `on` is "state" for tests that work from what a window state keeps, "rows" for those that need every value. `takes`
    lists the shapes that `compare` accepts, both windows in the same one; the first is what is given by default, and a
    test on states that lists `Rows` too is exact on them.

    `effect` is the threshold from which on a change counts; each test's docstring gives the reason of its default.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[ColumnKind, ...]]
    on: ClassVar[Literal["state", "rows"]]
    takes: ClassVar[tuple[type[Any], ...]]
    effect_name: ClassVar[str]

    @property
    def effect(self) -> float: ...

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        """Evidence and effect of a difference between the two windows; the same seed gives the same outcome."""
        ...

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        """The effect that is found with 80 % power at level `alpha`; inf where there are no rows.

        `design` is the design effect of clusters (1: independent rows), `bins` how many bins or levels there are.
        """
        ...
