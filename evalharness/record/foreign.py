"""Opens whatever holds the samples of a run: our records by any of their names, and result files of lm-eval's."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..core.canonical import digest
from ..core.errors import UsageError
from ..core.types import MetricResult
from ..metrics.interval import summarize
from .lm_eval_files import LmEvalFiles, find_results, open_files
from .lm_eval_tasks import ForeignTask, read_task, sample_rows
from .manifest import RunManifest, TaskSummary
from .resolve import resolve_run
from .rows import SampleRow
from .schema import CHECKSUMS, MANIFEST
from .sealed import Record, seal

__all__ = ["lm_eval_record", "open_record"]


def open_record(name: str | Path, *, reports: Path = Path("reports"), url: str | None = None) -> Record:
    """The record that `name` names: a folder, a run id or its beginning, `latest`, `suite@label`, or lm-eval's output.

    lm-eval's output is a result file (`results_….json`), or a folder with one in it, that was written with
    `--log_samples`; what is made of it lives in a temporary folder as long as the record that is returned.

    Raises:
        UsageError: there is nothing of that name, or lm-eval's results have no samples.
    """
    path = Path(name)
    if not (path / MANIFEST).exists() and not (path / CHECKSUMS).exists():
        results = find_results(str(name))
        if results is not None:
            return lm_eval_record(results)
    try:
        return Record.open(resolve_run(str(name), reports, url=url))
    except UsageError as error:
        if path.is_dir() and next(path.glob("*results*.json"), None) is None:
            raise UsageError(f"{error}; nor does it hold results_….json of lm-eval's") from error
        raise


def lm_eval_record(path: Path) -> Record:
    """The result file `path` of lm-eval's, with its samples, as a record; see `open_record`."""
    files = open_files(path)
    model = str(files.body.get("model_name") or (files.body.get("config") or {}).get("model") or "lm-eval")
    tasks = [read_task(files, name, model) for name in files.samples]
    if not any(task.figures for task in tasks):
        missing = "; ".join(said for task in tasks for said in task.left_out) or "it has none"
        raise UsageError(f"{path} has no figure that can be computed from its samples: {missing}")
    folder = tempfile.TemporaryDirectory(prefix="evalharness-lm-eval-")
    record = seal(
        Path(folder.name) / "record",
        _manifest(files, tasks, model),
        _samples(files, tasks),
        (table for task in tasks for table in task.score_tables()),
        (table for task in tasks for _, table in task.figures),
    )
    weakref.finalize(record, folder.cleanup)
    return record


def _samples(files: LmEvalFiles, tasks: list[ForeignTask]) -> Iterator[SampleRow]:
    for task in tasks:
        yield from sample_rows(files, task)


def _manifest(files: LmEvalFiles, tasks: list[ForeignTask], model: str) -> RunManifest:
    body: Any = files.body
    when = str(body.get("date") or "")
    suite: dict[str, Any] = {
        "version": 1,
        "name": "lm-eval",
        "tasks": [{"id": task.name, "lm_eval": task.name} for task in tasks],
        "models": {model: {"lm_eval": str((body.get("config") or {}).get("model"))}},
    }
    left_out = [said for task in tasks for said in task.left_out]
    return RunManifest(
        id=f"{files.path.parent.name}/{files.path.stem}",
        name="lm-eval",
        suite_name="lm-eval",
        suite_digest=digest(suite),
        suite=suite,
        created_utc=_utc(when),
        finished_utc=_utc(when),
        evalharness_version=version("evalharness"),
        versions={"lm-eval": str(body.get("lm_eval_version") or "?")},
        models={model: {"lm_eval": str(body.get("config"))}},
        datasets={},
        tasks=tuple(
            TaskSummary(
                id=task.name,
                model=model,
                kind=task.kind,
                identity=task.identity,
                n_samples=len(task.digests),
                n_requests=task.n_requests,
                states={"ok": task.n_requests},
            )
            for task in tasks
        ),
        results=tuple(result for task in tasks for result in _results(task)),
        notes=(f"left out: {', '.join(left_out)}",) if left_out else (),
    )


def _results(task: ForeignTask) -> Iterator[MetricResult]:
    for figure, table in task.figures:
        summary = summarize(figure, table.values)
        yield MetricResult(
            task=task.name,
            model=task.model,
            metric=figure.name,
            value=summary.value,
            ci_low=summary.low,
            ci_high=summary.high,
            ci_method=summary.method,
            confidence=0.95,
            n=len(table),
            n_failed=0,
            higher_is_better=figure.higher_is_better,
            bounds=figure.bounds,
            signature=figure.signature,
            columns=figure.columns,
            totals=tuple(float(x) for x in table.values.sum(axis=0)),
        )


def _utc(seconds: str) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except ValueError:
        return ""
