"""From a suite's entry under `metrics` to the metric: its options are checked against the metric's own fields."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Metric
from evalharness.core.registry import registry

from .judgings import JUDGE_METRIC
from .options import option_fault, with_options
from .schema import MetricSpec

__all__ = [
    "OPERATIONAL",
    "MetricFault",
    "asks_unconditional",
    "build_metric",
    "figure_name",
    "figure_names",
    "figures_of_metric",
]

OPERATIONAL: tuple[str, ...] = (
    "latency_mean_s",
    "latency_p50_s",
    "latency_p95_s",
    "input_tokens",
    "output_tokens",
    "output_chars",
    "cost_usd",
    "error_rate",
    "refusal_rate",
    "truncated_rate",
    "unparsed_rate",
)
"""Metrics that every task has, in this order, without being asked."""


# Figures of metrics that are many in one are called by what the option names: {evaluate: ./my_metric} is my_metric,
# {python: my_metrics:Politeness} is Politeness.
_CALLED_BY = {"evaluate": "path", "python": "path"}
_WITH_COMPANIONS = frozenset({JUDGE_METRIC})


class MetricFault(UsageError):
    """What is wrong with a metric; `option` is the option at fault, "" for the metric as a whole."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


def build_metric(spec: MetricSpec) -> tuple[str, Metric]:
    """(name of the figure, metric) of an entry: `bleu`, `{bleu: {lowercase: true}}`, `{bleu: {as: bleu_lower}}`.

    Raises:
        UsageError: there is no such metric, or an option is unknown or wrong.
    """
    name, options = _parts(spec)
    shown = figure_name(spec)
    try:
        factory = registry("metrics").load(name)
    except UsageError as error:
        raise MetricFault(str(error)) from error
    if isinstance(options, str):
        if name not in _CALLED_BY:
            raise MetricFault(f"the options of {name!r} must be a mapping: {{{name}: {{option: value}}}}")
        options = {_CALLED_BY[name]: options}
    given = {key: value for key, value in options.items() if key != "as"}
    try:
        metric: Metric
        typed = dataclasses.is_dataclass(factory)
        metric = _plain(name, factory, given) if not typed else with_options(factory, given)
    except ValidationError as error:
        raise _fault(name, factory, given, error) from error
    except UsageError as error:
        raise MetricFault(str(error)) from error
    named = getattr(metric, "for_figure", None)
    return shown, metric if named is None else named(shown)


def figures_of_metric(name: str, metric: Metric) -> list[tuple[str, Metric]]:
    """(name of a figure, metric) of all that `metric` gives: itself, and what it says stands beside it."""
    several: Callable[[], list[tuple[str, Metric]]] | None = getattr(metric, "figures", None)
    return [(name, metric)] if several is None else several()


def figure_names(spec: MetricSpec) -> list[str]:
    """What all figures of an entry are called; the metric is built only where it has others beside it.

    Raises:
        UsageError: as `build_metric`.
    """
    if _parts(spec)[0] not in _WITH_COMPANIONS:
        return [figure_name(spec)]
    return [name for name, _ in figures_of_metric(*build_metric(spec))]


def _plain(name: str, factory: Any, options: Mapping[str, Any]) -> Metric:
    """The metric of somebody's class or function, whose options have no types that could be checked.

    Raises:
        MetricFault: it takes other options, or cannot be made.
    """
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        given = ", ".join(f"{key}=…" for key in options)
        raise MetricFault(f"the metric {name!r} cannot be made as {name}({given}): {error}") from error
    except ValueError:
        pass  # a class written in C has no signature to look at
    try:
        metric: Metric = factory(**options)
    except UsageError:
        raise
    except Exception as error:  # somebody else's code
        raise MetricFault(f"the metric {name!r} cannot be made: {type(error).__name__}: {error}") from error
    return metric


def _parts(spec: MetricSpec) -> tuple[str, dict[str, Any] | str]:
    if isinstance(spec, str):
        return spec, {}
    name, options = next(iter(spec.items()))
    return name, options if isinstance(options, str) else dict(options or {})


def _called(name: str, options: Mapping[str, Any] | str) -> str:
    """What a figure is called where `as` does not say it."""
    if name not in _CALLED_BY:
        return name
    by = options if isinstance(options, str) else options.get(_CALLED_BY[name])
    parts = [part for part in str(by or "").replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return re.sub(r"[\s.@]", "_", parts[-1].rpartition(":")[2].removesuffix(".py")) if parts else name


def asks_unconditional(spec: MetricSpec) -> bool:
    """Whether the metric compares the likelihood of choices with that without the question."""
    try:
        name, options = _parts(spec)
        factory: Any = registry("metrics").load(name)
    except UsageError:
        return False  # said where metrics are checked
    inner = options.get("metric") if isinstance(options, dict) else None
    if isinstance(inner, str | dict) and asks_unconditional(inner):
        return True  # a figure by group, or a gap, of such a metric
    return bool(getattr(factory, "unconditional", False))


def figure_name(spec: MetricSpec) -> str:
    """What the figure is called: the metric's name, or what `as` says.

    Raises:
        UsageError: `as` is no name.
    """
    name, options = _parts(spec)
    shown = None if isinstance(options, str) else options.get("as")
    if shown is None:
        shown = _called(name, options)
    if not isinstance(shown, str) or not shown or any(c.isspace() or c in ".@" for c in shown):
        raise MetricFault("as: a name of a figure has no blanks, dots or @: {bleu: {as: bleu_lower}}", "as")
    return shown


def _fault(name: str, factory: Any, given: dict[str, Any], error: ValidationError) -> MetricFault:
    option, message = option_fault("metric", name, factory, given, error, more=("as",))
    return MetricFault(message, option)
