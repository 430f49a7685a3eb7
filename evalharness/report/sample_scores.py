"""The figures of single samples, and which of them tells right from wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..core.keyindex import KeyIndex
from ..core.protocols import Array
from ..core.types import MetricResult
from ..record.read import iter_columns
from ..record.schema import SCORES

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["are_right_or_wrong", "may_tell_right", "scores_of_samples"]


def scores_of_samples(record: Record, result: MetricResult, index: KeyIndex) -> Array:
    """(len(index),) the value of each sample under a figure, by its number in `index`; NaN where it has none."""
    import numpy as np

    where = {"task": result.task, "model": result.model, "metric": result.metric}
    values = np.full(len(index), math.nan)
    for ids, found in iter_columns(record.folder / SCORES, where, ["sample_id", "value"]):
        numbers = index.numbers(ids)
        known = numbers >= 0
        values[numbers[known]] = np.array(found, dtype=np.float64)[known]
    return values


def may_tell_right(result: MetricResult) -> bool:
    """Whether a figure may tell right from wrong: the first one that says 0 or 1 of each sample; BLEU says neither."""
    return result.higher_is_better and result.bounds == (0.0, 1.0)


def are_right_or_wrong(values: Array) -> bool:
    """Whether some samples have a figure, and each 0 or 1."""
    import numpy as np

    found = values[~np.isnan(values)]
    return bool(found.size) and bool(np.isin(found, (0.0, 1.0)).all())
