"""Compare two windows of data, column by column: what has drifted, how much, and what moved.

REFERENCE and CURRENT are CSV, JSONL or Parquet files, folders of them or globs: one row a response, one column a
figure, a class or a text. The kinds of columns are read off the reference.

  evalharness drift last-week.parquet this-week.parquet
  evalharness drift before.csv now.csv --segment language --cluster conversation --html drift.html
  evalharness drift before.jsonl now.jsonl --test latency_s=ks --effect latency_s=0.15
  evalharness drift before.jsonl now.jsonl --embed output --encoder catalog:minilm-l6

A column has drifted where there is evidence and effect: a p-value, corrected over all columns and segments, of at most
--alpha, and an effect of at least its threshold. The exit code is 0 either way; --fail-on-drift makes it 1.
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
    from evalharness.drift.result import Drift

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `drift`."""
    parser.add_argument("reference", metavar="REFERENCE", help="what the data should look like")
    parser.add_argument("current", metavar="CURRENT", help="what is held against it")
    parser.add_argument("--column", action="append", default=[], metavar="NAME", help="only this column; repeatable")
    parser.add_argument("--ignore", action="append", default=[], metavar="NAME", help="not this column; repeatable")
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=KIND",
        help="read a column as numeric, category, text or embedding; repeatable",
    )
    parser.add_argument(
        "--segment", action="append", default=[], metavar="NAME", help="also within each value of this column"
    )
    parser.add_argument("--cluster", metavar="NAME", help="rows of one value belong together, as one conversation's do")
    parser.add_argument(
        "--embed",
        action="append",
        default=[],
        metavar="NAME",
        help="compare a column of texts by meaning too, as NAME.embedding; repeatable",
    )
    parser.add_argument(
        "--encoder",
        metavar="MODEL",
        help="of --embed: a folder, catalog:NAME or a name in the hub's local cache (default: "
        "sentence-transformers/all-MiniLM-L6-v2)",
    )
    parser.add_argument("--device", metavar="NAME", help="of --embed: cpu, cuda, cuda:N, mps (default: auto)")
    parser.add_argument(
        "--test",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=TEST",
        help="test a column by this (evalharness list drift); repeatable",
    )
    parser.add_argument(
        "--effect",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=SIZE",
        help="the effect of a column from which on it counts, in its test's unit; repeatable",
    )
    parser.add_argument("--alpha", type=float, default=0.05, metavar="P", help="of the whole window (default: 0.05)")
    parser.add_argument(
        "--correction",
        choices=("bh", "by", "holm", "none"),
        default="bh",
        help="over columns and segments: Benjamini-Hochberg (default), Benjamini-Yekutieli, Holm, none",
    )
    parser.add_argument("--least-n", type=int, default=30, metavar="N", help="say nothing below so many rows (30)")
    parser.add_argument("--html", metavar="FILE", help="write one page with distributions, terms and examples")
    parser.add_argument("--markdown", metavar="FILE", help="write Markdown; - is standard output")
    parser.add_argument("--csv", metavar="FILE", help="write one row a column and segment; - is standard output")
    add_language(parser, "the page that --html writes")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON and not as a table")
    parser.add_argument("--fail-on-drift", action="store_true", help="exit with 1 where anything has drifted")


def run(args: argparse.Namespace) -> int:
    """Compare and show; returns the exit code."""
    from evalharness.core.errors import UsageError
    from evalharness.drift.api import drift
    from evalharness.drift.policy import Policy

    if not args.embed and (args.encoder or args.device):
        raise UsageError("--encoder and --device are for --embed; name the column of texts: --embed output")
    if args.language is not None and args.html is None:
        raise UsageError("--language goes with --html FILE; add that, or leave it out")
    encoder = {key: value for key, value in (("model", args.encoder), ("device", args.device)) if value}
    policy = Policy(
        alpha=args.alpha,
        correction=args.correction,
        least_n=args.least_n,
        tests=dict(args.test),
        effects={name: _number(name, size) for name, size in args.effect},
    )
    report = drift(
        args.reference,
        args.current,
        policy,
        columns=args.column,
        ignore=args.ignore,
        kinds=dict(args.kind),
        segments=args.segment,
        cluster=args.cluster,
        embed=dict.fromkeys(args.embed, encoder),
    )
    printed = _written(report, args)
    if args.json:
        import json

        print(json.dumps(report.to_dict(), indent=2, allow_nan=False))
    elif not printed:
        from evalharness.report.drift_console import print_drift

        print_drift(report)
    return 1 if args.fail_on_drift and report.drifted else 0


def _written(report: Drift, args: argparse.Namespace) -> bool:
    """Write the files that are asked for; whether one of them went to the standard output."""
    printed = False
    for target, text in (
        (args.html, partial(_html, language=args.language or "en")),
        (args.markdown, _markdown),
        (args.csv, _csv),
    ):
        if target == "-":
            sys.stdout.write(text(report))
            printed = True
        elif target is not None:
            _write(Path(target), text, report)
    return printed


def _html(report: Drift, *, language: str) -> str:
    from evalharness.report.drift_html import drift_html

    return drift_html(report, language=language)


def _markdown(report: Drift) -> str:
    from evalharness.report.drift_markdown import drift_markdown

    return drift_markdown(report)


def _csv(report: Drift) -> str:
    from evalharness.report.frames import csv_text

    return csv_text(report.frame())


def _write(path: Path, make: Callable[[Drift], str], report: Drift) -> None:
    from evalharness.core.errors import UsageError
    from evalharness.core.files import write_atomic

    text = make(report)
    try:
        write_atomic(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); choose another place") from error
    print(f"wrote {path}", file=sys.stderr)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.rpartition("=")
    if not sign or not name or not value:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, but is {text!r}")
    return name, value


def _number(column: str, text: str) -> float:
    from evalharness.core.errors import UsageError

    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--effect {column}={text}: the size must be a number, as in {column}=0.1") from None
