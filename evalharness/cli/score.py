"""Score the answers of a record again with the metrics of a suite; no model is asked and no token is spent."""

from __future__ import annotations

import argparse

from .run import add_output_arguments, add_suite_arguments, conclude

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `score`."""
    parser.add_argument("record", help="folder of the record, run id or its beginning, suite@label, or latest")
    parser.add_argument("--suite", required=True, help="suite file with the new metrics and gates")
    add_suite_arguments(parser)
    add_output_arguments(parser)
    parser.add_argument("--allow-code", action="store_true", help="let metrics run Python code (evaluate: PATH)")


def run(args: argparse.Namespace) -> int:
    """Score the record; returns the exit code."""
    from pathlib import Path

    from evalharness.record import Record
    from evalharness.record.resolve import resolve_run
    from evalharness.runner import score

    record = Record.open(resolve_run(args.record, Path(args.reports), url=args.registry))
    scored = score(
        record,
        args.suite,
        overrides=args.overrides,
        reports=args.reports,
        name=args.name,
        registry_url=args.registry,
        allow_code=args.allow_code,
    )
    return conclude(scored, args)
