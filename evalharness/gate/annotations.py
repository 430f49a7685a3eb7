"""Verdicts as annotations of a GitHub job: workflow commands, which the runner reads from what a step prints.

What makes the gate's exit code other than 0 is an error; a rule of the tier `warn` that does not hold is a warning, one
of the tier `info` a notice; a gate that passes is one notice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..core.types import Verdict
from .marks import clipped, one_line
from .outcome import GateOutcome

__all__ = ["MOST_A_LEVEL", "annotation_lines", "in_github_actions"]

# GitHub shows ten of each level a step and drops the rest without a word.
MOST_A_LEVEL: Final = 10
_LEVELS: Final = {"block": "error", "warn": "warning", "info": "notice"}
_LONGEST: Final = 2_000


def in_github_actions(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of a GitHub job (or of Gitea's and Forgejo's, which read the same)."""
    return environ.get("GITHUB_ACTIONS") == "true"


def annotation_lines(
    outcome: GateOutcome, *, suite: str, suite_path: str | None = None, environ: Mapping[str, str] | None = None
) -> list[str]:
    """One workflow command for each rule that does not hold; a notice where the gate passes.

    `suite_path` is the file of the suite, to which the annotations are attached where it lies in the checkout.
    """
    where = _in_checkout(suite_path, environ or {})
    title = f"Gate of {suite}: {outcome.state}"
    by_level: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    if outcome.state == "pass":
        by_level["notice"].append(outcome.reason)
    for verdict in outcome.verdicts:
        if verdict.state != "pass":
            by_level[_LEVELS[verdict.tier]].append(_message(verdict))
    lines = []
    for level, messages in by_level.items():
        if len(messages) > MOST_A_LEVEL:
            rest = len(messages) - MOST_A_LEVEL + 1
            messages[MOST_A_LEVEL - 1 :] = [f"… and {rest:,} more rules that do not hold; see the summary of the job"]
        lines += [_command(level, message, title=title, file=where) for message in messages]
    return lines


def _message(verdict: Verdict) -> str:
    return f"{verdict.rule}: {verdict.state}. {verdict.reason}"


def _command(level: str, message: str, *, title: str, file: str | None) -> str:
    properties = {"file": file, "title": title}
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level} {given}::{_data(clipped(one_line(message), _LONGEST))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clipped(one_line(text), 200)).replace(":", "%3A").replace(",", "%2C")


def _in_checkout(path: str | None, environ: Mapping[str, str]) -> str | None:
    root = environ.get("GITHUB_WORKSPACE")
    if not path or not root:
        return None
    found = Path(os.path.abspath(path))  # noqa: PTH100 -- links stay: GitHub knows the path in the checkout
    top = Path(os.path.abspath(root))  # noqa: PTH100
    return found.relative_to(top).as_posix() if found.is_file() and found.is_relative_to(top) else None
