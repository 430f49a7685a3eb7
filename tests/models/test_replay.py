"""Outputs from files: formats, ids, repeats, labels, and what is wrong with a file."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalharness.core.errors import DataError, UsageError
from evalharness.models.replay import make

Write = Callable[[str, str], Path]


@pytest.fixture
def model(kit: Any, tmp_path: Path) -> Callable[..., Any]:
    def build(path: str, **entry: Any) -> Any:
        spec = kit.spec_of(backend="replay", path=path, **entry)
        return make("m", spec, base=tmp_path, environ={}, concurrency=4, allow_code=False)

    return build


def _lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _text(kit: Any, built: Any, sample_id: str, **more: Any) -> Any:
    found = kit.answer(built, kit.request("k", sample_id=sample_id, **more))
    return found.text if found.status == "ok" else found.error


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "csv", "tsv", "parquet"])
def test_every_format_gives_the_same_answers(kit: Any, model: Any, tmp_path: Path, ending: str) -> None:
    rows = [{"id": "a", "output": "one"}, {"id": "7", "output": 'two\nlines, "quoted"\tü🎉'}, {"id": "c", "output": ""}]
    path = tmp_path / f"out.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending in ("csv", "tsv"):
        import csv

        with path.open("w", encoding="utf-8-sig", newline="") as handle:
            writer = csv.DictWriter(handle, ["id", "output"], delimiter="," if ending == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(_lines(*rows) + "\n", encoding="utf-8")
    asked = [kit.request(row["id"]) for row in rows]
    found = kit.answers(model(path.name), asked)
    assert {key: response.text for key, response in found.items()} == {row["id"]: row["output"] for row in rows}
    assert all(response.latency_s is None for response in found.values())


def test_whole_numbers_are_ids_in_every_format(kit: Any, model: Any, write: Write, tmp_path: Path) -> None:
    write("a.jsonl", _lines({"id": 7, "output": "x"}))
    pq.write_table(pa.table({"id": [7], "output": ["x"]}), tmp_path / "a.parquet")
    write("a.csv", "id,output\n7,x\n")
    for path in ("a.jsonl", "a.parquet", "a.csv"):
        assert _text(kit, model(path), "7") == "x"


def test_other_values_become_json_text(kit: Any, model: Any, write: Write) -> None:
    write("a.jsonl", _lines({"id": "n", "output": 3.5}, {"id": "o", "output": {"b": [1, None], "a": "ü"}}))
    assert _text(kit, model("a.jsonl"), "n") == "3.5"
    assert _text(kit, model("a.jsonl"), "o") == '{"a":"ü","b":[1,null]}'


def test_columns_have_the_names_of_the_suite(kit: Any, model: Any, write: Write) -> None:
    write("a.csv", "ticket,answer\nt1,yes\n")
    assert _text(kit, model("a.csv", id="ticket", output="answer"), "t1") == "yes"


def test_a_sample_without_an_output_is_an_error_that_names_id_and_file(kit: Any, model: Any, write: Write) -> None:
    write("a.jsonl", _lines({"id": "a", "output": None}, {"id": "b", "output": "x"}))
    assert _text(kit, model("a.jsonl"), "zz") == "a.jsonl has no output for the sample id 'zz' (column 'id')"
    assert _text(kit, model("a.jsonl"), "a") == "a.jsonl has a null output for the sample id 'a'"


@pytest.mark.parametrize("form", ["list", "column"])
def test_repeats(kit: Any, model: Any, write: Write, form: str) -> None:
    if form == "list":
        write("a.jsonl", _lines({"id": "a", "output": ["one", "two"]}, {"id": "b", "output": "only"}))
    else:
        rows = [{"id": "a", "repeat": 1, "output": "two"}, {"id": "a", "repeat": 0, "output": "one"}]
        write("a.jsonl", _lines(*rows, {"id": "b", "repeat": 0, "output": "only"}))
    built = model("a.jsonl")
    assert [_text(kit, built, "a", repeat=n) for n in (0, 1)] == ["one", "two"]
    assert _text(kit, built, "b") == "only"
    assert "for the sample id 'a': none for repeat 2" in _text(kit, built, "a", repeat=2)
    assert "1 output for the sample id 'b': none for repeat 1" in _text(kit, built, "b", repeat=1)


def test_an_empty_list_of_repeats_is_no_answer(kit: Any, model: Any, write: Write) -> None:
    write("a.jsonl", _lines({"id": "a", "output": []}))
    assert "0 outputs for the sample id 'a'" in _text(kit, model("a.jsonl"), "a")


def test_labels_and_label_probabilities(kit: Any, model: Any, write: Write, tmp_path: Path) -> None:
    rows = [{"id": "a", "output": {"yes": 0.25, "no": 0.75}}, {"id": "b", "output": {"maybe": 1.0}}]
    write("a.jsonl", _lines(*rows, {"id": "c", "output": "yes"}, {"id": "d", "output": {"yes": 7}}))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    write("a.csv", 'id,output\na,"{""yes"": 0.25, ""no"": 0.75}"\nb,{"maybe": 1.0}\n')
    for path in ("a.jsonl", "a.parquet", "a.csv"):
        asked = [kit.request("a", kind="classify"), kit.request("b", kind="classify")]
        found = kit.answers(model(path), asked)
        assert (found["a"].answer, dict(found["a"].label_probabilities)) == ("no", {"yes": 0.25, "no": 0.75})
        assert (found["b"].answer, dict(found["b"].label_probabilities)) == ("maybe", {"maybe": 1.0})
    found = kit.answers(model("a.jsonl"), [kit.request(key, kind="classify") for key in "cd"])
    assert (found["c"].answer, found["d"].status) == ("yes", "error")


@pytest.mark.parametrize(
    ("name", "content", "problems"),
    [
        (
            "a.jsonl",
            '{"id": "a", "output": "x"}\n{"id": "a", "output": "y"}\nnot json\n[1]\n{"id": null, "output": "x"}\n'
            '{"id": "b", "outptu": "x"}\n{"id": "c", "output": "x", "repeat": -1}\n{"id": 1.5, "output": "x"}\n',
            [
                "a.jsonl:2: the id 'a' stands in line 1 already; ids must be unique (or have a column repeat)",
                "a.jsonl:3: not JSON: Expecting value (column 1)",
                "a.jsonl:4: a line must be a JSON object, not list",
                "a.jsonl:5: the id under 'id' must be a text or a whole number, not None",
                "a.jsonl:6: no column 'output'; did you mean 'outptu'? (set models.m.output)",
                "a.jsonl:7: the column repeat must count from 0, not -1",
                "a.jsonl:8: the id under 'id' must be a text or a whole number, not 1.5",
            ],
        ),
        (
            "a.csv",
            "id,output\na\na,x,y\n,x\n",
            [
                "a.csv:2: the header has 2 cells, this row has not",
                "a.csv:3: the header has 2 cells, this row has not",
                "a.csv:4: the id under 'id' must be a text or a whole number, not ''",
            ],
        ),
        ("a.csv", 'id,output\na,"x\n', ["not CSV: unexpected end of data"]),
        ("a.parquet", "PAR1 not really", ["a.parquet: not Parquet: "]),
    ],
)
def test_all_problems_of_a_file_are_told_at_once(
    model: Any, write: Write, name: str, content: str, problems: list[str]
) -> None:
    write(name, content)
    with pytest.raises(DataError) as caught:
        asyncio.run(model(name).open())
    assert len(caught.value.problems) == len(problems)
    for problem in problems:
        assert problem in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused(model: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,output\na,gr\xfcn\n")
    with pytest.raises(DataError, match="not UTF-8"):
        asyncio.run(model("a.csv").open())


def test_cells_longer_than_csv_allows_by_default(kit: Any, model: Any, write: Write) -> None:
    write("a.csv", "id,output\na," + "x" * 200_000 + "\n")
    assert len(_text(kit, model("a.csv"), "a")) == 200_000


def test_the_pin_holds(kit: Any, model: Any, write: Write) -> None:
    path = write("a.csv", "id,output\na,x\n")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    built = model("a.csv", sha256=found)
    assert built.identity()["file_sha256"] == found
    assert built.identity()["by_sample_id"] is True
    assert _text(kit, built, "a") == "x"
    with pytest.raises(UsageError, match=rf"models\.m\.sha256: .*a\.csv has changed: its sha256 is {found}"):
        model("a.csv", sha256="0" * 64).identity()
    with pytest.raises(UsageError, match="has changed"):
        asyncio.run(model("a.csv", sha256="0" * 64).open())


def test_a_missing_file_and_an_unknown_ending_are_refused_at_once(model: Any, write: Write) -> None:
    with pytest.raises(UsageError, match=r"models\.m\.path: there is no file .*gone\.csv"):
        model("gone.csv")
    write("a.xlsx", "")
    with pytest.raises(UsageError, match=r"the ending '\.xlsx' is not known; use \.jsonl"):
        model("a.xlsx")
