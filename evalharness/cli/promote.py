"""Make a run the baseline of its suite: gates with `baseline: suite@label` compare with it from now on.

The short form of `evalharness runs promote`. RUN is the id of a run, a beginning or an end of it that no other id has,
`latest`, or the folder of a record.
"""

from __future__ import annotations

import argparse

from .runs import add_promote_arguments, promote

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `promote`."""
    add_promote_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Promote the run; returns the exit code."""
    return promote(args)
