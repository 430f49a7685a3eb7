"""Test a suite's alarms: would its gates ring if a model were bad beyond doubt?

Recorded answers are spoilt as known-bad models would have given them (empty, shuffled, truncated, constant, degraded,
verbose, refusing, failing, slow, lopsided), scored again and held against the suite's rules. No model is asked. A rule
that never rings, though its figure gets worse or no figure could break it, is reported. Rules on a baseline are held
against the record as it is.

Exit code 1: a rule of the tier block or warn never rings.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .run import add_suite_arguments

if TYPE_CHECKING:
    from evalharness.record import Record

    from .alarms import Tested

__all__ = ["add_arguments", "run"]

_SIGNS = {
    "rings": ("✓", "green"),
    "never rings": ("✗", "bold red"),
    "not green": ("?", "yellow"),
    "not tested": ("·", "dim"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `selftest`."""
    parser.add_argument("suite", help="suite file (YAML)")
    add_suite_arguments(parser)
    parser.add_argument("--record", metavar="RUN", help="take these answers (default: the latest run of the suite)")
    parser.add_argument("--policy", metavar="FILE", help="gates from this file and not the suite's own")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument("--registry", metavar="URL", help="database of runs (default: SQLite in the reports folder)")
    parser.add_argument("--allow-code", action="store_true", help="let metrics run Python code (evaluate: PATH)")


def run(args: argparse.Namespace) -> int:
    """Test the alarms; returns 0 if each of them can ring, else 1."""
    import json
    import tempfile

    from evalharness.core.errors import UsageError
    from evalharness.gate.policy import load_policy
    from evalharness.runner.selftest import spoilt_records
    from evalharness.suite.load import load_suite

    from .alarms import hold_alarms

    loaded = load_suite(args.suite, overrides=args.overrides)
    gates = load_policy(args.policy) if args.policy else loaded.suite.gates
    if gates is None:
        raise UsageError(f"{args.suite} has no gates, so there is no alarm to test; add gates, or name a --policy")
    record = _record_of(args, loaded.suite.name)
    with tempfile.TemporaryDirectory(prefix="evalharness-selftest-") as folder:
        tested = hold_alarms(gates, spoilt_records(record, loaded, folder=Path(folder), allow_code=args.allow_code))
    if args.json:
        print(json.dumps({"suite": loaded.suite.name, "run_id": record.id, **tested.to_dict()}, indent=2))
    else:
        _print(record, tested)
    return 1 if tested.silent else 0


def _record_of(args: argparse.Namespace, suite: str) -> Record:
    from evalharness.core.errors import UsageError
    from evalharness.record import Record
    from evalharness.record.resolve import resolve_run

    try:
        return Record.open(resolve_run(args.record or f"{suite}@latest", Path(args.reports), url=args.registry))
    except UsageError as error:
        if args.record:
            raise
        raise UsageError(
            f"there is no recorded run of {suite!r} whose answers could be spoilt ({error}); make one: "
            f"evalharness run {args.suite} (or name one: --record RUN)"
        ) from error


def _print(record: Record, tested: Tested) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from evalharness.report.console import make_console
    from evalharness.report.text import figure, plural, single_line

    console = make_console()
    models, rules = plural(len(tested.models), "known-bad model"), plural(len(tested.alarms), "rule")
    console.print(
        Text(single_line(f"self-test on run {record.id}: {rules}, {models}; nothing was asked"), style="bold")
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in ("", "rule", "value", "rings under", "stays green, though worse, under"):
        table.add_column(name, overflow="fold", justify="right" if name == "value" else "left")
    for alarm in tested.alarms:
        sign, style = _SIGNS[alarm.result]
        tier = "" if alarm.tier == "block" else f" ({alarm.tier})"
        missed = ", ".join(f"{name} {figure(value)}" for name, value in alarm.missed.items())
        table.add_row(
            Text(sign, style=style),
            Text(single_line(f"{alarm.rule}{tier}")),
            figure(alarm.value),
            Text(", ".join(alarm.caught) or "–"),
            Text(missed or "–", style="red" if alarm.is_silent else "dim"),
        )
    console.print(table)
    for alarm in tested.alarms:
        if alarm.result != "rings":
            sign, style = _SIGNS[alarm.result]
            console.print(Text(single_line(f"{sign} {alarm.rule} {alarm.why}"), style=style))
    passed = [name for name, state in tested.models.items() if state == "pass"]
    if passed:
        text = f"the gate as a whole passes {', '.join(passed)}, though a figure that blocks got worse"
        console.print(Text(text, style="yellow"))
    unseen = [name for name, state in tested.models.items() if state is None]
    if unseen:
        console.print(Text(f"no blocking rule looks at what these models do worse: {', '.join(unseen)}", style="dim"))
    n = len(tested.silent)
    verdict = f"self-test FAIL: {plural(n, 'rule')} can never ring" if n else "self-test PASS: no rule is silent"
    unknown = sum(alarm.result in ("not green", "not tested") for alarm in tested.alarms)
    if unknown:
        verdict += f"; {unknown} of {rules} could not be tested"
    console.print(Text(verdict, style="bold red" if n else "bold green"))
