"""From a suite's entry under `metrics` to the metric: its options are checked against the metric's own fields."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evalharness.core.errors import Place, UsageError
from evalharness.core.protocols import Metric
from evalharness.core.registry import registry, suggestion

from .judgings import JUDGE_METRIC
from .node import Node
from .schema import MetricSpec
from .variables import Key
from .wording import described

__all__ = ["OPERATIONAL", "MetricFault", "build_metric", "figure_name", "figure_names", "figures_of_metric"]

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
_UNKNOWN_OPTION = ("extra_forbidden", "unexpected_keyword_argument")
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
        if not typed:
            metric = _plain(name, factory, given)
        else:
            metric = factory() if not given and _needs_nothing(factory) else _checked(factory, given)
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


def _needs_nothing(factory: Any) -> bool:
    """Whether it has a default for each option, so that there is nothing to check: a checker takes longer to build."""
    return dataclasses.is_dataclass(factory) and all(
        not field.init or field.default is not MISSING or field.default_factory is not MISSING
        for field in dataclasses.fields(factory)
    )


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


def _checked(factory: Any, options: Mapping[str, Any]) -> Metric:
    metric: Metric = _checker(factory).validate_json(json.dumps(options), strict=True)
    return metric


@cache
def _checker(factory: Any) -> TypeAdapter[Any]:
    return TypeAdapter(factory)


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
    errors = error.errors(include_url=False, include_input=False)
    # A misspelt option leaves another one missing: the slip itself is told first.
    first = next((e for e in errors if e["type"] in _UNKNOWN_OPTION), errors[0])
    option = str(first["loc"][0]) if first["loc"] else ""
    known = [*getattr(factory, "__dataclass_fields__", ())]
    if first["type"] in _UNKNOWN_OPTION:
        has = f"; it has: {', '.join([*known, 'as'])}" if known else "; it has none but as"
        near = suggestion(option, [*known, "as"]) or has
        return MetricFault(f"the metric {name!r} has no option {option!r}{near}", option)
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return MetricFault(f"the metric {name!r} needs the option {option!r}: {{{name}: {{{option}: …}}}}")
    faults = [
        _Fault(e) for e in error.errors(include_url=False, include_input=False) if e["loc"][:1] == first["loc"][:1]
    ]
    path: Key = (option, *(step for step in first["loc"][1:] if isinstance(step, int)))
    said = described(faults, _node(given, path), path)
    return MetricFault(
        f"{option + ' ' if option and ' ' in said and not said.startswith(option) else ''}{said}", option
    )


class _Fault:
    def __init__(self, error: Any) -> None:
        self.type: str = error["type"]
        self.context: Mapping[str, Any] = error.get("ctx", {})
        self.message: str = error["msg"]
        self.about_key = False


def _node(value: Any, path: Iterable[str | int]) -> Node:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
    place = Place("")
    if isinstance(value, dict | list):
        return Node({} if isinstance(value, dict) else [], place)
    return Node(value, place)
