"""Labels that arrive later than their responses."""

from __future__ import annotations

import gzip
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalharness.cli.main import main
from evalharness.core.errors import SuiteError, UsageError
from evalharness.monitor.define import load_definition
from evalharness.monitor.labels import labels_of
from evalharness.monitor.schedule import Interval
from evalharness.suite.label_entry import Labels

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DAY = Interval(BEGIN, BEGIN + timedelta(days=1))
TABLE = [
    {"id": "a", "label": "yes", "at": "2026-11-02T10:00:00Z"},
    {"id": "b", "label": "no", "at": "2026-11-03T10:00:00Z"},
    {"id": "b", "label": "yes", "at": "2026-11-02T10:00:00Z"},
    {"id": "c", "label": "no", "at": "2026-11-02T10:00:00Z"},
    {"id": "c", "label": "no", "at": "2026-11-02T11:00:00Z"},
    {"id": "", "label": "no", "at": "2026-11-02T11:00:00Z"},
    {"id": "d", "label": "", "at": "2026-11-02T11:00:00Z"},
    {"id": "e", "label": "no", "at": "soon"},
]


def write_csv(folder: Path) -> str:
    lines = ["id,label,at", *(",".join(row.values()) for row in TABLE), "f,yes"]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return "labels.csv"


def write_jsonl(folder: Path) -> str:
    lines = [*map(json.dumps, TABLE), '{"id": "f", "la']
    (folder / "labels.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return "labels.jsonl.gz"


def write_parquet(folder: Path) -> str:
    pq.write_table(pa.Table.from_pylist([*TABLE, {"id": None, "label": None, "at": None}]), folder / "labels.parquet")
    return "*.parquet"


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_parquet])
def test_the_latest_label_counts_and_what_cannot_be_read_is_counted(tmp_path: Path, write: Any) -> None:
    found = labels_of(Labels(path=write(tmp_path), time="at"), DAY, base=tmp_path, zone=UTC)
    assert {name: known.label for name, known in found.labels.items()} == {"a": "yes", "b": "no", "c": "no"}
    assert (found.n_rows, found.n_conflicts, found.n_unreadable) == (9, 1, 4)


def test_without_times_the_last_one_counts(tmp_path: Path) -> None:
    found = labels_of(Labels(path=write_csv(tmp_path)), DAY, base=tmp_path, zone=UTC)
    assert {name: known.label for name, known in found.labels.items()} == {"a": "yes", "b": "yes", "c": "no", "e": "no"}
    assert (found.n_conflicts, found.n_unreadable) == (1, 3)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (3.0, "3"), (2.5, "2.5"), (7, "7"), ("Ja", "Ja")])
def test_labels_as_texts(tmp_path: Path, value: Any, text: str) -> None:
    (tmp_path / "l.jsonl").write_text(json.dumps({"id": 1, "label": value}))
    assert labels_of(Labels(path="l.jsonl"), DAY, base=tmp_path, zone=UTC).labels["1"].label == text


def test_a_database_is_told_the_interval(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE labels (response TEXT, gold TEXT, asked TEXT)")
        db.executemany(
            "INSERT INTO labels VALUES (?, ?, ?)",
            [("a", "yes", "2026-11-01 10:00:00.000000"), ("b", "no", "2026-11-02 10:00:00.000000")],
        )
    query = "SELECT response, gold FROM labels WHERE asked >= :start AND asked < :end"
    entry = Labels(url=f"sqlite:///{path}", query=query, id="response", label="gold")
    assert set(labels_of(entry, DAY, base=tmp_path, zone=UTC).labels) == {"a"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labels: there is no file or folder .*gold\.csv"):
        labels_of(Labels(path="gold.csv"), DAY, base=tmp_path, zone=UTC)
    (tmp_path / "gold.txt").write_text("a")
    with pytest.raises(UsageError, match="no known format"):
        labels_of(Labels(path="gold.txt"), DAY, base=tmp_path, zone=UTC)


def monitor(folder: Path, labels: str) -> Path:
    path = folder / "monitor.yaml"
    path.write_text(
        "name: bot\nsource: {path: logs.jsonl, content: true}\nschedule: '0 0 * * *'\n"
        f"labels: {labels}\nscores: [{{metric: accuracy}}]\n"
    )
    return path


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("{id: x}", "say where labels are"),
        ("{path: a.csv, url: 'sqlite:///x'}", "say where labels are"),
        ("{url: 'sqlite:///x'}", "url and query go together"),
        ("{path: a.csv, lable: gold}", "lable"),
    ],
)
def test_a_wrong_entry(tmp_path: Path, labels: str, said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        load_definition(monitor(tmp_path, labels))


def test_an_interval_whose_labels_arrive_is_a_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": f"r{i}", "event_time": (BEGIN + timedelta(minutes=i)).isoformat(), "output": "yes" if i % 3 else "no"}
        for i in range(90)
    ]
    (tmp_path / "logs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = monitor(tmp_path, "{path: 'labels*.csv', time: at}")
    run = ["monitor", "run", str(path), "--interval", "2026-11-01/2026-11-02"]

    def figures() -> dict[str, Any]:
        newest = max((tmp_path / "reports" / "monitors" / "bot").glob("*/window.json"))
        found = json.loads(newest.read_text())
        return {"revision": found["revision"]} | {
            f"{one['column']}.{one['name']}": (one["value"], one["n"]) for one in found["figures"]
        }

    assert main(run) == 0
    assert figures()["label.share"] == (0.0, 90)
    lines = [f"r{i},yes,{(BEGIN + timedelta(minutes=i, hours=5)).isoformat()}" for i in range(60)]
    (tmp_path / "labels1.csv").write_text(
        "id,label,at\n" + "\n".join([*lines, "r0,no,2026-11-05T00:00:00Z", "zz,no,1"])
    )
    assert main(run) == 0
    now = figures()
    assert now["revision"] == 1
    assert now["label.share"][0] == pytest.approx(60 / 90)
    # r0 answers no, and is labelled no in the end; of 60 the other 19 that three divides are wrong.
    assert now["scores.accuracy.value"] == (pytest.approx(41 / 60), 60)
    assert now["label.conflicts"] == (1.0, 62)
    assert now["label.unreadable"] == (1.0, 62)
    assert now["label.delay_s.p50"] == (5 * 3600, 60)
    capsys.readouterr()
    assert main(run) == 0
    assert "nothing new" in capsys.readouterr().out
    # A label of a response outside of the interval changes nothing.
    (tmp_path / "labels2.csv").write_text("id,label,at\nelsewhere,no,2026-11-05T00:00:00Z\n")
    assert main(run) == 0
    assert figures()["revision"] == 1
    # Another label for the same response does, though there are as many as before.
    text = (tmp_path / "labels1.csv").read_text()
    (tmp_path / "labels1.csv").write_text(text.replace("r1,yes", "r1,no"))
    assert main(run) == 0
    assert figures()["revision"] == 2
    assert figures()["scores.accuracy.value"][0] == pytest.approx(40 / 60)
