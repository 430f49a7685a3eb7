"""What can go wrong with a response store, each with its remedy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..core.errors import StoreError

__all__ = ["as_store_error", "unusable_folder"]

_KEPT = "answers stored before are kept, and the next run continues from them"


def unusable_folder(path: Path, error: OSError) -> StoreError:
    """The folder of a store cannot be made."""
    return StoreError(
        f"the response store {path} cannot be made: {path.parent}: {error.strerror or error}; "
        f"choose a folder that can be written with --reports, or run without a store: --set execution.cache=off"
    )


def as_store_error(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> StoreError:
    """`error` in words: what happened to which file, and what to do."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if isinstance(error, UnicodeDecodeError):
        code = sqlite3.SQLITE_CORRUPT
    remedy = {
        sqlite3.SQLITE_NOTADB: "it is not an SQLite file; move it away, or choose another folder with --reports",
        sqlite3.SQLITE_CORRUPT: f"the file is damaged; move it away (mv {path} {path}.damaged) and run again",
        sqlite3.SQLITE_CANTOPEN: "it cannot be opened or made; check that the folder exists and can be written, "
        "or choose another one with --reports",
        sqlite3.SQLITE_READONLY: f"it cannot be written; {_KEPT}; make the file and its folder writable, choose "
        "another folder with --reports, or run without a store: --set execution.cache=off",
        sqlite3.SQLITE_PERM: "access is not allowed; make the file readable and writable for this user",
        sqlite3.SQLITE_FULL: f"the disk is full; {_KEPT}: free some space and run again",
        sqlite3.SQLITE_IOERR: f"the disk did not take or give the data (full, over a quota, or failing); {_KEPT}: "
        "free some space or check the disk, and run again",
        sqlite3.SQLITE_BUSY: f"another process has held it locked for too long; {_KEPT}: end that process and run "
        "again",
    }.get(code, f"{_KEPT}; run again, or run without a store: --set execution.cache=off")
    return StoreError(f"the response store {path}: {error}: {remedy}")
