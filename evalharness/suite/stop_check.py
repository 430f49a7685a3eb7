"""What of a suite does not go with `execution.stop_when_decided`."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.core.errors import Problem

from .load import LoadedSuite
from .schema import Gates, Rule
from .variables import Key, shown_path

__all__ = ["stop_problems"]

_KEY: Key = ("execution", "stop_when_decided")


def stop_problems(loaded: LoadedSuite) -> Iterator[Problem]:
    """Gates that cannot be decided while the run goes on, with their place."""
    suite = loaded.suite
    if suite.execution.stop_when_decided is None:
        return
    gates = suite.gates
    if gates is None or not any(rule.tier == "block" for rule in gates.rules):
        yield _problem(
            loaded,
            _KEY,
            "stop_when_decided needs a rule to decide: give the suite gates with a rule of tier block, or remove it",
        )
        return
    if not any(_is_looked_at(rule, gates) for rule in gates.rules):
        yield _problem(
            loaded,
            ("gates", "decide_on"),
            "stop_when_decided needs decide_on: interval, since a figure without its uncertainty would be decided by "
            "the first samples; set gates.decide_on: interval",
        )


def _is_looked_at(rule: Rule, gates: Gates) -> bool:
    """Whether the looks decide it: a rule on the point is a fact of whatever was asked, and waits for the end."""
    return rule.tier == "block" and (rule.decide_on or gates.decide_on) == "interval"


def _problem(loaded: LoadedSuite, path: Key, message: str) -> Problem:
    return Problem(loaded.place_of(path), shown_path(path), message)
