"""What disparities between the levels of a group column share: blocks of statistics, one a level, and their test."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

from evalharness.core.errors import UsageError
from evalharness.core.levels import LevelsOf
from evalharness.core.protocols import Array, Metric
from evalharness.core.registry import suggestion
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import Bools, Ints, np

from .base import BOOTSTRAP, BaseMetric, check_batch, require

__all__ = ["LEAST_N", "DisparityMetric", "Tested", "column_of_signature"]

LEAST_N = 30
Tested = Any
"""A `stats.disparity.Disparity`; its module is loaded where a figure is computed."""
_NAMES = ("by_group", "demographic_parity", "equalized_odds")


def column_of_signature(signature: str) -> str | None:
    """The group column of the disparity that has `signature`; None for any other figure."""
    name, _, rest = signature.partition("|column:")
    if name not in _NAMES:
        return None
    try:
        return str(json.JSONDecoder().raw_decode(rest)[0])
    except ValueError:
        return None


class DisparityMetric(BaseMetric):
    """How far apart the levels of a group column are in figures that follow from a level's totals.

    Columns: `n`, then the k statistics of a sample once for each level; a sample fills the block of its own. One whose
    level is none of `levels` is not measured.
    """

    __slots__ = ()

    column: str
    levels: tuple[str, ...] | None
    least_n: int

    interval = BOOTSTRAP
    over_groups = True
    """Whether the figure is over groups itself, so that it has none for each group."""

    # ── what a disparity says of itself ───────────────────────────────────────────────────────────────────────────

    @property
    def block_columns(self) -> tuple[str, ...]:
        """The names of the k statistics of one level."""
        raise NotImplementedError

    @property
    def level_bounds(self) -> tuple[float, float]:
        """Within which a level's figures lie."""
        return (0.0, 1.0)

    def block_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        """(n, k) the statistics of each sample, whatever its level."""
        raise NotImplementedError

    def rates(self, totals: Array) -> Array:
        """(..., k) totals of a level -> (..., R) its figures."""
        raise NotImplementedError

    def carries(self, units: Array) -> Bools:
        """(..., k) totals of a unit -> (..., R) whether the figures rest on it."""
        raise NotImplementedError

    def kind_of_disparity(self) -> dict[str, Any]:
        """What `stats.disparity` is asked for: `what`, `reference`, `sign`."""
        raise NotImplementedError

    # ── levels ────────────────────────────────────────────────────────────────────────────────────────────────────

    def known_levels(self) -> tuple[str, ...]:
        """The levels.

        Raises:
            UsageError: neither the option nor the samples gave them.
        """
        if self.levels is None:
            raise UsageError(
                f"{self.name} needs the levels of {self.column!r}: give it `levels: [...]`, or call for_levels first"
            )
        return self.levels

    def for_levels(self, levels: LevelsOf) -> Metric:
        """This metric with the levels that its column has among the task's samples, where none are given."""
        if self.levels is not None:
            return cast(Metric, self)
        return self.with_levels(levels(self.column))

    def with_levels(self, levels: tuple[str, ...]) -> Metric:
        """A copy with `levels`."""
        raise NotImplementedError

    def recorded_levels(self, signature: str) -> tuple[str, ...] | None:
        """The levels in the `signature` of a recorded figure of this metric."""
        start = f"{self.name}|column:{json.dumps(self.column, ensure_ascii=False)}|levels:"
        if not signature.startswith(start):
            return self.levels
        try:
            found = json.JSONDecoder().raw_decode(signature[len(start) :])[0]
        except ValueError:
            return self.levels
        return tuple(found) if isinstance(found, list) else self.levels

    def signed(self, *parts: str) -> str:
        """The signature: the column and its levels, then `parts`."""
        column = json.dumps(self.column, ensure_ascii=False)
        levels = json.dumps(self.levels, ensure_ascii=False)
        return "|".join([f"{self.name}|column:{column}|levels:{levels}", *parts, f"version:{self.version}"])

    def check_levels(self, *named: str | None) -> None:
        """Raise for options that cannot be: fewer than two levels, one that stands twice, a reference that is none."""
        require(bool(self.column), "column must be the name of a group column")
        require(self.least_n >= 2, f"least_n must be at least 2; got {self.least_n}")
        if self.levels is None:
            return
        require(not isinstance(self.levels, str), f"levels must be a list of names, not the text {self.levels!r}")
        require(
            len(set(self.levels)) == len(self.levels),
            f"levels must be distinct; got {', '.join(map(str, self.levels))}",
        )
        for name in named:
            known = [str(level) for level in self.levels]
            near = "" if name is None else suggestion(name, known) or f"; there is: {', '.join(known)}"
            require(name is None or not known or name in known, f"there is no level {name!r}{near}")

    def finalize_nothing(self) -> None:
        """Raise where the figure cannot be had of the levels that are bound: no such reference, too many for a gap."""
        self.kind_of_disparity()

    # ── statistics ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", *(f"{level}:{column}" for level in self.known_levels() for column in self.block_columns))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        return self.in_blocks(
            [sample.groups.get(self.column) for sample in samples], self.block_stats, samples, responses
        )

    def in_blocks(
        self, levels: Sequence[str | None], of_rows: Callable[..., Array], samples: Any, responses: Any
    ) -> Array:
        """(n, 1 + G·k) rows: what `of_rows` gives for a sample, in the block of its level; nothing for other levels."""
        number = {level: i for i, level in enumerate(self.known_levels())}
        k = len(self.block_columns)
        place = np.array([-1 if level is None else number.get(level, -1) for level in levels], dtype=np.intp)
        rows = np.asarray(of_rows(samples, responses), dtype=np.float64).reshape(len(levels), k)
        blocks = np.zeros((len(levels), len(number), k))
        own = np.flatnonzero(place >= 0)
        blocks[own, place[own]] = rows[own]
        measured = (place >= 0) & rows.any(axis=1)
        return np.concatenate(
            [measured[:, None].astype(np.float64), blocks.reshape(len(levels), len(number) * k)], axis=1
        )

    def finalize(self, totals: Array) -> Array:
        from evalharness.stats.disparity import disparity_values

        totals = np.asarray(totals, dtype=np.float64)
        found: Array = disparity_values(self.level_figures(totals), **self.kind_of_disparity())
        return found

    def level_figures(self, totals: Array) -> Array:
        """(..., 1 + G·k) totals -> (..., G, R) the figures of each level; NaN where there is nothing to measure."""
        totals = np.asarray(totals, dtype=np.float64)
        blocks = totals[..., 1:].reshape(*totals.shape[:-1], len(self.known_levels()), len(self.block_columns))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.asarray(self.rates(blocks), dtype=np.float64)
        return np.where(np.any(blocks, axis=-1, keepdims=True), found, np.nan)

    def finalize_samples(self, rows: Array) -> Array:
        """(n,) NaN: a sample is of one level, and has no disparity of its own."""
        return np.full(len(rows), np.nan)

    # ── how sure ──────────────────────────────────────────────────────────────────────────────────────────────────

    def disparity(self, rows: Array, codes: Ints | None = None, *, seed: int = 0) -> Tested:
        """The disparity of `rows` (n, 1 + G·k) with its tests; `codes` (n,) are the clusters' numbers.

        With fewer than `least_n` samples (or clusters) in a level nothing is excluded, and `method` says so.
        """
        from evalharness.stats.disparity import Disparity, disparity_of
        from evalharness.stats.levels import levels_of

        names = self.known_levels()
        if len(names) < 2:
            has = f"has only the level {names[0]!r}" if names else "has no level"
            return Disparity(math.nan, note=f"{self.column} {has}")
        rows = np.asarray(rows, dtype=np.float64)
        blocks = rows[:, 1:].reshape(len(rows), len(names), len(self.block_columns))
        low, high = self.level_bounds
        with np.errstate(invalid="ignore", divide="ignore"):
            levels = levels_of(blocks, codes, self.rates, self.carries, span=high - low, bounds=(low, high))
        empty = np.flatnonzero(np.isnan(levels.values).all(axis=1)).tolist()
        if empty:
            more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
            return Disparity(math.nan, note=f"nothing measured of {self.column}={names[empty[0]]}{more}")
        found = disparity_of(
            levels, bounds=self.level_bounds, clustered=codes is not None, seed=seed, **self.kind_of_disparity()
        )
        few = np.where(np.isnan(levels.values), np.iinfo(np.int64).max, levels.units).min(axis=1)
        if int(few.min()) < self.least_n and not math.isnan(found.value):
            level = int(few.argmin())
            unit = ("sample" if codes is None else "cluster") + ("" if few[level] == 1 else "s")
            said = f"{int(few[level]):,} {unit} of {self.column}={names[level]}, {self.least_n:,} are asked for"
            return Disparity(found.value, f"too few: {said}", note=f"too few: {said}")
        return found
