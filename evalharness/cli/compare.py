"""Compare runs on the samples that they have in common, asking no model.

Each figure's difference comes with its interval and a test, and the samples that changed with both answers.

RUN is a folder of a record, a run id or its beginning, suite@label, latest, or a result file of lm-eval's that was
written with --log_samples. RUN:MODEL is one model of a run, RUN:TASK@VARIANT one variant of a task. The first is the
baseline.

  evalharness compare support-bot@production latest        two releases
  evalharness compare latest --models base tuned           two models of one run
  evalharness compare RUN:base RUN:tuned RUN:pruned        three models, the first is the baseline
  evalharness compare RUN:qa@few_shot.n=0 RUN:qa@few_shot.n=5 --allow-different prompts

Runs that differ in data, metric, prompt or decoding settings are refused, and the field is named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .language import add_language

if TYPE_CHECKING:
    from evalharness.compare.result import Comparison

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="what to compare; the first is the baseline")
    parser.add_argument("--baseline", metavar="RUN", help="compare every RUN with this one")
    parser.add_argument("--models", nargs="+", metavar="MODEL", default=[], help="compare these models of the one RUN")
    parser.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task; may be repeated")
    parser.add_argument("--metric", action="append", default=[], metavar="METRIC", help="only this metric; repeatable")
    parser.add_argument(
        "--allow-different",
        action="append",
        default=[],
        choices=("prompts", "decoding"),
        help="let prompts, or decoding settings, differ: the output says that they do; repeatable",
    )
    parser.add_argument(
        "--correction",
        choices=("bh", "holm", "by", "none"),
        default="bh",
        help="of the p-values, over each table: Benjamini-Hochberg (default), Holm, Benjamini-Yekutieli, none",
    )
    parser.add_argument("--confidence", type=_share, default=0.95, metavar="P", help="of the intervals (default: 0.95)")
    parser.add_argument(
        "--changed",
        type=_count,
        default=10,
        metavar="N",
        help="keep N samples of each figure that got worse and N that got better (default: 10)",
    )
    parser.add_argument(
        "--preset",
        choices=("compression",),
        help="for a quantised, pruned, distilled or fine-tuned model: also what it has kept of its base",
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help="with --preset: how much worse a figure may be and count as kept, as a share of its range (default: 0.02)",
    )
    parser.add_argument("--html", metavar="FILE", help="write one page, with the samples that changed")
    parser.add_argument("--markdown", metavar="FILE", help="write Markdown, for a pull request; - is standard output")
    parser.add_argument("--csv", metavar="FILE", help="write one row a figure; - is standard output")
    add_language(parser, "the page that --html writes")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON and not as a table")
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument("--registry", metavar="URL", help="database of runs (default: SQLite in the reports folder)")


def run(args: argparse.Namespace) -> int:
    """Compare and show; returns the exit code."""
    from evalharness.compare.compression import DEFAULT_MARGIN
    from evalharness.compare.operands import compare
    from evalharness.core.errors import UsageError

    if args.margin is not None and args.preset is None:
        raise UsageError("--margin goes with --preset compression; add that, or leave it out")
    if args.language is not None and args.html is None:
        raise UsageError("--language goes with --html FILE; add that, or leave it out")

    comparison = compare(
        *args.runs,
        baseline=args.baseline,
        models=args.models,
        confidence=args.confidence,
        correction=args.correction,
        allow_different=args.allow_different,
        tasks=args.task,
        metrics=args.metric,
        n_changed=args.changed,
        preset=args.preset,
        margin=DEFAULT_MARGIN if args.margin is None else args.margin,
        reports=args.reports,
        registry_url=args.registry,
    )
    printed = _written(comparison, args)
    if args.json:
        import json

        print(json.dumps(comparison.to_dict(), indent=2))
    elif not printed:
        from evalharness.report.compare_console import print_comparison

        print_comparison(comparison)
    return 0


def _written(comparison: Comparison, args: argparse.Namespace) -> bool:
    """Write the files that are asked for; whether one of them went to the standard output."""
    printed = False
    for target, text in (
        (args.html, partial(_html, language=args.language or "en")),
        (args.markdown, _markdown),
        (args.csv, _csv),
    ):
        if target is None:
            continue
        if target == "-":
            sys.stdout.write(text(comparison))
            printed = True
        else:
            _write(Path(target), text, comparison)
    return printed


def _html(comparison: Comparison, *, language: str) -> str:
    from evalharness.report.compare_html import compare_html

    return compare_html(comparison, language=language)


def _markdown(comparison: Comparison) -> str:
    from evalharness.report.compare_markdown import compare_markdown

    return compare_markdown(comparison)


def _csv(comparison: Comparison) -> str:
    from evalharness.report.frames import csv_text

    return csv_text(comparison.frame())


def _write(path: Path, make: Callable[[Comparison], str], comparison: Comparison) -> None:
    from evalharness.core.errors import UsageError
    from evalharness.core.files import write_atomic

    text = make(comparison)
    try:
        write_atomic(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); choose another place") from error
    print(f"wrote {path}", file=sys.stderr)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1, as in 0.95")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value
