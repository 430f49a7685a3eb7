"""Reads the registry straight through `sqlite3` where it is the file beside the records.

Importing SQLAlchemy takes as long as asking an API model some hundred questions, and what every run reads of its
registry is two statements. Whatever is not plain here (another database, another schema, a fault of the file) is left
to `RunRegistry`, which knows what to do and what to say.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from .schema import REGISTRY_FILE, REGISTRY_HEAD, REGISTRY_VARIABLE
from .text import escape

__all__ = ["WAIT_S", "cell", "has_registry", "plain_rows"]

WAIT_S: Final = 60.0


def has_registry(reports: Path, url: str | None = None) -> bool:
    """Whether there is a registry to read: one that is named, or the file beside the records."""
    return bool(url or os.environ.get(REGISTRY_VARIABLE)) or (reports / REGISTRY_FILE).exists()


def plain_rows(
    reports: Path, url: str | None, statement: str, values: Mapping[str, Any]
) -> list[tuple[Any, ...]] | None:
    """The rows that `statement` finds, cells as SQLite holds them; None where `RunRegistry` has to be asked."""
    if url or os.environ.get(REGISTRY_VARIABLE):
        return None
    file = (reports / REGISTRY_FILE).absolute()
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=WAIT_S)) as connection:
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(REGISTRY_HEAD,)]:
                return None
            return connection.execute(statement, {name: cell(value) for name, value in values.items()}).fetchall()
    except sqlite3.Error:
        return None


def cell(value: Any) -> str | int | float | None:
    """A value as the column types of `tables.py` bind it."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, bool):
        return int(value)
    # SQLite takes NaN for NULL by itself.
    return value if value is None or isinstance(value, int) else float(value)
