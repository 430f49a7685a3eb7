"""`expand_probes`: a suite in which each probe has become the ordinary tasks that it makes; see `expansion`."""

from __future__ import annotations

from evalharness.core.errors import Problem

from .load import LoadedSuite
from .schema import ProbeTask

__all__ = ["expand_probes"]


def expand_probes(loaded: LoadedSuite) -> tuple[LoadedSuite, list[Problem]]:
    """(`loaded` with the tasks that its probes make, problems); a probe with a problem stays as it is."""
    if not any(isinstance(task, ProbeTask) for task in loaded.suite.tasks):
        return loaded, []
    from .expansion import expanded  # most suites have no probe: spare them what it takes

    return expanded(loaded)
