"""What is read of a registry without SQLAlchemy is what SQLAlchemy reads; whatever is not plain is left to it."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from evalharness.record import RunRegistry
from evalharness.record.history import history_of
from evalharness.record.plain import has_registry, plain_rows

from .test_history import sealed


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    with RunRegistry.open(reports=tmp_path) as registry:
        for day in (3, 5):
            registry.add(sealed(tmp_path, day, day / 100))
        registry.add(sealed(tmp_path, 4, float("nan"), task="a\x00 task\ud800"))
    return tmp_path


def test_history_is_the_same_both_ways(reports):
    record = sealed(reports, 9, 0.5)
    plain = history_of(record, reports)
    asked = history_of(record, reports, url=f"sqlite:///{reports / 'registry.sqlite3'}")
    assert repr(plain) == repr(asked)
    assert set(plain) == {("t", "m", "accuracy"), ("a\x00 task\ud800", "m", "accuracy")}
    assert [past.run_id for past in plain["t", "m", "accuracy"]] == ["run-s-3", "run-s-5"]


def test_values_are_bound_as_the_tables_bind_them(reports):
    of = "SELECT id FROM runs WHERE created_utc < :before AND complete = :whole ORDER BY id"
    values = {"before": datetime(2026, 11, 4, tzinfo=UTC), "whole": True}
    assert plain_rows(reports, None, of, values) == [("run-s-3",)]


@pytest.mark.parametrize("how", ["missing", "other schema", "no database", "named", "in the environment"])
def test_what_is_not_plain_is_left_to_the_registry(reports, how, monkeypatch):
    file, url = reports / "registry.sqlite3", None
    if how == "missing":
        file.unlink()
    elif how == "other schema":
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'older'")
        connection.close()
    elif how == "no database":
        file.write_text("no database at all" * 1_000)
    elif how == "named":
        url = f"sqlite:///{file}"
    else:
        monkeypatch.setenv("EVALHARNESS_REGISTRY", f"sqlite:///{file}")
    assert plain_rows(reports, url, "SELECT 1", {}) is None
    assert has_registry(reports, url) is (how != "missing")
    assert file.exists() is (how != "missing")


def test_a_run_and_its_report_import_no_sqlalchemy(reports):
    record = sealed(reports, 9, 0.5)
    code = (
        "import sys; from pathlib import Path; from evalharness.cli.beside import beside;"
        "from evalharness.record import Record;"
        f"found = beside(Record.open({str(record.folder)!r}), None, Path({str(reports)!r}));"
        "assert found['history'] and not found['ratings']; sys.exit('sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
