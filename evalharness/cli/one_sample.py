"""One sample of a record as JSON: what was asked, what came back, and its figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalharness.record import Record

__all__ = ["print_sample"]


def print_sample(args: argparse.Namespace) -> int:
    """Print the answers to the sample `args.sample`, a list of one for each task, model and repeat."""
    from evalharness.core.errors import UsageError
    from evalharness.record.foreign import open_record

    for option in ("format", "out", "samples", "baseline"):
        if getattr(args, option) is not None:
            raise UsageError(f"--sample prints JSON; leave --{option} out, or send the output to a file")
    record = open_record(args.record, reports=Path(args.reports), url=args.registry)
    found = _answers(record, args.sample, args.task, args.model)
    if not found:
        where = "".join(
            f" of {what} {value!r}" for what, value in (("task", args.task), ("model", args.model)) if value
        )
        raise UsageError(
            f"{record.id} has no sample {args.sample!r}{where}; its ids: evalharness report {args.record} --format csv "
            "--table samples"
        )
    # Escapes for all that is not ASCII: nothing of a text can act on the terminal.
    print(json.dumps(found, indent=2))
    return 0


def _answers(record: Record, sample_id: str, task: str | None, model: str | None) -> list[dict[str, Any]]:
    from evalharness.core.canonical import to_jsonable
    from evalharness.record.read import iter_columns, iter_samples
    from evalharness.record.schema import SAMPLES, SCORES

    where = {"sample_id": sample_id, **({"task": task} if task else {}), **({"model": model} if model else {})}
    scores: dict[tuple[str, str], dict[str, float]] = {}
    columns = ["task", "model", "metric", "value"]
    for cells in iter_columns(record.folder / SCORES, where, columns):
        for of_task, of_model, metric, value in zip(*cells, strict=True):
            scores.setdefault((of_task, of_model), {})[metric] = value
    return [
        {"run": record.id, **to_jsonable(row), "scores": to_jsonable(scores.get((row.task, row.model), {}))}
        for row in iter_samples(record.folder / SAMPLES, where)
    ]
