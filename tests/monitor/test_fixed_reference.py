"""What is kept of a fixed reference: one reading makes all of it, and labels that arrive later make it anew."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main
from evalharness.core.production import ProductionResponse
from evalharness.monitor import forget_texts as forget_texts_module
from evalharness.monitor import retention
from evalharness.monitor.files import verify_folder
from evalharness.monitor.fixed_reference import _Ids, kept_kind
from evalharness.monitor.forget_texts import forget_texts
from evalharness.monitor.labels import Known
from evalharness.monitor.sources import reading

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
MONITOR = """\
name: bot
source: {path: log.jsonl, content: true}
schedule: "0 0 * * *"
columns: [responses]
labels: {path: labels.jsonl, id: id, label: label}
scores: [{metric: exact_match}]
estimate: [cbpe]
examples: 20
reference: {window: 2026-03-02/2026-03-03}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.yaml").write_text(MONITOR)
    rng = random.Random(2)
    rows = []
    for day in range(2):
        for i in range(400):
            at = BEGIN + timedelta(days=day, minutes=i)
            stated = rng.uniform(0.5, 1)
            said = rng.choice(["yes", "no"])
            rows.append(
                {
                    "id": f"r{day}-{i}",
                    "event_time": at.isoformat(),
                    "output": said,
                    "prediction": said,
                    "probability": round(stated, 4),
                }
            )
    (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "labels.jsonl").write_text("")
    return tmp_path


def label(place: Path, day: int, *, n: int = 400, wrong: float = 0.25) -> None:
    """Let labels of a day arrive."""
    rng = random.Random(day)
    with (place / "labels.jsonl").open("a") as file:
        for line in (place / "log.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["id"].startswith(f"r{day}-") and int(row["id"].partition("-")[2]) < n:
                other = "no" if row["output"] == "yes" else "yes"
                told = other if rng.random() > row["probability"] else row["output"]
                file.write(json.dumps({"id": row["id"], "label": told}) + "\n")


def measured(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["monitor", "run", "monitor.yaml", "--interval", "2026-03-03/2026-03-04", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def kinds(place: Path) -> list[str]:
    folder = place / "reports" / "monitors" / "bot"
    return sorted(kind for path in folder.iterdir() if (kind := kept_kind(path.name)) is not None)


def test_the_reference_is_read_once_for_all_that_is_kept_of_it(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[str] = []
    init = reading.Reading.__init__

    def counted(self: Any, source: Any, start: datetime, end: datetime, *args: Any, **more: Any) -> None:
        spans.append(f"{start:%d}")
        init(self, source, start, end, *args, **more)

    monkeypatch.setattr(reading.Reading, "__init__", counted)
    label(place, 0)
    measured(capsys)
    assert sorted(spans) == ["02", "03"]
    assert kinds(place) == ["estimate", "ids", "reference", "texts"]
    measured(capsys)
    assert sorted(spans) == ["02", "03", "03"]


def test_labels_that_arrive_later_reach_the_reference(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = measured(capsys)
    assert "no estimate" in first["row"]["message"]
    assert measured(capsys)["action"] == "unchanged"
    label(place, 0)
    second = measured(capsys)
    assert second["action"] == "revised"
    assert "no estimate" not in second["row"]["message"]
    assert "estimate.accuracy" in {one["column"] for one in second["figures"]}
    # Of the interval's own labels there is none yet, and so nothing to compare the reference's scores with.
    label(place, 1)
    third = measured(capsys)
    (score,) = (one for one in third["findings"] if one["column"] == "scores.exact_match" and not one["segment"])
    assert (score["n_reference"], score["n_current"]) == (400, 400)
    assert measured(capsys)["action"] == "unchanged"


def test_labels_of_other_responses_leave_the_reference_as_it_is(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label(place, 0, n=300)
    measured(capsys)
    folder = place / "reports" / "monitors" / "bot"
    before = sorted(path.name for path in folder.iterdir() if kept_kind(path.name))
    with (place / "labels.jsonl").open("a") as file:
        file.write('{"id": "elsewhere", "label": "yes"}\n')
    measured(capsys)
    assert sorted(path.name for path in folder.iterdir() if kept_kind(path.name)) == before


def test_the_digest_of_labels_knows_no_order_and_no_other_ids() -> None:
    ids = _Ids()
    for name in ("a", "b"):
        ids.add([ProductionResponse(name, BEGIN)])
    again = _Ids.of_bytes(ids.to_bytes())
    given = {"a": Known("yes", 1.0), "b": Known("no", 2.0)}
    turned = {"z": Known("no", 0.0), "b": Known("no", 5.0), "a": Known("yes", 1.0)}
    assert ids.labels_digest(given) == again.labels_digest(turned) != ""
    assert ids.labels_digest({**given, "b": Known("yes", 2.0)}) != ids.labels_digest(given)
    assert ids.labels_digest({"z": Known("no", 0.0)}) == ids.labels_digest({}) == ""


def test_what_nothing_needs_any_more_is_removed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label(place, 0)
    measured(capsys)
    folder = place / "reports" / "monitors" / "bot"
    before = {path.name for path in folder.iterdir()}
    # Another label: the same definition, another reference, and nothing left of the one before.
    lines = (place / "labels.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    first["label"] = "no" if first["label"] == "yes" else "yes"
    (place / "labels.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    measured(capsys)
    after = {path.name for path in folder.iterdir() if kept_kind(path.name)}
    assert kinds(place) == ["estimate", "ids", "reference", "texts"]
    assert len(after - before) == 2
    # Without examples no texts are needed.
    (place / "monitor.yaml").write_text(MONITOR.replace("examples: 20\n", ""))
    measured(capsys)
    assert kinds(place) == ["estimate", "ids", "reference"]
    # States of another definition stay: it may come back.
    (place / "monitor.yaml").write_text(MONITOR.partition("scores:")[0])
    measured(capsys)
    assert kinds(place) == ["reference", "reference"]


def texts_in(place: Path) -> dict[str, list[str]]:
    """By folder, the ids of the reference's texts that it holds."""
    found = {}
    for path in sorted((place / "reports" / "monitors" / "bot").glob("*/texts.json")):
        body = json.loads(path.read_text())
        side = body["current"] if path.parent.name.startswith("texts-") else body.get("reference", {"texts": []})
        found[path.parent.name.partition("-")[0]] = [row["id"] for row in side["texts"]]
        verify_folder(path.parent)
    return found


def test_texts_of_a_reference_never_outlive_retention(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(capsys)
    assert {name: len(ids) for name, ids in texts_in(place).items()} == {
        "20260303T000000Z_20260304T000000Z.r0": 20,
        "texts": 20,
    }
    folder = place / "reports" / "monitors" / "bot"
    # Of the 400 minutes of the reference the first 200 are over.
    until = BEGIN + timedelta(minutes=199)
    young = [i for i in texts_in(place)["texts"] if int(i.partition("-")[2]) > 199]
    assert 0 < len(young) < 20
    assert forget_texts(folder, until) == 2
    assert set(map(tuple, texts_in(place).values())) == {tuple(young)}
    assert forget_texts(folder, until) == 0
    text = (next(folder.glob("2026*")) / "texts.json").read_text()
    assert forget_texts(folder, BEGIN + timedelta(days=1)) == 2
    left = json.loads((next(folder.glob("2026*")) / "texts.json").read_text())
    assert left["current"] == json.loads(text)["current"]
    assert left["terms"] == json.loads(text)["terms"]
    assert not [one for one in left["examples"] if one[1] == "reference"]
    assert set(map(tuple, texts_in(place).values())) == {()}
    # What was forgotten is not drawn again.
    measured(capsys)
    assert texts_in(place)["texts"] == []


def test_texts_that_are_too_old_already_are_not_kept_at_all(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "tidied", lambda *given: "")
    (place / "monitor.yaml").write_text(MONITOR + "retention_days: 30\n")
    found = measured(capsys)
    assert set(map(tuple, texts_in(place).values())) == {()}
    assert found["row"]["n_rows"] == 400


def test_whoever_begins_to_remove_files_removes_texts_of_references(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(capsys)
    (place / "monitor.yaml").write_text(MONITOR + "retention_days: 30\n")
    measured(capsys)
    # The newest interval stays, however old it is.
    assert set(map(tuple, texts_in(place).values())) == {()}


def test_a_kill_while_texts_are_forgotten_leaves_no_damage(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(capsys)
    folder = place / "reports" / "monitors" / "bot"
    for steps in range(3):
        with monkeypatch.context() as patched:
            left = iter([True] * steps)
            write = forget_texts_module.write_atomic

            def killed(path: Path, data: Any, left: Any = left, write: Any = write) -> None:
                if not next(left, False):
                    raise KeyboardInterrupt
                write(path, data)

            patched.setattr(forget_texts_module, "write_atomic", killed)
            with pytest.raises(KeyboardInterrupt):
                forget_texts(folder, BEGIN + timedelta(minutes=100 * (steps + 1)))
        texts_in(place)  # verifies
    forget_texts(folder, BEGIN + timedelta(days=1))
    assert set(map(tuple, texts_in(place).values())) == {()}
