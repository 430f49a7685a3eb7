"""What a metric's `probe_finding` says: the value where there is nothing to find, and whether it can lie beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .protocols import Array

__all__ = ["NULLS", "best_between", "direction", "gains"]

NULLS: Mapping[str, tuple[float, bool]] = {
    "zero": (0.0, False),
    "half": (0.5, False),
    "fifty": (50.0, False),
    "one": (1.0, False),
    "above_zero": (0.0, True),
    "above_half": (0.5, True),
}
"""By the attribute `probe_finding` (the value where there is nothing to find, whether only values above speak)."""


def best_between(metric: Any) -> float | None:
    """The value that is best of a figure that may lie on either side of it, such as a bias score's 0.

    None for all other metrics: they are better the higher, or the lower, as `higher_is_better` says.
    """
    null, one_sided = NULLS.get(str(getattr(metric, "probe_finding", None)), (None, True))
    low, high = metric.bounds
    return null if null is not None and not one_sided and low < null < high else None


def gains(metric: Any, after: Array, before: Array) -> Array:
    """How much better each of the figures (or samples' values) `after` is than `before`: more than 0 is better.

    Of a figure that is best between its bounds, how much nearer it came: from 0.3 to −0.3 is none.
    """
    best = best_between(metric)
    if best is not None:
        return abs(before - best) - abs(after - best)
    return after - before if metric.higher_is_better else before - after


def direction(metric: Any) -> float:
    """1 where a rise is taken for the better, else −1: so too of a figure that is best between its bounds."""
    return 1.0 if metric.higher_is_better and best_between(metric) is None else -1.0
