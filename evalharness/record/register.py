"""Registers a run that was just sealed: straight through `sqlite3` where the registry is the file beside the records.

Importing SQLAlchemy takes as long as asking an API model some hundred questions, and what `run` needs of it is two
statements. Whatever is not plain here (another database, a registry of another schema, records from before a lost
registry, a fault of the file) is left to `RunRegistry`, which knows what to do and what to say; a test holds that both
write the same file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .alert_ddl import ALERT_TABLES
from .monitor_ddl import MONITOR_TABLES
from .monitor_ddl import table as _table
from .plain import WAIT_S, cell
from .runinfo import figure_values, model_values, run_values, stored_path, verdict_beside
from .schema import REGISTRY_FILE, REGISTRY_HEAD, REGISTRY_VARIABLE
from .text import escape
from .user_ddl import USER_TABLES

if TYPE_CHECKING:
    from .sealed import Record

__all__ = ["TABLES", "register"]

TABLES: Final = (
    _table(
        "runs",
        """
        id TEXT NOT NULL
        suite_name TEXT NOT NULL
        name TEXT NOT NULL
        created_utc DATETIME NOT NULL
        finished_utc DATETIME
        path TEXT NOT NULL
        suite_digest TEXT NOT NULL
        schema_version INTEGER NOT NULL
        evalharness_version TEXT NOT NULL
        complete BOOLEAN NOT NULL
        n_samples INTEGER NOT NULL
        verdict TEXT
        parent TEXT
        CONSTRAINT pk_runs PRIMARY KEY (id)
        """,
    ),
    "CREATE INDEX ix_runs_suite_name_created_utc ON runs (suite_name, created_utc)",
    "CREATE INDEX ix_runs_created_utc_id ON runs (created_utc, id)",
    _table(
        "promotions",
        """
        id INTEGER NOT NULL
        suite_name TEXT NOT NULL
        label TEXT NOT NULL
        run_id TEXT NOT NULL
        promoted_utc DATETIME NOT NULL
        note TEXT NOT NULL
        CONSTRAINT pk_promotions PRIMARY KEY (id)
        """,
    ),
    "CREATE INDEX ix_promotions_suite_name_label ON promotions (suite_name, label)",
    _table(
        "ratings",
        """
        id INTEGER NOT NULL
        run_id TEXT NOT NULL
        task TEXT NOT NULL
        model TEXT NOT NULL
        sample_id TEXT NOT NULL
        repeat INTEGER NOT NULL
        rater TEXT NOT NULL
        question TEXT NOT NULL
        asked TEXT NOT NULL
        against TEXT NOT NULL
        value FLOAT
        label TEXT
        comment TEXT NOT NULL
        withdrawn BOOLEAN NOT NULL
        created_utc DATETIME NOT NULL
        CONSTRAINT pk_ratings PRIMARY KEY (id)
        """,
    ),
    "CREATE INDEX ix_ratings_run_id_task ON ratings (run_id, task)",
    _table(
        "results",
        """
        id INTEGER NOT NULL
        run_id TEXT NOT NULL
        task TEXT NOT NULL
        model TEXT NOT NULL
        metric TEXT NOT NULL
        group_name TEXT
        value FLOAT
        ci_low FLOAT
        ci_high FLOAT
        n INTEGER NOT NULL
        n_failed INTEGER NOT NULL
        CONSTRAINT pk_results PRIMARY KEY (id)
        CONSTRAINT fk_results_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
        """,
    ),
    "CREATE INDEX ix_results_run_id_model ON results (run_id, model)",
    _table(
        "run_models",
        """
        run_id TEXT NOT NULL
        model TEXT NOT NULL
        created_utc DATETIME NOT NULL
        CONSTRAINT pk_run_models PRIMARY KEY (run_id, model)
        CONSTRAINT fk_run_models_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
        """,
    ),
    "CREATE INDEX ix_run_models_model_created_utc_run_id ON run_models (model, created_utc, run_id)",
    *MONITOR_TABLES,
    *ALERT_TABLES,
    *USER_TABLES,
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
)
"""An empty registry as SQLAlchemy makes it in SQLite, to the letter."""


def register(
    record: Record,
    url: str | None = None,
    *,
    reports: Path | str,
    verdict: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Register `record`, or bring its entry up to date; arguments and errors as of `RunRegistry.open` and its `add`."""
    reports = Path(reports)
    url = url or (os.environ if environ is None else environ).get(REGISTRY_VARIABLE)
    if not url and _registered(record, reports, verdict):
        return
    from .registry import RunRegistry

    with RunRegistry.open(url, reports=reports, environ=environ) as runs:
        runs.add(record, verdict=verdict)


def _registered(record: Record, reports: Path, verdict: str | None) -> bool:
    """Whether the registry in `reports` is one that can be written here, and has been."""
    file = reports / REGISTRY_FILE
    if not file.exists() and not _alone(record, reports):
        return False  # lost: all that is there is registered again
    try:
        reports.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=WAIT_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("BEGIN IMMEDIATE")
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                for statement in TABLES:
                    connection.execute(statement)
                connection.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (REGISTRY_HEAD,))
            # A database of something else has no such table: SQLite's error, which `RunRegistry` explains.
            elif connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(REGISTRY_HEAD,)]:
                connection.execute("ROLLBACK")
                return False
            _write(connection, record, reports, verdict)
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError):
        return False
    return True


def _alone(record: Record, reports: Path) -> bool:
    """Whether no other record lies in `reports`."""
    folder = reports / "runs"
    found = [child.name for child in folder.iterdir() if child.is_dir()] if folder.is_dir() else []
    return all(name.startswith(".") or name == record.folder.name for name in found)


def _write(connection: sqlite3.Connection, record: Record, reports: Path, verdict: str | None) -> None:
    values = {"id": record.id, **run_values(record, stored_path(record.folder, reports))}
    if verdict := verdict or verdict_beside(record.folder):
        values["verdict"] = verdict
    changed = ", ".join(f"{name} = excluded.{name}" for name in values)
    _insert(connection, "runs", [values], f" ON CONFLICT (id) DO UPDATE SET {changed}")
    for table, rows in (("results", figure_values(record)), ("run_models", model_values(record))):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (escape(record.id),))
        _insert(connection, table, rows)


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, Any]], more: str = "") -> None:
    if rows:
        names = list(rows[0])
        marks = ", ".join("?" for _ in names)
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}){more}"
        connection.executemany(statement, [[cell(row[name]) for name in names] for row in rows])
