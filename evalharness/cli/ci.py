"""Options of the verbs that decide a gate: what they hand to the CI system that runs them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalharness.gate import GateOutcome
    from evalharness.record import Record

__all__ = ["add_ci_arguments", "hand_to_ci", "wanted"]


def add_ci_arguments(parser: argparse.ArgumentParser) -> None:
    """The options; GitHub's step summary needs none, since its variable says where it goes."""
    parser.add_argument("--junit", metavar="FILE", help="write the verdicts as JUnit XML")
    parser.add_argument(
        "--comment",
        metavar="FILE",
        help="write the verdicts as Markdown for a pull request, and their chart beside it (FILE.md: FILE.svg)",
    )
    parser.add_argument(
        "--chart-url", metavar="URL", help="where the chart will be found; the comment then shows it (default: named)"
    )
    parser.add_argument("--verdict", metavar="FILE", help="write the verdicts as JSON")
    parser.add_argument(
        "--annotations",
        choices=("auto", "always", "never"),
        default="auto",
        help="print GitHub annotations to stderr (auto: within a GitHub job)",
    )


def hand_to_ci(outcome: GateOutcome, record: Record, args: argparse.Namespace) -> None:
    """Write gate.json and what the options ask for."""
    from evalharness.gate import publish
    from evalharness.gate.outputs import CiOutputs, hand_out

    publish(outcome, record, junit=Path(args.junit) if args.junit else None)
    outputs = CiOutputs(
        comment=Path(args.comment) if args.comment else None,
        chart_url=args.chart_url,
        verdict=Path(args.verdict) if args.verdict else None,
        annotations=args.annotations,
    )
    hand_out(outcome, record, outputs, environ=os.environ, log=sys.stderr)


def wanted(args: argparse.Namespace) -> list[str]:
    """The options of files that were given."""
    return [f"--{name}" for name in ("junit", "comment", "verdict") if getattr(args, name)]
