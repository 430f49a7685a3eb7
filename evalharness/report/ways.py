"""Which way a figure is better: up, down, or towards a value between its bounds, as bias scores are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..core.types import MetricResult

if TYPE_CHECKING:
    from ..record import RunManifest

__all__ = ["TWO_SIDED", "best_between", "is_best_between", "way_of"]

TWO_SIDED: Final = frozenset({"bbq_bias", "by_group", "crows_pairs", "pro_anti_gap", "stereoset_ss"})
"""Our metrics that have, or may have, such a best value."""


def best_between(manifest: RunManifest) -> dict[tuple[str, str], float]:
    """By task and figure, the value that is best of figures that may lie on either side of it.

    Those of probes are said by the record itself; a bias score that a task asks for by its name is looked up.
    """
    tasks: Any = manifest.suite.get("tasks") or ()
    found: dict[tuple[str, str], float] = {}
    for task in tasks:
        origin = task.get("origin")
        findings = origin.get("findings") if isinstance(origin, Mapping) else _findings(task.get("metrics") or ())
        for name, held in (findings or {}).items():
            if not held.get("one_sided", False):
                found[str(task["id"]), name] = held["null"]
    return found


def _findings(specs: Iterable[Any]) -> Mapping[str, Mapping[str, Any]]:
    from ..suite.findings import findings_of

    # Of our own metrics alone: to look at a page runs no code of the suite's.
    own = [spec for spec in specs if (spec if isinstance(spec, str) else next(iter(spec), "")) in TWO_SIDED]
    return findings_of(own) if own else {}


def is_best_between(result: MetricResult, best: float | None) -> bool:
    """Whether `best` lies between the bounds of a figure: a gap that is best at 0, and never below, is better lower."""
    low, high = result.bounds
    return best is not None and low < best < high


def way_of(result: MetricResult, best: float | None) -> str:
    """The sign of the way in which a figure is better: `↑`, `↓`, or `→ 0.5` towards its best value."""
    if best is not None and is_best_between(result, best):
        return f"→ {best:g}"
    return "↑" if result.higher_is_better else "↓"
