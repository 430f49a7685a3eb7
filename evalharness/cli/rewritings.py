"""Keep the answers of a record as rewritings of its texts: paraphrases, translations there and back.

A model writes them in an ordinary run, with its store, limits and budgets: a task whose prompt asks for a paraphrase.
What this verb writes is what the probe `robustness` reads (`written: FILE`). No model is asked.

  evalharness run paraphrase.yaml
  evalharness rewritings latest --task paraphrase --field text --out paraphrases.jsonl
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rewritings`."""
    parser.add_argument("record", help="folder of the record, run id or its beginning, suite@label, or latest")
    parser.add_argument("--task", required=True, help="the task whose answers are the rewritings")
    parser.add_argument("--model", help="whose answers (needed where several models answered)")
    parser.add_argument("--field", required=True, help="the field of the rows that was rewritten")
    parser.add_argument("--name", help="what the variant is called (default: the task's name)")
    parser.add_argument("--out", required=True, metavar="FILE", help="where to write them (JSONL)")
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")


def run(args: argparse.Namespace) -> int:
    """Write the file; returns the exit code."""
    from evalharness.core.errors import UsageError
    from evalharness.core.files import write_atomic
    from evalharness.record import Record
    from evalharness.report.rewritings import rewritings_of

    record = Record.open(args.record, reports=Path(args.reports))
    name = args.name or "".join(c if c.isalnum() or c in "-_" else "_" for c in args.task)
    found = rewritings_of(record, args.task, model=args.model, text_field=args.field, name=name)
    left = ", ".join(f"{n} {why}" for why, n in sorted(found.left_out.items()))
    if not found.lines:
        raise UsageError(f"no answer of {args.task!r} is a rewriting: {left or 'there is none'}")
    try:
        write_atomic(Path(args.out), "".join(f"{line}\n" for line in found.lines))
    except OSError as error:
        raise UsageError(f"{args.out} cannot be written: {error.strerror}") from error
    print(f"{len(found.lines)} rewritings in {args.out}" + (f"; left out: {left}" if left else ""), file=sys.stderr)
    return 0
