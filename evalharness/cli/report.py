"""Write a record's report: HTML, Markdown, a workbook, CSV, Parquet or JSON, or print its summary.

Records are only read, no model is asked. HTML, Markdown and the workbook go beside the record unless --out says
otherwise; CSV and JSON are printed unless it does. Markdown that goes into a file has its charts as SVG files in a
folder beside it. What people said of the outputs (evalharness annotate) stands in HTML, Markdown and the summary: who
rated, how far they agree, and how the models compare. HTML shows what earlier runs of the suite found, and HTML and
Markdown what changed against the baseline: the one that the gate compared with, or that --baseline names. With
--sample one sample is printed as JSON.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .beside import Beside, beside, ratings_beside
from .language import add_language

if TYPE_CHECKING:
    from evalharness.record import Record

__all__ = ["add_arguments", "run"]

_FORMATS = ("html", "md", "xlsx", "csv", "parquet", "json", "console")
_COMPARED = ("html", "md")


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
    parser.add_argument("--baseline", metavar="RUN", help="html, md: the run to compare with, named as the record is")
    add_language(parser, "the page (html)")
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
    if args.samples is not None and kind != "html":
        raise UsageError(f"--format {kind} has no limit of samples; leave out --samples, or take --format html")
    if args.language is not None and kind != "html":
        raise UsageError(f"--format {kind} speaks English; leave out --language, or take --format html")
    record = open_record(args.record, reports=Path(args.reports), url=args.registry)
    gate = read_gate(record.folder)
    reports = Path(args.reports)
    if args.baseline is not None and kind not in _COMPARED:
        raise UsageError(f"--format {kind} compares nothing; leave out --baseline, or see: evalharness compare --help")
    if kind == "console":
        if args.out not in (None, "-"):
            raise UsageError("--format console prints; for a file take --format md --out FILE")
        from evalharness.report import print_summary

        print_summary(record, gate, ratings=ratings_beside(record, reports, url=args.registry))
        return 0
    if kind == "parquet":
        if args.out in (None, "-"):
            raise UsageError("a Parquet file is not text; say where it goes: --out FILE.parquet")
        _write(Path(args.out), lambda path: frames.write_parquet(frames.table(record, args.table), path))
        return 0
    if kind == "xlsx":
        from evalharness.report.workbook import write_workbook

        if args.out == "-":
            raise UsageError("a workbook is not text; say where it goes: --out FILE.xlsx")
        workbook = Path(args.out or record.folder / "report.xlsx")
        left_out: list[str] = []
        _write(workbook, lambda path: left_out.extend(write_workbook(record, path, gate)))
        for what in left_out:
            print(f"evalharness: left out of {workbook.name}: {what}", file=sys.stderr)
        return 0
    if kind in _COMPARED:
        besides = beside(record, gate, reports, url=args.registry, baseline=args.baseline)
    if kind == "html":
        from evalharness.report.html import iter_html

        # A piece at a time: a page of 100,000 samples is large.
        pieces = iter_html(record, gate, max_samples=args.samples, language=args.language or "en", **besides)
        if args.out == "-":
            for piece in pieces:
                _print(piece)
        else:
            _write(Path(args.out or record.folder / "report.html"), lambda path: _write_text(path, pieces))
        return 0
    if kind == "md":
        text, default = _markdown(record, gate, args.out, besides), "report.md"
    elif kind == "csv":
        text, default = frames.csv_text(frames.table(record, args.table)), "-"
    else:
        text, default = frames.summary_json(record, gate), "-"
    target = args.out or (default if default == "-" else str(record.folder / default))
    if target == "-":
        _print(text)
    else:
        _write(Path(target), lambda path: _write_text(path, text))
    return 0


def _markdown(record: Record, gate: Mapping[str, Any] | None, out: str | None, besides: Beside) -> str:
    """The text; where it goes into a file, its pictures are written beside that, if they can be drawn."""
    from evalharness.core.errors import UsageError
    from evalharness.report.charts import can_draw
    from evalharness.report.charts.render import NEEDS
    from evalharness.report.markdown import render_markdown
    from evalharness.report.picture_files import PictureFolder

    ratings, baseline = besides["ratings"], besides["baseline"]
    if out == "-":
        return render_markdown(record, gate, ratings=ratings, baseline=baseline)
    if not can_draw():
        print(f"evalharness: the report has no pictures. {NEEDS}", file=sys.stderr)
        return render_markdown(record, gate, ratings=ratings, baseline=baseline)
    pictures = PictureFolder(Path(out) if out else record.folder / "report.md")
    try:
        return render_markdown(record, gate, ratings=ratings, baseline=baseline, pictures=pictures)
    except OSError as error:
        raise UsageError(
            f"the pictures cannot be written to {pictures.folder} ({error.strerror}); choose another place with --out"
        ) from error


def _format_of(out: str | None) -> str:
    endings = {
        ".html": "html",
        ".htm": "html",
        ".md": "md",
        ".csv": "csv",
        ".parquet": "parquet",
        ".json": "json",
        ".xlsx": "xlsx",
    }
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


def _write_text(path: Path, text: str | Iterable[str]) -> None:
    from evalharness.core.files import write_atomic

    write_atomic(path, text.encode("utf-8", "replace") if isinstance(text, str) else text)


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
