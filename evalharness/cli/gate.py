"""Decide a release from a record: each rule of the suite's gates, or of a policy file, on the record's figures.

No model is asked. The verdicts are printed, kept in gate.json beside the record and shown in its report.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .ci import add_ci_arguments, hand_to_ci
from .language import add_language

if TYPE_CHECKING:
    from evalharness.gate import GateOutcome
    from evalharness.record import Record

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `gate`."""
    parser.add_argument(
        "record", help="folder of the record, run id or its beginning, suite@label, latest, or lm-eval's results_….json"
    )
    parser.add_argument(
        "--policy", metavar="FILE", help="gates from this file (gates alone, or a suite's) and not the record's own"
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="compare with this run (named as the record is) and not the one that gates.baseline names",
    )
    add_ci_arguments(parser)
    add_language(parser, "report.html")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument("--registry", metavar="URL", help="database of runs (default: SQLite in the reports folder)")


def run(args: argparse.Namespace) -> int:
    """Decide the gates; returns 0 pass, 1 fail, 4 inconclusive."""
    from evalharness.core.errors import UsageError
    from evalharness.gate import decide_record
    from evalharness.gate.policy import load_policy
    from evalharness.record.foreign import open_record
    from evalharness.report import print_verdicts
    from evalharness.report.text import single_line

    from .faults import write_reports_or_say

    reports = Path(args.reports)
    gates = load_policy(args.policy) if args.policy else None
    record = open_record(args.record, reports=reports, url=args.registry)
    outcome = decide_record(record, gates=gates, baseline=args.baseline, reports=reports, registry_url=args.registry)
    if outcome is None:
        raise UsageError(
            f"the suite of {record.id} has no gates; write some into a file and name it: --policy gates.yaml\n"
            "gates:\n  rules:\n    - {metric: TASK.METRIC, at_least: 0.8}"
        )
    hand_to_ci(outcome, record, args)
    # Results of lm-eval's are a record as long as this command takes: there is nothing to keep its report beside.
    if "/" not in record.id:
        # The page must not go on showing what another policy said.
        write_reports_or_say(record, outcome, args)
        _register(outcome, record, reports=reports, url=args.registry)
    if args.json:
        import json

        print(json.dumps(outcome.to_dict(), indent=2))
    else:
        print_verdicts(outcome)
        if "/" in record.id:
            # What could not be read of another tool's files may be why a rule has no figure.
            for note in record.manifest.notes:
                print(f"note: {record.id}: {single_line(note)}")
    return outcome.exit_code


def _register(outcome: GateOutcome, record: Record, *, reports: Path, url: str | None) -> None:
    """Note the verdict with the run, if it is one of ours: a record from elsewhere is not registered."""
    from evalharness.record import register

    if record.folder.resolve().parent == (reports / "runs").resolve():
        register(record, url, reports=reports, verdict=outcome.state)
