"""The sealed record of a run: a folder that is written once, whole or not at all, and never changed.

It holds `run.json`, `samples.parquet`, `scores.parquet`, `stats.parquet` and `checksums.sha256` (which `sha256sum -c`
checks). Reports may lie beside them; they are no part of it. Everything downstream reads records and asks no model.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.canonical import file_digest
from ..core.errors import RecordError, RunError, UsageError
from ..core.files import atomic_folder, write_atomic
from ..core.registry import suggestion
from ..core.types import MetricResult, Request, Response, Sample
from .manifest import RunManifest
from .rows import RowInput, SampleRow, ScoreRow, ScoreTable, StatsRow, StatsTable
from .schema import CHECKSUMS, FILES, MANIFEST, SAMPLES, SCORES, STATS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from .arrays import Bools, SampleTexts, StatsArrays

__all__ = ["Record", "seal"]

_CHECKSUM_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def seal(
    folder: Path | str,
    manifest: RunManifest,
    samples: Iterable[SampleRow | RowInput],
    scores: Iterable[ScoreRow | ScoreTable | RowInput],
    stats: Iterable[StatsRow | StatsTable | RowInput],
) -> Record:
    """Write a record to `folder`, which must not exist, and return it opened.

    The rows are taken one at a time and written in groups, so generators of any length will do. If anything fails,
    in the rows or on the disk, nothing is left behind.

    Raises:
        RecordError: if `folder` exists already.
        RunError: if the record cannot be written.
    """
    from .write import write_samples, write_scores, write_stats

    folder = Path(folder)
    if folder.exists():
        raise RecordError(f"{folder} exists already: a sealed record is never overwritten; choose another id")
    try:
        with atomic_folder(folder) as temporary:
            write_samples(temporary / SAMPLES, samples)
            write_scores(temporary / SCORES, scores)
            write_stats(temporary / STATS, stats)
            write_atomic(temporary / MANIFEST, manifest.to_json())
            lines = (f"{file_digest(temporary / name)}  {name}\n" for name in FILES)
            write_atomic(temporary / CHECKSUMS, "".join(lines))
    except OSError as error:
        raise RunError(
            f"the record {folder} cannot be written: {error}; nothing of it was left behind. The answers are in the "
            f"response store: make room or choose another folder with --reports, and run again"
        ) from error
    return Record.open(folder)


class Record:
    """A sealed run, opened for reading with `Record.open`.

    Small things (`manifest`, `results`) are there at once; the tables are read when they are asked for, and each file
    is held against its checksum before the first read.
    """

    def __init__(self, folder: Path, manifest: RunManifest, checksums: dict[str, str]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._checksums = checksums
        self._checked: set[str] = {MANIFEST}

    @classmethod
    def open(cls, path_or_id: Path | str, reports: Path | str = "reports") -> Record:
        """The record in a folder, or the run that an id, a unique beginning of one, `latest` or `suite@label` names.

        Raises:
            UsageError: if there is no such run.
            RecordError: if the record is damaged, or written by a newer evalharness.
        """
        folder = Path(path_or_id)
        if not (folder / MANIFEST).exists() and not (folder / CHECKSUMS).exists():
            from .resolve import resolve_run

            folder = resolve_run(str(path_or_id), Path(reports))
        checksums = _read_checksums(folder)
        _check(folder, MANIFEST, checksums)
        path = folder / MANIFEST
        return cls(folder, RunManifest.from_json(path.read_text(encoding="utf-8"), place=str(path)), checksums)

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.manifest.id

    @property
    def results(self) -> tuple[MetricResult, ...]:
        """All figures, groups included."""
        return self.manifest.results

    def of_model(self, model: str) -> Record:
        """The record as far as it is about one model.

        Raises:
            UsageError: the model did not run.
        """
        tasks = tuple(one for one in self.manifest.tasks if one.model == model)
        if not tasks:
            known = list(dict.fromkeys(one.model for one in self.manifest.tasks))
            near = suggestion(model, known)
            raise UsageError(f"{self.id} has no model {model!r}{near}; its models are {', '.join(known) or 'none'}")
        results = tuple(one for one in self.results if one.model == model)
        return Record(self.folder, replace(self.manifest, tasks=tasks, results=results), self._checksums)

    def verify(self) -> None:
        """Hold every file against its checksum.

        Raises:
            RecordError: naming each file that is damaged or missing.
        """
        problems = []
        for name in FILES:
            try:
                _check(self.folder, name, self._checksums)
            except RecordError as error:
                problems.append(str(error))
        if problems:
            raise RecordError("\n".join(problems))
        self._checked.update(FILES)

    def to_pandas(self) -> pd.DataFrame:
        """All figures as a tidy frame: one row a figure."""
        import pandas as pd

        rows = [_tidy(self.id, result) for result in self.results]
        # Text as objects: the string type of pandas refuses lone surrogates, which group values from data may hold.
        return pd.DataFrame(
            {
                name: pd.Series([row[name] for row in rows], dtype="object" if name in _TIDY_TEXT else None)
                for name in _TIDY_COLUMNS
            }
        )

    def samples(self, *, task: str | None = None, model: str | None = None) -> pd.DataFrame:
        """Every question and its answer as a frame, in the columns of `schema.samples_schema`, decoded."""
        from .read import read_frame

        return read_frame(self._path(SAMPLES), _where(task=task, model=model))

    def scores(self, *, task: str | None = None, model: str | None = None, metric: str | None = None) -> pd.DataFrame:
        """The value of each sample under each metric, as a frame."""
        from .read import read_frame

        return read_frame(self._path(SCORES), _where(task=task, model=model, metric=metric))

    def stats(self, task: str, model: str, metric: str) -> StatsTable:
        """The additive statistics of one figure, from which its value, interval and any comparison follow.

        Raises:
            UsageError: if the record has no such figure.
        """
        from .read import read_stats

        k = self._width(task, model, metric)
        return read_stats(self._path(STATS), _where(task=task, model=model, metric=metric), k)

    def stats_arrays(self, task: str, model: str, metric: str) -> StatsArrays:
        """What `stats` gives, as columns of Arrow's and NumPy's, without a Python object a row.

        Raises:
            UsageError: if the record has no such figure.
        """
        from .arrays import read_stats_arrays

        k = self._width(task, model, metric)
        return read_stats_arrays(self._path(STATS), _where(task=task, model=model, metric=metric), k)

    def group_mask(self, task: str, model: str, group: str, ids: pa.ChunkedArray) -> Bools:
        """(n,) which of the samples `ids` (a column of `stats_arrays`) are in the `group` "column=value"."""
        from .arrays import group_mask

        column, _, value = group.partition("=")
        return group_mask(self._path(SAMPLES), _where(task=task, model=model), column, value, ids)

    def gold(self, task: str, model: str) -> tuple[pa.ChunkedArray, dict[str, pa.ChunkedArray]]:
        """Ids, and the columns `target` and `references`, of a task's samples, one row an answer."""
        from .arrays import read_gold

        return read_gold(self._path(SAMPLES), _where(task=task, model=model))

    def texts(self, task: str, model: str, ids: Sequence[str]) -> dict[str, SampleTexts]:
        """What there is to see of some samples of a task on a model: prompt, gold and the first answer, by id."""
        from .arrays import read_texts

        return read_texts(self._path(SAMPLES), _where(task=task, model=model), ids)

    def _width(self, task: str, model: str, metric: str) -> int:
        whole = [r for r in self.results if (r.task, r.model, r.metric, r.group) == (task, model, metric, None)]
        if not whole:
            known = ", ".join(sorted({f"{r.task}.{r.metric} ({r.model})" for r in self.results})) or "none"
            raise UsageError(f"{self.folder} has no figure {task}.{metric} of model {model!r}; it has: {known}")
        return len(whole[0].columns)

    def iter_samples(self, task: str | None = None, model: str | None = None) -> Iterator[SampleRow]:
        """Every question and its answer as it was, read a row group at a time, without pandas."""
        from .read import iter_samples

        return iter_samples(self._path(SAMPLES), _where(task=task, model=model))

    def sample_objects(self, task: str, model: str) -> tuple[Sample, ...]:
        """The samples of one task on one model, one for each response (so repeated with `repeats`)."""
        return tuple(row.sample for row in self.iter_samples(task=task, model=model))

    def requests(self, task: str, model: str) -> tuple[Request, ...]:
        """The requests of one task on one model, in the order of `sample_objects`."""
        return tuple(row.request for row in self.iter_samples(task=task, model=model))

    def responses(self, task: str, model: str) -> tuple[Response, ...]:
        """The responses of one task on one model, in the order of `sample_objects`."""
        return tuple(row.response for row in self.iter_samples(task=task, model=model))

    def _path(self, name: str) -> Path:
        if name not in self._checked:
            _check(self.folder, name, self._checksums)
            self._checked.add(name)
        return self.folder / name

    def __repr__(self) -> str:
        m = self.manifest
        return (
            f"<Record {m.id}: {m.suite_name}, {len(m.models)} models, {len(m.tasks)} tasks, {len(m.results)} figures>"
        )

    def _repr_html_(self) -> str:
        def cells(tag: str, values: Iterable[object]) -> str:
            return "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)

        head = cells("th", ("task", "model", "metric", "group", "value", "interval", "n", "failed"))
        body = "".join(
            "<tr>"
            + cells(
                "td",
                (r.task, r.model, r.metric, r.group or "", f"{r.value:.4g}", _interval(r), r.n, r.n_failed),
            )
            + "</tr>"
            for r in self.results
        )
        return (
            f"<p><b>{html.escape(self.manifest.suite_name)}</b> {html.escape(self.id)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


_TIDY_TEXT: Final = frozenset({"run", "task", "model", "metric", "group", "ci_method", "signature"})
_TIDY_COLUMNS: Final = (
    *("run", "task", "model", "metric", "group", "value", "ci_low", "ci_high", "ci_method", "confidence"),
    *("n", "n_failed", "higher_is_better", "bound_low", "bound_high", "signature"),
)


def _interval(result: MetricResult) -> str:
    return f"[{result.ci_low:.4g}, {result.ci_high:.4g}]"


def _tidy(run: str, result: MetricResult) -> dict[str, Any]:
    low, high = result.bounds
    return {**asdict(result), "run": run, "bound_low": low, "bound_high": high}


def _where(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _read_checksums(folder: Path) -> dict[str, str]:
    path = folder / CHECKSUMS
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing: the record is incomplete; restore it from a copy") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}; restore the record from a copy") from error
    found = {match[2]: match[1] for match in map(_CHECKSUM_LINE.fullmatch, text.splitlines()) if match}
    if missing := [name for name in FILES if name not in found]:
        raise RecordError(f"{path} is damaged: it has no line for {', '.join(missing)}; restore the record from a copy")
    return found


def _check(folder: Path, name: str, checksums: dict[str, str]) -> None:
    path = folder / name
    try:
        found = file_digest(path)
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing: the record is incomplete; restore it from a copy") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error}; restore the record from a copy") from error
    if found != checksums[name]:
        raise RecordError(
            f"{path} is damaged or was changed: its sha256 is {found}, and {CHECKSUMS} says {checksums[name]}; "
            f"restore the record from a copy, or run the suite again"
        )
