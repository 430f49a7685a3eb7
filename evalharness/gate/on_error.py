"""What failed samples and unfinished runs do to a gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.types import FAILED_STATES

__all__ = ["policy_failure"]

_DEFAULT = {"count_as": "failure", "max_rate": 0.0}


def policy_failure(manifest: Mapping[str, Any]) -> str | None:
    """The sentence that fails every block rule, or None where the run may be judged by its figures.

    That is: the run is not complete; `execution.on_error` says `failure` and a sample failed; or a task's share of
    failed samples exceeds `max_rate`. The share is taken of each task and model, so that a task which failed as a
    whole is not drowned by the others.
    """
    if not manifest.get("complete", True):
        return "The run is not complete, and no gate passes on a part of a run; run the suite again: it continues."
    policy = {**_DEFAULT, **((manifest.get("suite") or {}).get("execution") or {}).get("on_error", {})}
    for task in manifest.get("tasks", ()):
        states: Mapping[str, int] = task.get("states") or {}
        failed, total = sum(states.get(s, 0) for s in FAILED_STATES), sum(states.values())
        if not failed:
            continue
        where = f"{failed} of {total} answers of {task['id']} by {task['model']} failed"
        if policy["count_as"] == "failure":
            return f"{where}, and on_error counts any as a failure; see their errors in the record, then run again."
        if failed / total > float(policy["max_rate"]):
            return f"{where} ({failed / total:.1%}), more than on_error.max_rate allows ({policy['max_rate']:.1%})."
    return None
