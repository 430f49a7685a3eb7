"""What earlier runs found: by suite, oldest first, only those before."""

import dataclasses
import math

import pytest

from evalharness.core.errors import EvalHarnessError
from evalharness.core.types import MetricResult
from evalharness.record import RunManifest, RunRegistry, seal
from evalharness.record.history import history_of


def sealed(folder, day, value, *, suite="s", complete=True, task="t"):
    run = f"run-{suite}-{day}"
    result = MetricResult(
        task,
        "m",
        "accuracy",
        value,
        0.1,
        0.9,
        n=5,
        n_failed=0,
        ci_method="wilson",
        confidence=0.95,
        higher_is_better=True,
        bounds=(0.0, 1.0),
        signature="accuracy|v:1",
    )
    group = dataclasses.replace(result, group="length=long")
    created = f"2026-11-{day:02d}T00:00:00.000Z"
    manifest = RunManifest(
        id=run,
        name=suite,
        suite_name=suite,
        suite_digest="d" * 64,
        suite={},
        created_utc=created,
        finished_utc=created,
        evalharness_version="0",
        results=(result, group),
        complete=complete,
    )
    return seal(folder / "runs" / run, manifest, [], [], [])


@pytest.fixture
def runs(tmp_path):
    made = {day: sealed(tmp_path, day, day / 100) for day in (3, 5, 7, 9)}
    made["other"] = sealed(tmp_path, 4, 0.9, suite="other")
    made["broken"] = sealed(tmp_path, 6, 0.9, suite="s", complete=False)
    made["nan"] = sealed(tmp_path, 8, math.nan)
    with RunRegistry.open(reports=tmp_path) as registry:
        for record in made.values():
            registry.add(record)
    return tmp_path, made


def test_earlier_complete_runs_of_the_suite_oldest_first(runs):
    folder, made = runs
    past = history_of(made[9], folder)["t", "m", "accuracy"]
    assert [figure.run_id for figure in past] == ["run-s-3", "run-s-5", "run-s-7", "run-s-8"]
    assert [figure.value for figure in past[:3]] == [0.03, 0.05, 0.07]
    assert math.isnan(past[3].value)
    assert past[0].created_utc == "2026-11-03T00:00:00.000Z"


def test_only_the_last_ones(runs):
    folder, made = runs
    assert [f.run_id for f in history_of(made[9], folder, limit=2)["t", "m", "accuracy"]] == ["run-s-7", "run-s-8"]


def test_the_first_run_has_none_and_a_folder_without_a_registry_neither(runs, tmp_path):
    folder, made = runs
    assert history_of(made[3], folder) == {}
    assert history_of(made[9], tmp_path / "elsewhere") == {}
    assert not (tmp_path / "elsewhere").exists()


def test_a_registry_that_cannot_be_read_is_said(runs):
    folder, made = runs
    (folder / "broken.sqlite3").write_bytes(b"no database" * 500)
    with pytest.raises(EvalHarnessError):
        history_of(made[9], folder, url=f"sqlite:///{folder / 'broken.sqlite3'}")
