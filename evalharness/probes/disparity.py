"""The metric entries that say how far a figure differs between groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from evalharness.core.registry import registry
from evalharness.core.types import Json

__all__ = ["disparity", "figure", "fits_by_group", "unnamed"]


def figure(spec: Json) -> str:
    """What the figure of a metric entry is called: what `as` says, else the metric's name."""
    if isinstance(spec, str):
        return spec
    if not isinstance(spec, Mapping):
        return str(spec)
    name, options = next(iter(spec.items()))
    shown = options.get("as") if isinstance(options, Mapping) else options
    return re.sub(r"[\s.@/:]+", "_", str(shown or name)).strip("_")


def disparity(
    spec: Json,
    *,
    column: str,
    levels: Sequence[str] | None,
    margin: float,
    least_n: int,
    against: str | None = None,
    names: tuple[str, str] | None = None,
) -> list[Json]:
    """The entry itself; the largest difference between levels; the worst level; and signed differences.

    Signed ones stand where there are two levels, or a level `against` which each other one is held. `names` are those
    of the difference and of the worst level (default: NAME_gap and NAME_worst). A metric that `by_group` cannot take,
    such as a judge's or a median, stands alone: its figures by group are there all the same.
    """
    if not fits_by_group(spec):
        return [spec]
    name = figure(spec)
    gap, worst = names or (f"{name}_gap", f"{name}_worst")
    common: dict[str, Json] = {"metric": unnamed(spec), "column": column, "least_n": least_n}
    chosen: dict[str, Json] = {} if levels is None else {"levels": list(levels)}
    made: list[Json] = [
        spec,
        {"by_group": {**common, **chosen, "what": "difference", "margin": margin, "as": gap}},
        {"by_group": {**common, **chosen, "what": "worst", "as": worst}},
    ]
    for first, second, called in _pairs(levels or (), against):
        pair: list[Json] = [first, second]
        shown = f"{gap}_{called}"
        made.append({"by_group": {**common, "levels": pair, "what": "gap", "margin": margin, "as": shown}})
    return made


def _pairs(levels: Sequence[str], against: str | None) -> list[tuple[str, str, str]]:
    """(level, level that it is held against, what the figure is called) of each signed difference."""
    if against is not None:
        return [(level, against, _name(level)) for level in levels if level != against]
    return [(levels[0], levels[1], "signed")] if len(levels) == 2 else []


def _name(level: str) -> str:
    return re.sub(r"[\s.@/:]+", "_", level).strip("_")


def fits_by_group(spec: Json) -> bool:
    """Whether `by_group` can take the metric: its figure follows from totals of its samples, and from no judge."""
    name = str(next(iter(spec))) if isinstance(spec, Mapping) and spec else spec
    if not isinstance(name, str) or name not in registry("metrics").names():
        return False  # what is wrong with it is told once, where the suite is checked
    factory = registry("metrics").load(name)
    marks = ("finalize_rows", "for_judgement", "figures", "over_groups")
    return name != "by_group" and not any(hasattr(factory, mark) for mark in marks)


def unnamed(spec: Json) -> Json:
    """The entry without `as`, which names the figure and not the metric."""
    if not isinstance(spec, Mapping):
        return spec
    name, options = next(iter(spec.items()))
    if isinstance(options, str):
        return {name: {"path": options}}  # the short form of those that have one: {python: module:Class}
    if not isinstance(options, Mapping):
        return name
    rest = {key: value for key, value in options.items() if key != "as"}
    return {name: rest} if rest else name
