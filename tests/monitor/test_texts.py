"""Texts that a monitor keeps: which, how many, and what tells them from those of the reference."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.cli.main import main
from evalharness.core.errors import SuiteError
from evalharness.core.production import ProductionResponse
from evalharness.monitor.define import load_definition
from evalharness.monitor.measure import check_columns
from evalharness.monitor.texts import TEXTS, _Drawn, plane

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
MONITOR = """\
name: bot
source: {path: log.jsonl, content: true, redact: [email]}
schedule: "0 0 * * *"
examples: 40
columns: [responses]
"""


def write(folder: Path, *days: str, n: int = 120) -> None:
    """Days of responses that are about the words given."""
    rng = random.Random(5)
    with (folder / "log.jsonl").open("w") as file:
        for day, topic in enumerate(days):
            for i in range(n):
                at = (BEGIN + timedelta(days=day, minutes=i)).isoformat()
                words = " ".join(rng.choices(topic.split(), k=6))
                row = {
                    "id": f"r{day}-{i}",
                    "event_time": at,
                    "input": f"about {words}",
                    "output": f"say {words} a@b.org",
                }
                file.write(json.dumps(row) + "\n")


def texts_of(folder: Path, day: int) -> dict[str, Any]:
    start = BEGIN + timedelta(days=day)
    span = f"{start:%Y-%m-%d}/{start + timedelta(days=1):%Y-%m-%d}"
    assert main(["monitor", "run", str(folder / "monitor.yaml"), "--interval", span]) == 0
    (found,) = (folder / "reports" / "monitors" / "bot").glob(f"{start:%Y%m%d}*/{TEXTS}")
    return json.loads(found.read_text())


@given(st.permutations([str(i) for i in range(30)]), st.integers(1, 12))
def test_the_same_texts_are_drawn_whatever_their_order(ids: list[str], most: int) -> None:
    ways = []
    for order in (ids, sorted(ids)):
        drawn = _Drawn(most)
        for one in order:
            drawn.add([ProductionResponse(one, BEGIN, output=f"text {one}")])
        ways.append(drawn.rows)
    assert ways[0] == ways[1]
    assert len(ways[0]) == most


def test_words_and_examples_tell_an_interval_from_the_one_before(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.yaml").write_text(MONITOR)
    write(tmp_path, "weather rain sun wind", "refund invoice money wind")
    first = texts_of(tmp_path, 0)
    assert len(first["current"]["texts"]) == 40
    assert "reference" not in first
    second = texts_of(tmp_path, 1)
    assert second["reference"]["texts"] == first["current"]["texts"]
    moved = {term: z for column, term, z, _, _ in second["terms"] if column == "output"}
    assert moved["refund"] > 2
    assert moved["rain"] < -2
    assert "wind" not in moved
    sides = {side for column, side, _, _ in second["examples"] if column == "output"}
    assert sides == {"reference", "current"}
    # What is kept is what was redacted.
    assert "a@b.org" not in json.dumps(second)


def test_of_a_fixed_reference_texts_are_drawn_once(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.yaml").write_text(MONITOR + "reference: {window: 2026-03-02/2026-03-03}\n")
    write(tmp_path, "weather rain sun wind", "refund invoice money wind", "refund invoice money wind")
    second = texts_of(tmp_path, 1)
    assert second["reference"]["name"].startswith("window 2026-03-02")
    (kept,) = (tmp_path / "reports" / "monitors" / "bot").glob("texts-*")
    before = {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}
    third = texts_of(tmp_path, 2)
    assert third["reference"] == second["reference"]
    assert {file.name: file.stat().st_mtime_ns for file in kept.iterdir()} == before


def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.yaml").write_text(MONITOR.replace("examples: 40\n", ""))
    write(tmp_path, "weather rain sun wind")
    assert main(["monitor", "run", "monitor.yaml", "--interval", "2026-03-02/2026-03-03"]) == 0
    for file in (tmp_path / "reports").rglob("*"):
        assert file.is_dir() or b"about rain" not in file.read_bytes()


def test_texts_need_content(tmp_path: Path) -> None:
    (tmp_path / "monitor.yaml").write_text(MONITOR.replace("content: true, redact: [email]", "content: false"))
    with pytest.raises(SuiteError, match="add content: true to the source"):
        check_columns(load_definition(tmp_path / "monitor.yaml"))


@pytest.mark.model
def test_a_map_of_vectors_beside_those_of_the_reference(tmp_path: Path, networks: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    watch = f"watch: [{{output.embedding: {{model: {networks()}}}}}]\n"
    (tmp_path / "monitor.yaml").write_text(MONITOR + watch)
    write(tmp_path, "weather rain sun wind", "refund invoice money wind", n=60)
    texts_of(tmp_path, 0)
    (found,) = texts_of(tmp_path, 1)["maps"]
    assert found["column"] == "output.embedding"
    assert [len(found[side]) for side in ("reference", "current")] == [40, 40]
    # The reference lies about the origin, as wide along each axis as its variance says.
    before = np.array(found["reference"])
    np.testing.assert_allclose(before.mean(axis=0), 0, atol=1e-3)
    assert before[:, 0].var() >= before[:, 1].var()
    assert 0 < sum(found["explained"]) <= 1


def test_the_plane_is_that_of_the_reference() -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(50, 6)) * np.array([5.0, 3, 0.1, 0.1, 0.1, 0.1])
    current = np.vstack([reference.mean(axis=0) + np.array([10.0, 0, 0, 0, 0, 0]), np.full(6, np.nan)])
    explained, points = plane(reference, current)
    assert points is not None
    assert explained[0] > explained[1] > 0.2
    assert abs(points[1][0, 0]) == pytest.approx(10, rel=0.02)
    assert np.isnan(points[1][1]).all()
    again = plane(reference.copy(), current)[1]
    assert again is not None
    np.testing.assert_array_equal(points[0], again[0])
    # The same direction whatever sign the decomposition gives it.
    flipped = plane(-reference, -current)[1]
    assert flipped is not None
    np.testing.assert_allclose(flipped[0], -points[0], atol=1e-9)


@pytest.mark.parametrize("rows", [np.zeros((2, 4)), np.ones((9, 4)), np.full((9, 4), np.nan), np.zeros((9, 1))])
def test_no_plane_where_there_are_no_two_directions(rows: Any) -> None:
    assert plane(rows, rows)[1] is None


def test_long_texts_are_cut() -> None:
    drawn = _Drawn(1)
    drawn.add([ProductionResponse("a", BEGIN, input="x" * 9_000, output="y" * 10)])
    assert [len(drawn.rows[0][side]) for side in ("input", "output")] == [2_000, 10]
