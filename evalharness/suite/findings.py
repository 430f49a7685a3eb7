"""Which figures of a probe speak for its question, and against what they are held."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.nulls import NULLS
from evalharness.core.registry import registry

from .metric_specs import build_metric, figures_of_metric
from .schema import MetricSpec

__all__ = ["findings_of", "with_least_n"]


def findings_of(specs: Iterable[MetricSpec]) -> dict[str, dict[str, Any]]:
    """By figure, what it is held against: of those metrics that have a `probe_finding`.

    Raises:
        UsageError: a metric's `probe_finding` is nothing that is known.
    """
    found: dict[str, dict[str, Any]] = {}
    for spec in specs:
        try:
            figures = figures_of_metric(*build_metric(spec))
        except UsageError:
            continue  # told where the metrics are checked
        for name, metric in figures:
            said = getattr(metric, "probe_finding", None)
            if said is None:
                continue
            if said not in NULLS:
                raise UsageError(f"the metric {metric.name!r} has a probe_finding {said!r}; known: {', '.join(NULLS)}")
            null, one_sided = NULLS[said]
            found[name] = {"null": null, "margin": float(getattr(metric, "margin", 0.0)), "one_sided": one_sided}
    return found


def with_least_n(specs: Iterable[MetricSpec], least_n: int | None) -> list[Any]:
    """`specs`, with the entry's `least_n` for those metrics that have such an option and were not given it."""
    return [spec if least_n is None else _with_least_n(spec, least_n) for spec in specs]


def _with_least_n(spec: Any, least_n: int) -> Any:
    name, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    if not (isinstance(options, dict) or options is None) or "least_n" in (options or {}):
        return spec
    try:
        metric = registry("metrics").load(name)
    except UsageError:
        return spec
    if not dataclasses.is_dataclass(metric) or "least_n" not in {field.name for field in dataclasses.fields(metric)}:
        return spec
    return {name: {**(options or {}), "least_n": least_n}}
