"""The registry: which runs there are, what they measured, and which one is the baseline of its suite.

It is an index over sealed records, in SQLite beside them by default, or in a PostgreSQL database that many machines
share. A lost index is made again from the records (`rescan`); only promotions and people's ratings stand nowhere else.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import URL, Connection, Engine, delete, func, insert, select, update

from ..core.errors import RecordError, RunError, UsageError
from ..core.registry import suggestion
from .database import connect, reading, writing
from .rating_store import add_ratings, select_ratings, withdraw_ratings
from .ratings import Rating, RatingKind
from .runinfo import (
    PromotionInfo,
    Rescan,
    RunInfo,
    as_run,
    figure_values,
    model_values,
    run_values,
    stored_path,
    utc_text,
    verdict_beside,
)
from .schema import MANIFEST, REGISTRY_FILE, REGISTRY_VARIABLE
from .sealed import Record
from .tables import PROMOTIONS, RESULTS, RUN_MODELS, RUNS

__all__ = ["REGISTRY_FILE", "REGISTRY_VARIABLE", "RunRegistry"]

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LATEST: Final = "latest"


class RunRegistry:
    """All runs known. Open it with `RunRegistry.open`; use it as a context manager.

    A run is named by its id, by a beginning or an end of it that no other id has, or by `latest`.
    """

    def __init__(self, engine: Engine, reports: Path, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self.reports = reports
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        reports: Path | str = "reports",
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """The registry at `url`; by default the one that `EVALHARNESS_REGISTRY` names, else SQLite in `reports`.

        It is made if it is missing, and its schema is brought up to date. Where the SQLite file is missing and records
        are there, they are registered again.

        Raises:
            UsageError: if the URL is none.
            RecordError: if the database is no registry, or of a newer evalharness.
            RunError: if it cannot be opened.
        """
        reports = Path(reports)
        url = url or (os.environ if environ is None else environ).get(REGISTRY_VARIABLE)
        file = reports / REGISTRY_FILE
        is_new = not url and not file.exists()
        registry = cls(connect(url or URL.create("sqlite", database=str(file))), reports, clock)
        if is_new and (reports / "runs").is_dir():
            registry.rescan()
        return registry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; safe to call twice."""
        self.engine.dispose()

    def add(self, record: Record, *, verdict: str | None = None) -> RunInfo:
        """Register `record`, or bring its entry up to date.

        `verdict` is what the gates said; by default what stands in `gate.json` beside the record, else what the
        registry knows already.
        """
        values = run_values(record, stored_path(record.folder, self.reports))
        if verdict := verdict or verdict_beside(record.folder):
            values["verdict"] = verdict
        held = {RESULTS: figure_values(record), RUN_MODELS: model_values(record)}
        with writing(self.engine) as connection:
            if connection.execute(update(RUNS).where(RUNS.c.id == record.id).values(values)).rowcount == 0:
                connection.execute(insert(RUNS).values(id=record.id, **values))
            for table, rows in held.items():
                connection.execute(delete(table).where(table.c.run_id == record.id))
                if rows:
                    connection.execute(insert(table), rows)
            return self._get(connection, record.id)

    def list(self, *, suite: str | None = None, limit: int | None = None) -> tuple[RunInfo, ...]:
        """The runs, newest first."""
        with reading(self.engine) as connection:
            return self._select(connection, suite=suite, limit=limit)

    def get(self, ref: str) -> RunInfo:
        """The run that `ref` names.

        Raises:
            UsageError: if it names none, or more than one.
        """
        with reading(self.engine) as connection:
            return self._get(connection, ref)

    def resolve(self, ref: str) -> Path:
        """The folder of a record, named by its path, as a run is named, or as `suite@label` (`suite@latest` too).

        Raises:
            UsageError: if there is no such run, or nothing is promoted under the label.
            RecordError: if the run is registered and its folder is gone.
        """
        if (Path(ref) / MANIFEST).is_file():
            return Path(ref)
        with reading(self.engine) as connection:
            suite, at, label = ref.rpartition("@")
            run = self._promoted(connection, suite, label) if at else self._get(connection, ref)
        if not (run.path / MANIFEST).is_file():
            raise RecordError(
                f"run {run.id} is registered at {run.path}, and there is no record there any more; restore the folder, "
                f"or forget the run: evalharness runs delete {run.id}"
            )
        return run.path

    def promote(self, ref: str, label: str = "production", *, note: str = "", force: bool = False) -> PromotionInfo:
        """Make a run the baseline of its suite under `label`; what was promoted before stays in the history.

        Raises:
            UsageError: for a label that is none, or a run that is not complete (unless `force`).
            RecordError: if the record is damaged or gone: no gate may rest on it.
        """
        if not _LABEL.fullmatch(label) or label == _LATEST:
            raise UsageError(
                f"{label!r} cannot be a label: letters, digits, '.', '_' and '-', and not {_LATEST!r}, which always "
                f"means the newest run"
            )
        run = self.get(ref)
        if not run.complete and not force:
            raise UsageError(
                f"run {run.id} is not complete (it was interrupted, or too many answers failed), so no gate should "
                f"rest on it; run the suite again, or promote it all the same with --force"
            )
        Record.open(self.resolve(run.id)).verify()
        now = self._clock()
        with writing(self.engine) as connection:
            connection.execute(
                insert(PROMOTIONS).values(
                    suite_name=run.suite_name, label=label, run_id=run.id, promoted_utc=now, note=note
                )
            )
        return PromotionInfo(run.suite_name, label, run.id, utc_text(now), note)

    def promotions(self, *, suite: str | None = None) -> tuple[PromotionInfo, ...]:
        """The history of promotions, newest first."""
        query = select(
            PROMOTIONS.c.suite_name,
            PROMOTIONS.c.label,
            PROMOTIONS.c.run_id,
            PROMOTIONS.c.promoted_utc,
            PROMOTIONS.c.note,
        )
        if suite is not None:
            query = query.where(PROMOTIONS.c.suite_name == suite)
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(PROMOTIONS.c.id.desc())).all()
        return tuple(PromotionInfo(row[0], row[1], row[2], utc_text(row[3]), row[4]) for row in rows)

    def delete(self, ref: str, *, force: bool = False) -> RunInfo:
        """Forget a run and remove its folder; returns what it was.

        Raises:
            UsageError: if the run is a baseline now (unless `force`).
        """
        with writing(self.engine) as connection:
            run = self._get(connection, ref)
            if run.labels and not force:
                raise UsageError(
                    f"run {run.id} is promoted as {', '.join(run.labels)} of {run.suite_name}; promote another run "
                    f"first, or delete it all the same with --force"
                )
            # Figures go first: PostgreSQL and SQLite cascade, but only where the table was made with it.
            for table in (RESULTS, RUN_MODELS):
                connection.execute(delete(table).where(table.c.run_id == run.id))
            connection.execute(delete(RUNS).where(RUNS.c.id == run.id))
            _remove_folder(run)
        return run

    def add_ratings(self, ratings: Iterable[Rating]) -> tuple[Rating, ...]:
        """Store people's ratings, all or none, before it returns; each takes the place of one with its identity.

        Returns them as they are stored; one without a time was given now.

        Raises:
            UsageError: if one of them contradicts itself.
        """
        return add_ratings(self.engine, ratings, clock=self._clock)

    def ratings(
        self,
        *,
        run_id: str | None = None,
        task: str | None = None,
        rater: str | None = None,
        question: RatingKind | None = None,
        asked: str | None = None,
        history: bool = False,
    ) -> tuple[Rating, ...]:
        """The ratings of a run, task, rater, kind and wording of question (None: of any), in the order they were given.

        With `history` also those that were replaced or taken back later.
        """
        return select_ratings(
            self.engine, history=history, run_id=run_id, task=task, rater=rater, question=question, asked=asked
        )

    def withdraw_ratings(self, ratings: Iterable[Rating]) -> None:
        """Take back the ratings that have the identities of these; they stay in the history."""
        withdraw_ratings(self.engine, ratings, clock=self._clock)

    def rescan(self, reports: Path | str | None = None) -> Rescan:
        """Register every record found in `reports/runs` (default: this registry's own reports folder)."""
        folder = (self.reports if reports is None else Path(reports)) / "runs"
        known = {run.id for run in self.list()}
        added: list[str] = []
        damaged: dict[str, str] = {}
        found: set[str] = set()
        for child in sorted(folder.iterdir()) if folder.is_dir() else ():
            if child.name.startswith(".") or not child.is_dir():
                continue
            try:
                record = Record.open(child)
                self.add(record)
            except (RecordError, UsageError) as error:
                damaged[child.name] = str(error)
                continue
            found.add(record.id)
            if record.id not in known:
                added.append(record.id)
        missing = tuple(run.id for run in self.list() if not (run.path / MANIFEST).is_file())
        return Rescan(added=tuple(added), n_found=len(found), damaged=damaged, missing=missing)

    def _select(
        self,
        connection: Connection,
        *,
        suite: str | None = None,
        limit: int | None = None,
        ids: Sequence[str] | None = None,
    ) -> tuple[RunInfo, ...]:
        query = select(RUNS).order_by(RUNS.c.created_utc.desc(), RUNS.c.id.desc())
        if suite is not None:
            query = query.where(RUNS.c.suite_name == suite)
        if ids is not None:
            query = query.where(RUNS.c.id.in_(ids))
        if limit is not None:
            query = query.limit(limit)
        rows = connection.execute(query).mappings().all()
        labels = self._labels(connection)
        return tuple(as_run(dict(row), reports=self.reports, labels=labels.get(row["id"], ())) for row in rows)

    def _labels(self, connection: Connection) -> dict[str, tuple[str, ...]]:
        """The labels that each baseline of now bears."""
        newest = select(func.max(PROMOTIONS.c.id)).group_by(PROMOTIONS.c.suite_name, PROMOTIONS.c.label)
        query = (
            select(PROMOTIONS.c.run_id, PROMOTIONS.c.label)
            .where(PROMOTIONS.c.id.in_(newest))
            .order_by(PROMOTIONS.c.label)
        )
        found: dict[str, tuple[str, ...]] = {}
        for run_id, label in connection.execute(query.order_by(PROMOTIONS.c.label)):
            found[run_id] = (*found.get(run_id, ()), label)
        return found

    def _get(self, connection: Connection, ref: str) -> RunInfo:
        exact = self._newest(connection) if ref == _LATEST else self._select(connection, ids=[ref])
        if exact:
            return exact[0]
        ids = list(connection.execute(select(RUNS.c.id)).scalars())
        if not ids:
            raise UsageError(f"there is no run {ref!r}: no run is registered yet; evalharness run SUITE makes one")
        matches = [i for i in ids if ref and i.startswith(ref)] or [i for i in ids if len(ref) >= 4 and i.endswith(ref)]
        if not matches:
            raise UsageError(f"there is no run {ref!r}{suggestion(ref, ids)}; see: evalharness runs list")
        if len(matches) > 1:
            shown = ", ".join(sorted(matches)[:5]) + (", …" if len(matches) > 5 else "")
            raise UsageError(f"{ref!r} names {len(matches)} runs: {shown}; give more of the id")
        return self._select(connection, ids=matches)[0]

    def _newest(self, connection: Connection) -> tuple[RunInfo, ...]:
        """The newest run that somebody made: those of a monitor are filed under `suite/purpose`."""
        query = select(RUNS.c.id).where(~RUNS.c.suite_name.contains("/"))
        query = query.order_by(RUNS.c.created_utc.desc(), RUNS.c.id.desc()).limit(1)
        return self._select(connection, ids=list(connection.execute(query).scalars()))

    def _promoted(self, connection: Connection, suite: str, label: str) -> RunInfo:
        if label == _LATEST:
            if runs := self._select(connection, suite=suite, limit=1):
                return runs[0]
            raise UsageError(f"there is no run of a suite {suite!r}; see: evalharness runs list")
        query = select(PROMOTIONS.c.run_id).where(PROMOTIONS.c.suite_name == suite, PROMOTIONS.c.label == label)
        run_id = connection.execute(query.order_by(PROMOTIONS.c.id.desc()).limit(1)).scalar()
        if run_id is None:
            all_labels = select(PROMOTIONS.c.suite_name, PROMOTIONS.c.label).distinct()
            known = sorted(f"{row[0]}@{row[1]}" for row in connection.execute(all_labels))
            raise UsageError(
                f"no run of {suite!r} is promoted as {label!r}{suggestion(f'{suite}@{label}', known)}; promote one: "
                f"evalharness promote RUN --as {label}"
            )
        runs = self._select(connection, ids=[run_id])
        if not runs:
            raise UsageError(
                f"run {run_id}, promoted as {label!r} of {suite!r}, was deleted; promote another one: "
                f"evalharness promote RUN --as {label}"
            )
        return runs[0]


def _remove_folder(run: RunInfo) -> None:
    """Remove the folder of a record, at once for all who look at it."""
    if not (run.path / MANIFEST).is_file() or run.path.is_symlink():
        return  # gone already, or not ours to follow
    doomed = run.path.with_name(f".{run.path.name}.{secrets.token_hex(6)}.tmp")
    try:
        run.path.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise RunError(f"run {run.id}: its folder {run.path} cannot be removed: {error}; remove it by hand") from error
