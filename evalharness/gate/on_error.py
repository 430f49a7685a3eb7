"""What failed samples and unfinished runs do to a gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core.types import FAILED_STATES
from ..suite.schema import OnError

if TYPE_CHECKING:
    from ..record import RunManifest

__all__ = ["on_error_of", "policy_failure"]


def policy_failure(manifest: RunManifest) -> str | None:
    """The sentence that fails every block rule, or None where the run may be judged by its figures.

    That is: on_error says `failure` and a sample failed; or a task's share of failed samples exceeds `max_rate`; or
    the run is not complete. The share is taken of each task and model, so that a task which failed as a whole is not
    drowned by the others.
    """
    policy = on_error_of(manifest.suite)
    for task in manifest.tasks:
        failed = sum(task.states.get(state, 0) for state in FAILED_STATES)
        total = sum(task.states.values())
        if not failed:
            continue
        where = f"{failed:,} of {total:,} answers of {task.id} by {task.model} failed"
        if policy.count_as == "failure":
            return f"{where}, and on_error counts any as a failure; see their errors in the report, then run again."
        if failed / total > policy.max_rate:
            return f"{where} ({failed / total:.1%}), more than on_error.max_rate allows ({policy.max_rate:.1%})."
    if not manifest.complete:
        return "The run is not complete, and no gate passes on a part of a run; the same command continues it."
    return None


def on_error_of(suite: Mapping[str, Any]) -> OnError:
    """The `execution.on_error` of a resolved suite."""
    execution = suite.get("execution") or {}
    # The default stands in the schema alone.
    return OnError.model_validate(execution.get("on_error") or {})
