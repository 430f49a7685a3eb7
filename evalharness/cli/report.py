"""Write a record's report: HTML, Markdown, CSV, Parquet or JSON, or print its summary.

Records are only read, no model is asked. HTML and Markdown go beside the record unless --out says otherwise; CSV and
JSON are printed unless it does. What people said of the outputs (evalharness annotate) stands in HTML, Markdown and the
summary: who rated, how far they agree, and how the models compare. With --sample one sample is printed as JSON.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .rated import ratings_beside

if TYPE_CHECKING:
    from evalharness.record import Rating, Record

__all__ = ["add_arguments", "run"]

_FORMATS = ("html", "md", "csv", "parquet", "json", "console")
_WITH_RATINGS = ("html", "md", "console")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `report`."""
    parser.add_argument("record", help="folder of the record, run id or its beginning, suite@label, or latest")
    parser.add_argument("--format", choices=_FORMATS, help="what to write (default: by the ending of --out, else html)")
    parser.add_argument("--out", metavar="FILE", help="where to write it; - is the standard output")
    parser.add_argument(
        "--table",
        choices=("metrics", "samples", "scores"),
        default="metrics",
        help="csv, parquet: one row a figure, an answer, or a sample and figure (default: metrics)",
    )
    parser.add_argument(
        "--samples",
        "--max-samples",
        type=_count,
        metavar="N",
        help="html: most samples in the page, however long (default: 100000, and 160 million characters)",
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="html: set each sample beside this run's answer (default: the gate's baseline)",
    )
    parser.add_argument("--sample", metavar="ID", help="print this sample and its answers as JSON, and write nothing")
    parser.add_argument("--task", metavar="TASK", help="with --sample: of this task")
    parser.add_argument("--model", metavar="MODEL", help="with --sample: answered by this model")
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument("--registry", metavar="URL", help="database of runs (default: SQLite in the reports folder)")


def run(args: argparse.Namespace) -> int:
    """Write the report; returns the exit code."""
    from evalharness.core.errors import UsageError
    from evalharness.record.foreign import open_record
    from evalharness.report import frames
    from evalharness.report.gatefile import read_gate

    if args.sample is not None:
        from .one_sample import print_sample

        return print_sample(args)
    for option in ("task", "model"):
        if getattr(args, option) is not None:
            raise UsageError(f"--{option} goes with --sample ID; add that, or leave it out")
    kind = args.format or _format_of(args.out)
    for option in ("samples", "baseline"):
        if getattr(args, option) is not None and kind != "html":
            raise UsageError(f"--{option} is for the page; leave it out, or take --format html")
    record = open_record(args.record, reports=Path(args.reports), url=args.registry)
    gate = read_gate(record.folder)
    ratings = ratings_beside(record, Path(args.reports), url=args.registry) if kind in _WITH_RATINGS else ()
    if kind == "console":
        if args.out not in (None, "-"):
            raise UsageError("--format console prints; for a file take --format md --out FILE")
        from evalharness.report import print_summary

        print_summary(record, gate, ratings=ratings)
        return 0
    if kind == "parquet":
        if args.out in (None, "-"):
            raise UsageError("a Parquet file is not text; say where it goes: --out FILE.parquet")
        _write(Path(args.out), lambda path: frames.write_parquet(frames.table(record, args.table), path))
        return 0
    if kind == "html":
        return _page(args, record, gate, ratings)
    if kind == "md":
        from evalharness.report.markdown import render_markdown

        text, beside = render_markdown(record, gate, ratings=ratings), "report.md"
    elif kind == "csv":
        text, beside = frames.csv_text(frames.table(record, args.table)), "-"
    else:
        text, beside = frames.summary_json(record, gate), "-"
    target = args.out or (beside if beside == "-" else str(record.folder / beside))
    if target == "-":
        _print(text)
    else:
        _write(Path(target), lambda path: _write_text(path, text))
    return 0


def _page(args: argparse.Namespace, record: Record, gate: Mapping[str, Any] | None, ratings: Iterable[Rating]) -> int:
    from evalharness.core.files import write_atomic
    from evalharness.report.html import iter_html

    from .against import baseline_beside

    baseline = baseline_beside(record, gate, Path(args.reports), url=args.registry, baseline=args.baseline)
    pieces = iter_html(record, gate, max_samples=args.samples, ratings=ratings, baseline=baseline)
    if args.out == "-":
        for piece in pieces:
            _print(piece)
    else:
        # A piece at a time: a page of 100,000 samples is large.
        _write(Path(args.out or record.folder / "report.html"), lambda path: write_atomic(path, pieces))
    return 0


def _format_of(out: str | None) -> str:
    endings = {".html": "html", ".htm": "html", ".md": "md", ".csv": "csv", ".parquet": "parquet", ".json": "json"}
    return endings.get(Path(out).suffix.lower(), "html") if out and out != "-" else "html"


def _print(text: str) -> None:
    # UTF-8 whatever the locale: a CSV in the encoding of a console is no use to the program that reads the pipe.
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    stream.write(text.encode("utf-8", "replace"))
    stream.flush()


def _write_text(path: Path, text: str) -> None:
    from evalharness.core.files import write_atomic

    write_atomic(path, text.encode("utf-8", "replace"))


def _write(path: Path, write: Callable[[Path], None]) -> None:
    from evalharness.core.errors import UsageError

    try:
        write(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); choose another place with --out") from error
    print(f"wrote {path}", file=sys.stderr)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value
