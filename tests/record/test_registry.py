from __future__ import annotations

import json
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, select, text

from evalharness.core.errors import RecordError, RunError, UsageError
from evalharness.record import Record, RunRegistry
from evalharness.record.database import alembic_config, reading, writing
from evalharness.record.resolve import resolve_run
from evalharness.record.schema import REGISTRY_HEAD as HEAD
from evalharness.record.tables import METADATA, RESULTS, RUN_MODELS, RUNS

Make = Callable[..., Any]
OLD, MID, NEW = "20260101T000000Z-demo-aaa111", "20260102T000000Z-demo-bbb222", "20260103T000000Z-other-ccc333"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


@pytest.fixture
def registry(reports: Path) -> Iterator[RunRegistry]:
    with RunRegistry.open(reports=reports, environ={}, clock=lambda: datetime(2026, 2, 1, tzinfo=UTC)) as registry:
        yield registry


@pytest.fixture
def three(registry: RunRegistry, make_record: Make) -> RunRegistry:
    for run_id, suite in ((MID, "demo"), (NEW, "other"), (OLD, "demo")):
        created = f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T00:00:00+00:00"
        registry.add(make_record(run_id, suite_name=suite, created_utc=created))
    return registry


# ── adding and finding ────────────────────────────────────────────────────────────────────────────────────────────


def test_add_says_what_a_run_is(registry: RunRegistry, record: Record) -> None:
    info = registry.add(record)
    assert info == registry.get(record.id) == registry.list()[0]
    assert info.path == record.folder
    assert info.created_utc == "2026-01-02T03:04:05.000Z"
    assert (info.n_samples, info.complete, info.verdict, info.labels) == (4, True, None, ())


def test_figures_are_registered_with_nan_as_null(registry: RunRegistry, record: Record) -> None:
    registry.add(record)
    with reading(registry.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM results WHERE value IS NULL")).scalar() == 1
        rows = connection.execute(select(RESULTS.c.group_name, RESULTS.c.value).order_by(RESULTS.c.id)).all()
    assert rows[0] == (None, 0.75)
    assert rows[1][0] == "language=de"
    assert math.isnan(rows[1][1])


def test_adding_twice_changes_nothing(registry: RunRegistry, record: Record) -> None:
    registry.add(record, verdict="pass")
    assert registry.add(record).verdict == "pass"
    assert registry.add(record, verdict="fail").verdict == "fail"
    assert len(registry.list()) == 1
    with reading(registry.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM results")).scalar() == 2


def test_strange_text_survives(registry: RunRegistry, make_record: Make, make_figure: Make) -> None:
    nasty = "group=\x00\ud800 \x1a"
    registry.add(make_record(name=nasty, results=(make_figure(group=nasty),)))
    assert registry.list()[0].name == nasty
    with reading(registry.engine) as connection:
        assert connection.execute(select(RESULTS.c.group_name)).scalar() == nasty


def test_list_is_newest_first(three: RunRegistry) -> None:
    assert [run.id for run in three.list()] == [NEW, MID, OLD]
    assert [run.id for run in three.list(suite="demo")] == [MID, OLD]
    assert [run.id for run in three.list(limit=1)] == [NEW]


@pytest.mark.parametrize(
    ("ref", "run_id"),
    [("latest", NEW), (OLD, OLD), ("20260101", OLD), ("20260102T000000Z-demo-b", MID), ("ccc333", NEW)],
)
def test_a_run_is_found_by_part_of_its_id(three: RunRegistry, ref: str, run_id: str) -> None:
    assert three.get(ref).id == run_id
    assert three.resolve(ref) == three.reports / "runs" / run_id


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("2026010", r"names 3 runs: 20260101.*give more of the id"),
        ("nothing", r"there is no run 'nothing'.*runs list"),
        (OLD[:-1] + "9", r"did you mean '20260101T000000Z-demo-aaa111'"),
        ("", r"there is no run ''"),
        ("%", r"there is no run '%'"),
    ],
)
def test_what_names_no_run(three: RunRegistry, ref: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        three.get(ref)


def test_an_empty_registry_says_how_to_make_a_run(registry: RunRegistry) -> None:
    with pytest.raises(UsageError, match="no run is registered yet; evalharness run"):
        registry.get("latest")
    assert registry.list() == ()


# ── baselines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_newest_promotion_holds_and_history_is_kept(three: RunRegistry) -> None:
    three.promote(OLD, note="first")
    assert three.resolve("demo@production").name == OLD
    three.promote("bbb222")
    three.promote(OLD, "staging")
    assert three.resolve("demo@production").name == MID
    assert three.get(OLD).labels == ("staging",)
    assert three.get(MID).labels == ("production",)
    history = three.promotions(suite="demo")
    assert [(p.label, p.run_id, p.note) for p in history] == [
        ("staging", OLD, ""),
        ("production", MID, ""),
        ("production", OLD, "first"),
    ]
    assert history[0].promoted_utc == "2026-02-01T00:00:00.000Z"
    assert three.promotions(suite="other") == ()
    three.promote(OLD)  # back again
    assert three.resolve("demo@production").name == OLD
    assert three.get(OLD).labels == ("production", "staging")


def test_suites_have_baselines_of_their_own(three: RunRegistry) -> None:
    three.promote(MID)
    three.promote(NEW)
    assert three.resolve("demo@production").name == MID
    assert three.resolve("other@production").name == NEW
    assert three.resolve("demo@latest").name == MID


def test_unknown_labels_and_suites(three: RunRegistry) -> None:
    three.promote(MID)
    with pytest.raises(UsageError, match=r"promoted as 'prodution'; did you mean 'demo@production'\?.*--as prodution"):
        three.resolve("demo@prodution")
    with pytest.raises(UsageError, match="no run of a suite 'x'"):
        three.resolve("x@latest")
    for label in ("latest", "", "a b", "-x"):
        with pytest.raises(UsageError, match="cannot be a label"):
            three.promote(MID, label)


def test_what_may_not_be_promoted(three: RunRegistry, make_record: Make) -> None:
    broken = make_record("partial", complete=False)
    three.add(broken)
    with pytest.raises(UsageError, match=r"not complete.*--force"):
        three.promote("partial")
    assert three.promote("partial", force=True).run_id == "partial"
    (three.get(OLD).path / "stats.parquet").write_bytes(b"")
    with pytest.raises(RecordError, match=r"stats\.parquet is damaged"):
        three.promote(OLD)
    assert three.get(OLD).labels == ()


# ── deleting ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_delete_removes_entry_and_folder(three: RunRegistry) -> None:
    gone = three.delete("aaa111")
    assert gone.id == OLD
    assert not gone.path.exists()
    assert sorted(p.name for p in gone.path.parent.iterdir()) == [MID, NEW]
    assert [run.id for run in three.list()] == [NEW, MID]
    with reading(three.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM results WHERE run_id = :r"), {"r": OLD}).scalar() == 0


def test_a_baseline_is_not_deleted_by_mistake(three: RunRegistry) -> None:
    three.promote(OLD)
    three.promote(MID)
    three.promote(MID, "staging")
    three.delete(OLD)  # was promoted once, and is no more
    with pytest.raises(UsageError, match=r"promoted as production, staging of demo.*--force"):
        three.delete(MID)
    assert three.get(MID).path.exists()
    three.delete(MID, force=True)
    with pytest.raises(UsageError, match=rf"run {MID}, promoted as 'production' of 'demo', was deleted"):
        three.resolve("demo@production")


def test_a_run_whose_folder_is_gone(three: RunRegistry) -> None:
    shutil.rmtree(three.get(OLD).path)
    with pytest.raises(RecordError, match=rf"no record there any more.*runs delete {OLD}"):
        three.resolve(OLD)
    assert three.rescan().missing == (OLD,)
    three.delete(OLD)
    assert len(three.list()) == 2


def test_delete_touches_nothing_that_is_no_record(three: RunRegistry, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    with writing(three.engine) as connection:
        connection.execute(text("UPDATE runs SET path = :p WHERE id = :i"), {"p": str(precious), "i": OLD})
    three.delete(OLD)
    assert precious.exists()


# ── where the index comes from ────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_index_is_made_again(three: RunRegistry) -> None:
    three.close()
    for file in three.reports.glob("registry.sqlite3*"):
        file.unlink()
    with RunRegistry.open(reports=three.reports, environ={}) as again:
        assert [run.id for run in again.list()] == [NEW, MID, OLD]


def test_rescan_reports_what_it_cannot_read(registry: RunRegistry, make_record: Make) -> None:
    make_record(OLD)
    make_record(MID)
    (registry.reports / "runs" / MID / "run.json").write_text("{}")
    (registry.reports / "runs" / ".x.tmp").mkdir()
    (registry.reports / "runs" / "note.txt").write_text("hello")
    found = registry.rescan()
    assert found.added == (OLD,)
    assert list(found.damaged) == [MID]
    assert registry.rescan().added == ()
    assert registry.rescan().n_found == 1


def test_rescan_takes_the_gates_verdict_from_beside_the_record(registry: RunRegistry, make_record: Make) -> None:
    (make_record(OLD).folder / "gate.json").write_text(json.dumps({"state": "fail", "verdicts": []}))
    (make_record(MID).folder / "gate.json").write_text("[")
    registry.rescan()
    assert (registry.get(OLD).verdict, registry.get(MID).verdict) == ("fail", None)


def test_the_reports_folder_may_be_moved(three: RunRegistry, tmp_path: Path) -> None:
    three.close()
    three.reports.rename(tmp_path / "moved")
    with RunRegistry.open(reports=tmp_path / "moved", environ={}) as moved:
        assert Record.open(moved.resolve(OLD)).id == OLD


def test_a_record_outside_of_the_reports_folder(registry: RunRegistry, make_record: Make, tmp_path: Path) -> None:
    elsewhere = make_record(OLD, reports=tmp_path / "elsewhere")
    assert registry.add(elsewhere).path == elsewhere.folder.resolve()
    assert registry.resolve(OLD) == elsewhere.folder.resolve()


def test_record_open_takes_every_name(three: RunRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    three.promote(MID)
    for ref in (MID, "bbb222", "demo@production", str(three.reports / "runs" / MID)):
        assert Record.open(ref, reports=three.reports).id == MID
    assert Record.open("latest", reports=three.reports).id == NEW
    assert three.resolve(str(three.reports / "runs" / MID)) == three.reports / "runs" / MID


def test_looking_for_a_run_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    with pytest.raises(UsageError, match="holds no runs"):
        resolve_run("latest", tmp_path / "reports")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_strange_name(tmp_path: Path, record: Record) -> None:
    reports = tmp_path / "a?b=c #d %20 @e"
    with RunRegistry.open(reports=reports, environ={}) as registry:
        registry.add(record)
    assert (reports / "registry.sqlite3").is_file()


def test_the_environment_names_the_registry(tmp_path: Path, record: Record) -> None:
    url = f"sqlite:///{tmp_path / 'central' / 'r.db'}"
    with RunRegistry.open(reports=tmp_path, environ={"EVALHARNESS_REGISTRY": url}) as registry:
        registry.add(record)
    with RunRegistry.open(url, reports=tmp_path, environ={"EVALHARNESS_REGISTRY": "sqlite:///elsewhere"}) as registry:
        assert registry.get("latest").id == record.id


# ── the schema ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_migrations_and_tables_agree(registry: RunRegistry) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with reading(registry.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == HEAD
        for table in METADATA.sorted_tables:
            keys = inspect(connection).get_foreign_keys(table.name)
            assert [k["name"] for k in keys] == [str(c.name) for c in table.foreign_key_constraints]


def test_an_empty_database_gets_what_the_migrations_make(registry: RunRegistry, tmp_path: Path) -> None:
    from alembic import command

    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    made, expected = inspect(registry.engine), inspect(migrated)
    assert sorted(made.get_table_names()) == sorted(expected.get_table_names())
    for table in expected.get_table_names():
        for look in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints"):
            shown = [str(getattr(one, f"get_{look}")(table)) for one in (made, expected)]
            assert shown[0] == shown[1]
    with reading(registry.engine) as one, migrated.begin() as other:
        versions = [c.execute(text("SELECT version_num FROM alembic_version")).all() for c in (one, other)]
    assert versions[0] == versions[1] == [(HEAD,)]
    migrated.dispose()


def test_every_migration_can_be_taken_back_and_done_again(registry: RunRegistry, record: Record) -> None:
    from alembic import command

    with writing(registry.engine) as connection:
        command.downgrade(alembic_config(connection), "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    registry.close()
    with RunRegistry.open(reports=registry.reports, environ={}) as again:
        assert again.add(record).id == record.id


def test_a_registry_of_before_learns_which_models_its_runs_asked(registry: RunRegistry, record: Record) -> None:
    from alembic import command

    registry.add(record)
    models = select(RUN_MODELS).order_by(RUN_MODELS.c.model)
    with reading(registry.engine) as connection:
        before = connection.execute(models).all()
    assert {row.model for row in before} == {result.model for result in record.results}
    with writing(registry.engine) as connection:
        command.downgrade(alembic_config(connection), "0005")
    registry.close()
    with RunRegistry.open(reports=registry.reports, environ={}) as again, reading(again.engine) as connection:
        assert connection.execute(models).all() == before
        assert before[0].created_utc == connection.execute(select(RUNS.c.created_utc)).scalar()
    with RunRegistry.open(reports=registry.reports, environ={}) as again:
        again.delete(record.id)
        with reading(again.engine) as connection:
            assert connection.execute(models).all() == []


def test_a_registry_at_the_newest_schema_is_opened_without_alembic(registry: RunRegistry) -> None:
    registry.close()
    code = f"""
import sys
from evalharness.record import RunRegistry
RunRegistry.open(reports={str(registry.reports)!r}, environ={{}}).list()
print("alembic" in sys.modules, "pandas" in sys.modules, "pyarrow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]


def test_records_are_imported_without_anything_heavy() -> None:
    heavy = ("pandas", "pyarrow", "numpy", "sqlalchemy")
    code = f"import sys, evalharness.record\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_newer_registry_is_refused(registry: RunRegistry) -> None:
    with writing(registry.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    registry.close()
    with pytest.raises(
        RecordError, match=rf"schema 9999, which this evalharness \(schema {HEAD}\) does not know; upgrade"
    ):
        RunRegistry.open(reports=registry.reports, environ={})


def test_databases_of_something_else_are_left_alone(reports: Path) -> None:
    reports.mkdir()
    connection = sqlite3.connect(reports / "registry.sqlite3")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(RecordError, match=r"a database of something else .*mine"):
        RunRegistry.open(reports=reports, environ={})
    (reports / "registry.sqlite3").write_text("not a database" * 100)
    with pytest.raises(RecordError, match=r"not a database; move the file away.*rescan"):
        RunRegistry.open(reports=reports, environ={})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "sqlite:///reports/registry"),
        ("mysql://u:secret@h/d", "only sqlite and postgresql"),
        ("nosuchthing://x/y", "only sqlite and postgresql"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        RunRegistry.open(url)
    assert "secret" not in str(caught.value)


def test_a_place_that_cannot_be_written(reports: Path) -> None:
    reports.write_text("a file")
    with pytest.raises(RunError, match=r"registry .*--reports"):
        RunRegistry.open(reports=reports, environ={})


def test_many_processes_open_a_new_registry_at_once(reports: Path, make_record: Make) -> None:
    ids = [f"2026010{i}T000000Z-demo-{i}" for i in range(4)]
    for run_id in ids:
        make_record(run_id)
    code = """
import sys
from evalharness.record import Record, RunRegistry
for _ in range(5):
    with RunRegistry.open(reports=sys.argv[1], environ={}) as registry:
        registry.add(Record.open(sys.argv[2]))
        registry.promote(sys.argv[3])
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(reports), str(reports / "runs" / run_id), run_id], stderr=subprocess.PIPE
        )
        for run_id in ids
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    with RunRegistry.open(reports=reports, environ={}) as registry:
        assert sorted(run.id for run in registry.list()) == ids
        assert len(registry.promotions()) == 20
        with reading(registry.engine) as connection:
            assert connection.execute(text("SELECT count(*) FROM results")).scalar() == 8
