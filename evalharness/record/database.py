"""The database under the registry: opened by URL, brought to the newest migration, safe to open from everywhere."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from ..core.errors import MissingExtraError, RecordError, RunError, UsageError
from . import alert_tables as _alert_tables  # noqa: F401  (its tables are METADATA's, too)
from . import monitor_tables as _monitor_tables  # noqa: F401  (its tables are METADATA's, too)
from . import user_tables as _user_tables  # noqa: F401  (its tables are METADATA's, too)
from .schema import REGISTRY_HEAD as HEAD
from .tables import METADATA

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["alembic_config", "connect", "reading", "upgrade", "writing"]

_WAIT_S: Final = 60.0
_ADVISORY_LOCK: Final = 0x65766852  # any number of our own: who writes to PostgreSQL holds it
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# As Alembic makes it.
_MAKE_VERSION: Final = (
    "CREATE TABLE IF NOT EXISTS alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def connect(url: str | URL) -> Engine:
    """An engine for `url`, its schema at the newest migration.

    Raises:
        UsageError: if the URL is none, or its driver is not known.
        RecordError: if the database is no registry, or of a newer evalharness.
        RunError: if it cannot be opened.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(f"registry {_shown(parsed)}: only sqlite and postgresql databases are supported")
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(
            f"the registry's URL is not one that can be used ({error}); "
            f"write sqlite:///reports/registry.sqlite3 or postgresql://user@host/database"
        ) from error
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "psycopg", "postgres", purpose=f"registry {_shown(parsed)}") from error
    except OSError as error:
        raise RunError(
            f"registry {_shown(parsed)}: its folder cannot be made: {error}; choose another one with --reports"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with _guard(engine), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes. It takes the lock of all writers at once, so that two of them queue."""
    with _guard(engine), engine.execution_options(immediate=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        yield connection


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest migration, if it is not there yet; two processes may do so at once."""
    with reading(engine) as connection:
        revision = _revision(connection, engine)
    if revision == HEAD:
        return
    with writing(engine) as connection:
        # Another process may have migrated while this one waited for the lock.
        revision = _revision(connection, engine)
        if revision == HEAD:
            return
        _migrate(connection, revision, engine)


def alembic_config(connection: Connection) -> Config:
    """The configuration of Alembic, over an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection, revision: str | None, engine: Engine) -> None:
    if revision is None:
        _begin(connection)
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision not in known:
        raise RecordError(
            f"registry {_shown(engine.url)} has schema {revision}, which this evalharness (schema {HEAD}) does not "
            f"know; upgrade evalharness (pip install -U evalharness), or choose another registry"
        )
    command.upgrade(config, "head")


def _begin(connection: Connection) -> None:
    """Make the tables of an empty database, as the migrations would (a test compares them) but without Alembic."""
    METADATA.create_all(connection)
    connection.execute(text(_MAKE_VERSION))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def _revision(connection: Connection, engine: Engine) -> str | None:
    """The migration that the database is at; None for an empty one."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
        if found:
            return str(found[0])
    others = tables - {"alembic_version"}
    # A PostgreSQL database may be shared, as long as nobody else has tables of our names; an SQLite file is ours alone.
    if others & set(METADATA.tables) or (others and engine.dialect.name == "sqlite"):
        raise RecordError(
            f"registry {_shown(engine.url)} is a database of something else (it has the tables "
            f"{', '.join(sorted(others)[:5])}); choose another one"
        )
    return None


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _prepare_sqlite(connection: Any, record: object) -> None:
    # SQLAlchemy's events begin transactions, not the driver: only so can DDL be part of one, and a writer lock at once.
    connection.isolation_level = None
    end = time.monotonic() + _WAIT_S
    connection.execute(f"PRAGMA busy_timeout={int(_WAIT_S * 1000)}")
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            break
        except sqlite3.OperationalError as error:
            # SQLite reports "locked" at once while another process makes the same switch.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _guard(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise RecordError(
                f"registry {_shown(engine.url)}: {cause}; move the file away and make a new one from the records: "
                f"evalharness runs rescan"
            ) from error
        raise RunError(
            f"registry {_shown(engine.url)}: {cause}; check that the database can be reached and written, or choose "
            f"another one with --registry or EVALHARNESS_REGISTRY"
        ) from error
