from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness.core.errors import RecordError, RunError, UsageError
from evalharness.core.types import Response
from evalharness.record import Record, RunManifest, SampleRow, StatsRow, StatsTable, seal

Make = Callable[..., Any]
NASTY = "NUL \x00, lone \ud83d\ude00 pair \udc80, SUB \x1a\x1ad800, \\u0000 ☃ \U0001f600 \r\n\t\x7f"


def test_everything_comes_back(record: Record, make_rows: Make, make_manifest: Make) -> None:
    rows = make_rows()["samples"]
    assert list(record.iter_samples()) == rows
    assert list(record.iter_samples("qa", "candidate")) == rows
    assert record.sample_objects("qa", "candidate") == tuple(r.sample for r in rows)
    assert record.requests("qa", "candidate") == tuple(r.request for r in rows)
    assert record.responses("qa", "candidate") == tuple(r.response for r in rows)
    assert repr(record.manifest) == repr(make_manifest())  # repr: NaN equals itself there
    assert record.id == make_manifest().id
    assert record.folder.name == record.id
    assert sorted(p.name for p in record.folder.iterdir()) == [
        "checksums.sha256",
        "run.json",
        "samples.parquet",
        "scores.parquet",
        "stats.parquet",
    ]
    record.verify()


def test_iteration_picks_task_and_model(tmp_path: Path, make_row: Make, make_manifest: Make) -> None:
    rows = [make_row(i, task=task, model=model) for i in range(5) for task in ("a", "b") for model in ("m", "n\x00")]
    record = seal(tmp_path / "r", make_manifest(), rows, [], [])
    assert list(record.iter_samples()) == rows
    assert list(record.iter_samples("b", "n\x00")) == [r for r in rows if (r.task, r.model) == ("b", "n\x00")]
    assert list(record.iter_samples(model="m")) == [r for r in rows if r.model == "m"]
    assert list(record.iter_samples("c")) == []
    assert len(record.samples(task="a")) == 10


def test_samples_frame_is_decoded(record: Record) -> None:
    frame = record.samples()
    assert len(frame) == 4
    assert frame["references"][0] == ["yes", "ja"]
    assert frame["groups"][1] == {"language": "de"}
    assert frame["fields"][3] == {"n": 3, "nested": {"list": [1, 2.5, None, True]}}
    assert frame["prompt"][0] == "Question 0?"
    assert frame["prompt"][1] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Question 1?"},
    ]
    assert frame["cluster"][0] is None
    assert frame["text"][0] is None
    assert frame["label_probabilities"][0] == {"yes": 0.75, "no": 0.25}
    assert frame["loglikelihoods"][0][1] == {"total": -math.inf, "n_tokens": 2, "is_greedy": False}
    assert frame["from_store"].tolist() == [False, True, False, True]
    assert frame["from_store"].dtype == bool
    assert frame["output_tokens"].isna().all()
    assert frame["latency_s"].sum() == 0.5


def test_scores_stats_and_figures(record: Record) -> None:
    scores = record.scores()
    assert scores["value"].tolist()[:2] == [0.0, 1.0]
    assert math.isnan(scores["value"][2])
    table = record.stats("qa", "candidate", "accuracy")
    assert table.values.tolist() == [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    assert table.values.dtype == np.float64
    assert list(table.sample_ids) == ["s0", "s1", "s2", "s3"]
    assert list(table.clusters) == [None, "c0", "c1", None]
    assert len(table) == 4
    tidy = record.to_pandas()
    assert tidy["value"][0] == 0.75
    assert math.isnan(tidy["value"][1])
    assert tidy["group"].tolist() == [None, "language=de"]
    assert tidy["bound_high"].tolist() == [1.0, math.inf]
    with pytest.raises(UsageError, match=r"no figure qa\.bleu .*qa\.accuracy"):
        record.stats("qa", "candidate", "bleu")


def test_figure_over_nothing_has_an_empty_table(tmp_path: Path, make_manifest: Make, make_figure: Make) -> None:
    nothing = make_figure(value=math.nan, ci_low=math.nan, ci_high=math.nan, n=0)
    record = seal(tmp_path / "r", make_manifest(results=(nothing,)), [], [], [])
    assert record.stats("qa", "candidate", "accuracy").values.shape == (0, 2)
    assert record.samples().empty
    assert list(record.samples().columns)[:3] == ["task", "model", "sample_id"]
    assert record.to_pandas().shape[0] == 1


def test_no_text_is_too_strange(tmp_path: Path, make_row: Make, make_manifest: Make) -> None:
    row: SampleRow = make_row(0, text=NASTY, error=NASTY, meta={NASTY: [NASTY, math.inf, "nan", {"$float": "nan"}]})
    from dataclasses import replace

    sample = replace(row.sample, prompt=NASTY, references=(NASTY, ""), target=NASTY, groups={NASTY: NASTY}, cluster="")
    row = replace(row, sample=sample, request=replace(row.request, prompt=NASTY, continuations=(NASTY,)))
    record = seal(tmp_path / "r", make_manifest(notes=(NASTY,), suite={"k": NASTY}), [row], [], [])
    assert list(record.iter_samples()) == [row]
    assert record.samples()["text"][0] == NASTY
    assert record.samples()["prompt"][0] == NASTY
    assert record.manifest.notes == (NASTY,)
    assert record.manifest.suite == {"k": NASTY}
    (record.folder / "run.json").read_text(encoding="utf-8")


def test_rows_may_be_mappings_and_tables(tmp_path: Path, make_row: Make, make_manifest: Make) -> None:
    row = make_row(0)
    as_mapping = {name: getattr(row, name) for name in ("task", "model", "sample", "request", "response")}
    n = 40_000
    table = StatsTable(
        "qa", "candidate", "accuracy", [f"{i}" for i in range(n)], ["d"] * n, [None] * n, np.arange(2 * n).reshape(n, 2)
    )
    one = {"task": "x", "model": "m", "metric": "f1", "sample_id": "0", "digest": "", "cluster": None, "stats": [1]}
    score = {"task": "x", "model": "m", "metric": "f1", "sample_id": "0", "digest": "", "value": 1}
    record = seal(tmp_path / "r", make_manifest(), [as_mapping], [score], [one, table, StatsRow(**one)])
    assert next(record.iter_samples()).sample == row.sample
    found = record.stats("qa", "candidate", "accuracy")
    assert np.array_equal(found.values, table.values)
    assert found.sample_ids == table.sample_ids


def test_tables_may_share_their_columns(tmp_path: Path, make_manifest: Make) -> None:
    import pyarrow.parquet as pq

    ids, digests, clusters = [f"ü{i}" for i in range(40_000)], ["d", ""] * 20_000, [None, "c"] * 20_000
    values = np.arange(80_000.0).reshape(40_000, 2)
    few = [f"b{i}" for i in range(300)]
    tables = [
        StatsTable("qa", "candidate", "accuracy", ids, digests, clusters, values),
        StatsTable("qa", "candidate", "f1", ids, digests, clusters, -values),
        StatsTable("other", "candidate", "f1", few, digests[:300], clusters[:300], values[:300]),
        StatsTable("other", "candidate", "accuracy", few, digests[:300], clusters[:300], values[300:600]),
    ]
    record = seal(tmp_path / "r", make_manifest(), [], [], iter(tables))
    rows = pq.read_table(record.folder / "stats.parquet")
    assert rows.num_rows == sum(len(table) for table in tables)
    start = 0
    for table in tables:
        found = rows.slice(start, len(table)).to_pydict()
        start += len(table)
        assert set(found["metric"]) == {table.metric}
        assert set(found["task"]) == {table.task}
        assert set(found["model"]) == {table.model}
        assert found["sample_id"] == table.sample_ids
        assert found["digest"] == table.digests
        assert found["cluster"] == table.clusters
        assert np.array_equal(np.array(found["stats"]), table.values)


def test_request_may_ask_something_else_than_the_sample_says(
    tmp_path: Path, make_row: Make, make_manifest: Make
) -> None:
    from dataclasses import replace

    row = make_row(1)
    row = replace(row, request=replace(row.request, prompt="Shots.\n\nQuestion 1?"))
    assert list(seal(tmp_path / "r", make_manifest(), [row], [], []).iter_samples()) == [row]


def test_mixed_up_rows_are_refused(tmp_path: Path, make_row: Make, make_manifest: Make) -> None:
    from dataclasses import replace

    row = replace(make_row(0), response=Response(key="of another request"))
    with pytest.raises(ValueError, match="of another request"):
        seal(tmp_path / "r", make_manifest(), [row], [], [])
    assert list(tmp_path.iterdir()) == []


# ── damage ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["run.json", "samples.parquet", "scores.parquet", "stats.parquet"])
def test_a_changed_byte_is_found_wherever_it_is(record: Record, name: str) -> None:
    path = record.folder / name
    data = bytearray(path.read_bytes())
    for position in (0, len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(RecordError, match=name):
            record.verify()
        with pytest.raises(RecordError, match=name):
            _read_all(Record.open(record.folder))
    path.write_bytes(data)
    record.verify()


@pytest.mark.parametrize("name", ["run.json", "samples.parquet", "scores.parquet", "stats.parquet", "checksums.sha256"])
def test_a_missing_file_is_named(record: Record, name: str) -> None:
    (record.folder / name).unlink()
    with pytest.raises(RecordError, match=rf"{name} is missing"):
        _read_all(Record.open(record.folder))


def test_verify_names_every_bad_file(record: Record) -> None:
    (record.folder / "scores.parquet").write_bytes(b"")
    (record.folder / "stats.parquet").unlink()
    with pytest.raises(RecordError, match=r"scores\.parquet is damaged[\s\S]*stats\.parquet is missing"):
        record.verify()


def test_checksum_file_without_a_line(record: Record) -> None:
    path = record.folder / "checksums.sha256"
    path.write_text("\n".join(path.read_text().splitlines()[:2]))
    with pytest.raises(RecordError, match=r"no line for scores\.parquet, stats\.parquet"):
        Record.open(record.folder)


def test_reports_beside_the_record_do_not_disturb(record: Record) -> None:
    (record.folder / "report.html").write_text("<html>")
    record.verify()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_can_check_it(record: Record) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", "checksums.sha256"], cwd=record.folder, check=True, capture_output=True
    )


def _read_all(record: Record) -> None:
    list(record.iter_samples())
    record.scores()
    record.stats("qa", "candidate", "accuracy")


def _reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite run.json with a right checksum, as another program (or another version) would."""
    import hashlib

    path = folder / "run.json"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    sums = folder / "checksums.sha256"
    sums.write_text(sums.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))


def test_newer_version_is_refused_with_the_remedy(record: Record) -> None:
    _reseal(record.folder, lambda plain: plain.update(schema_version=2, evalharness_version="9.9"))
    with pytest.raises(RecordError, match=r"schema version 2 .*9\.9.* up to 1; upgrade"):
        Record.open(record.folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.pop("suite_name"),
        lambda p: p.pop("tasks"),
        lambda p: p.pop("schema_version"),
        lambda p: p["results"][0].pop("value"),
        lambda p: p["results"][0].update(bounds=[1]),
        lambda p: p["results"][0].update(value="many"),
        lambda p: p.update(results=3),
        lambda p: p["tasks"].append("qa"),
    ],
)
def test_a_manifest_that_is_none_is_a_record_error(record: Record, change: Callable[[dict[str, Any]], None]) -> None:
    _reseal(record.folder, change)
    with pytest.raises(RecordError, match=r"run\.json"):
        Record.open(record.folder)


def test_unknown_keys_of_the_same_version_are_ignored(record: Record) -> None:
    _reseal(record.folder, lambda plain: plain.update(later="x"))
    assert Record.open(record.folder).id == record.id


# ── sealing is all or nothing ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", ["samples", "scores", "stats"])
def test_failing_rows_leave_nothing(tmp_path: Path, make_rows: Make, make_manifest: Make, which: str) -> None:
    rows = make_rows()

    def failing() -> Iterator[Any]:
        yield from rows[which]
        raise RuntimeError("the runner stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        seal(tmp_path / "runs" / "r", make_manifest(), **{**rows, which: failing()})
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_sealed_record_is_never_overwritten(record: Record, make_rows: Make, make_manifest: Make) -> None:
    before = {p.name: p.read_bytes() for p in record.folder.iterdir()}
    with pytest.raises(RecordError, match="never overwritten"):
        seal(record.folder, make_manifest(), **make_rows())
    assert {p.name: p.read_bytes() for p in record.folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_a_run_error(tmp_path: Path, make_rows: Make, make_manifest: Make) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match=r"runs.*cannot be written.*--reports"):
        seal(tmp_path / "runs" / "r", make_manifest(), **make_rows())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and RLIMIT_FSIZE")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import sample_row, manifest
from evalharness.record import seal
from evalharness.core.errors import RunError
sys.dont_write_bytecode = True  # what is imported from here on would be cut off, and stay so
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    seal({str(tmp_path / "runs" / "r")!r}, manifest(), (sample_row(i, text=str(i) * 50) for i in range(20_000)), [], [])
except RunError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_while_sealing_leaves_no_run(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import sample_row, manifest
from evalharness.record import seal
def rows():
    i = 0
    while True:
        yield sample_row(i)
        i += 1
        if i == 20_000:
            print("writing", flush=True)
seal({str(tmp_path / "runs" / "r")!r}, manifest(), rows(), [], [])
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "runs" / "r").exists()
    assert [p.name for p in (tmp_path / "runs").iterdir() if not p.name.startswith(".")] == []


# ── size ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_hundred_thousand_samples_stream(tmp_path: Path, make_row: Make, make_manifest: Make) -> None:
    import pyarrow.parquet as pq

    n = 100_000
    began = time.monotonic()
    record = seal(tmp_path / "r", make_manifest(), (make_row(i) for i in range(n)), [], [])
    assert sum(1 for _ in record.iter_samples("qa")) == n
    assert time.monotonic() - began < 60
    metadata = pq.read_metadata(record.folder / "samples.parquet")
    assert metadata.num_row_groups > 4  # written in pieces, not held in memory as a whole
    assert metadata.row_group(0).column(0).compression == "ZSTD"


# ── looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reprs(make_record: Make, make_figure: Make) -> None:
    record = make_record(suite_name="<b>&", results=(make_figure(task="<script>"),))
    assert len(repr(record)) < 150
    page = record._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "0.75" in page


def test_open_says_when_there_is_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        Record.open("nowhere", reports=tmp_path)


def test_manifest_round_trip_without_a_file(make_manifest: Make) -> None:
    manifest: RunManifest = make_manifest()
    text = manifest.to_json()
    assert '"value": "nan"' in text
    assert repr(RunManifest.from_json(text)) == repr(manifest)
    assert dict(manifest.tasks[0])["id"] == manifest.tasks[0]["id"] == "qa"
    assert make_manifest(tasks=(dict(manifest.tasks[0]),)).tasks == manifest.tasks
