"""Run a suite: ask its models, score the answers, seal the record, write the report, decide the gates.

Answers are kept in a response store as they come: an interrupted run continues where it stopped, and a second run
of the same suite asks nothing again.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.errors import EvalHarnessError
from evalharness.core.types import FAILED_STATES

from .ci import add_ci_arguments, hand_to_ci, wanted
from .language import add_language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalharness.compare.planned import LookDecider, MakeDecider, PlannedFigure
    from evalharness.gate import GateOutcome
    from evalharness.record import Record
    from evalharness.suite.schema import Suite

__all__ = ["add_arguments", "add_output_arguments", "add_plan_arguments", "add_suite_arguments", "conclude", "run"]

# From here on a look for garbage, some 50 ms, is worth the memory.
_MANY_SAMPLES = 20_000


def add_suite_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of verbs that read a suite."""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY.PATH=VALUE",
        action="append",
        default=[],
        help="override a value of the suite (repeatable): tasks.summarise.limit=5, models.candidate.dtype=bfloat16",
    )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of verbs that make a record."""
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument("--registry", metavar="URL", help="database of runs (default: SQLite in the reports folder)")
    parser.add_argument("--name", help="what to call the run (default: the suite's name)")
    add_language(parser, "report.html")
    parser.add_argument("--no-gate", action="store_true", help="do not decide the suite's gates")
    parser.add_argument(
        "--baseline", metavar="RUN", help="compare with this run and not the one that gates.baseline names"
    )
    add_ci_arguments(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress; the summary is still printed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    add_plan_arguments(parser)
    add_output_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print what `evalharness plan` prints, and stop: nothing is asked"
    )


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say what is asked."""
    parser.add_argument("suite", help="suite file (YAML)")
    add_suite_arguments(parser)
    parser.add_argument("--limit", type=_positive, metavar="N", help="use only the first N samples of each task")
    parser.add_argument(
        "--cache",
        choices=["reuse", "refresh", "off"],
        help="reuse stored answers, ask anew and store, or leave the store alone (default: as the suite says)",
    )
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="let the suite run Python functions, metric scripts and code that checkpoints carry",
    )


def run(args: argparse.Namespace) -> int:
    """Run the suite; returns the exit code."""
    from evalharness.runner import run as run_suite
    from evalharness.runner.progress import OnFirstAnswer, progress_for
    from evalharness.runner.shown import ShownProgress

    if args.own_process:
        from evalharness.core.memory import map_large_pieces

        map_large_pieces()
    if args.own_process and not args.allow_code:
        from evalharness.models.huggingface.startup import allow_lean_imports

        allow_lean_imports()
    if args.dry_run:
        from .plan import print_forecast

        print_forecast(args)
        return 0
    record = run_suite(
        args.suite,
        overrides=args.overrides,
        limit=args.limit,
        reports=args.reports,
        name=args.name,
        cache=args.cache,
        allow_code=args.allow_code,
        registry_url=args.registry,
        progress=ShownProgress(
            OnFirstAnswer(progress_for(quiet=args.quiet), _load_what_follows),
            args.reports,
            " · ".join(filter(None, (Path(args.suite).name, args.name))),
        ),
        decide=_decide_looks(args),
    )
    return conclude(record, args)


def _decide_looks(args: argparse.Namespace) -> MakeDecider:
    """What decides the gates while the run goes on, where the suite asks for it (`stop_when_decided`)."""

    def make(suite: Suite, figures: Sequence[PlannedFigure]) -> LookDecider:
        from evalharness.gate.looks import decide_looks

        return decide_looks(reports=Path(args.reports), registry_url=args.registry)(suite, figures)

    return make


def _load_what_follows() -> None:
    """Load what the end of a run needs, while servers think; whatever is wrong with it shows where it is needed."""
    with contextlib.suppress(Exception):
        from evalharness.report.html import load_template

        for module in ("pyarrow.parquet", "evalharness.report.terminal", "rich.console", "rich.table"):
            importlib.import_module(module)
        load_template()


def conclude(record: Record, args: argparse.Namespace) -> int:
    """Decide the gates of `record`, write its report, print its summary; returns the exit code."""
    from evalharness.core.memory import trim_memory
    from evalharness.report import print_summary

    from .faults import write_reports_or_say

    if sum(task.n_samples for task in record.manifest.tasks) > _MANY_SAMPLES:
        gc.collect()  # what was asked and answered holds itself in circles, which are seldom looked for
    trim_memory()  # what scoring has left behind: the report needs memory of other sizes
    outcome, undecided = None, None
    try:
        outcome = None if args.no_gate else _decide(record, args)
    except EvalHarnessError as error:  # no baseline yet, or one of another kind: what was measured is reported anyway
        undecided = error
    if outcome is not None:
        _hand_on(outcome, record, args)
    if outcome is None and (files := wanted(args)):
        why = "--no-gate was given" if args.no_gate else "the suite has no gates"
        why = why if undecided is None else "the gates could not be decided"
        print(f"evalharness: {' and '.join(files)} wrote nothing, since {why}", file=sys.stderr)
    paths = write_reports_or_say(record, outcome, args)
    print_summary(record, outcome, report=paths.get("html"))
    _say_errors(record)
    if undecided is not None:
        run = record.manifest.id
        print(
            f"evalharness: run {run} is recorded and reported, but its gates are not decided; when they can be: "
            f"evalharness gate {run}",
            file=sys.stderr,
        )
        raise undecided
    if not record.manifest.complete:
        failed = record.manifest.execution.get("n_failed")
        unjudged = sum(entry.states.get("judge_failed", 0) for entry in record.manifest.tasks)
        parts = [f"{failed} requests got no usable answer"] if failed or not unjudged else []
        parts += [f"{unjudged} answers got no usable verdict"] if unjudged else []
        print(
            f"evalharness: {' and '.join(parts)}, more than the suite's on_error allows; "
            "run the same command again to ask only those, or see the report for their errors",
            file=sys.stderr,
        )
        return 3
    return 0 if outcome is None else outcome.exit_code


def _say_errors(record: Record) -> None:
    """The first error of each task and model: its remedy is often one for all."""
    from evalharness.metrics.states import state_of
    from evalharness.report.text import single_line
    from evalharness.runner.scoring import failed_verdict

    for entry in record.manifest.tasks:
        n_failed = sum(entry.states.get(state, 0) for state in FAILED_STATES)
        if not n_failed:
            continue
        rows = record.iter_samples(task=entry.id, model=entry.model)
        first = next(row for row in rows if state_of(row.response) in FAILED_STATES)
        text = single_line(first.response.error or failed_verdict(first.response) or first.response.status)
        sample = single_line(first.sample.id)
        print(f"{entry.id} on {entry.model}: {n_failed} failed; sample {sample}: {text}", file=sys.stderr)


def _decide(record: Record, args: argparse.Namespace) -> GateOutcome | None:
    if not record.manifest.suite.get("gates"):
        return None
    from evalharness.gate import decide_record

    return decide_record(record, baseline=args.baseline, reports=Path(args.reports), registry_url=args.registry)


def _hand_on(outcome: GateOutcome, record: Record, args: argparse.Namespace) -> None:
    from evalharness.record import register

    hand_to_ci(outcome, record, args)
    register(record, args.registry, reports=args.reports, verdict=outcome.state)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
