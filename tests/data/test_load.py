from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.core.errors import DataError, UsageError
from evalharness.core.registry import registry
from evalharness.core.types import Row
from evalharness.data.load import LoadedDataset, load, shuffled
from evalharness.suite.schema import Dataset

Load = Callable[..., LoadedDataset]
ROWS = [{"id": f"r{i}", "n": i, "language": "de" if i % 2 else "en", "user": f"u{i // 3}"} for i in range(10)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "rows.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_a_file(load_dataset: Load, file: Path) -> None:
    data = load_dataset(path="data/rows.jsonl", groups=["language"], cluster="user")
    assert [(r.id, r.fields, r.groups, r.cluster) for r in data.rows] == [
        (row["id"], row, {"language": row["language"]}, row["user"]) for row in ROWS
    ]
    assert data.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert data.source == "data/rows.jsonl"


def test_the_order_of_the_steps(load_dataset: Load, file: Path) -> None:
    keys = {"path": "data/rows.jsonl", "fields": {"double": "{{ n * 2 }}"}, "where": "double|int >= 8"}
    kept = load_dataset(**keys)
    assert [r.fields["double"] for r in kept.rows] == ["8", "10", "12", "14", "16", "18"]
    mixed = load_dataset(**keys, shuffle=3)
    assert sorted(r.id for r in mixed.rows) == [r.id for r in kept.rows] != [r.id for r in mixed.rows]
    assert load_dataset(**keys, shuffle=3, limit=2).rows == mixed.rows[:2]
    assert load_dataset(**keys, limit=99).rows == kept.rows


def test_new_fields_see_the_row_as_read(load_dataset: Load) -> None:
    data = load_dataset(rows=[{"a": "x", "b": "y"}], fields={"a": "{{ b }}", "b": "{{ a }}"})
    assert data.rows[0].fields == {"a": "y", "b": "x"}


def test_new_fields_keep_the_types_that_json_has(tmp_path: Path) -> None:
    from evalharness.suite.template import condition, evaluate

    def typed(template: str) -> object:
        spec = Dataset(rows=({"a": [1, 2]},), fields={"new": template})
        return load("d", spec, base=tmp_path, render=evaluate, condition=condition).rows[0].fields["new"]

    assert typed("{{ a | length }}") == 2
    assert typed("{{ (1, a) }}") == [1, [1, 2]]
    spec = Dataset(rows=({"a": 1},), fields={"new": "x"})
    with pytest.raises(DataError, match=r"d\.rows\[0\] fields\.new: a set has no JSON form"):
        load("d", spec, base=tmp_path, render=lambda *_: {1}, condition=condition)


def test_the_shuffle_is_the_same_for_ever(load_dataset: Load) -> None:
    # The order of eight draws of `random.Random(7).random()`, taken with Python 3.11; the numbers are promised to stay.
    data = load_dataset(rows=[{"id": i} for i in range(8)], shuffle=7)
    assert [r.id for r in data.rows] == list("63105742")


def test_the_shuffle_is_uniform() -> None:
    from evalharness.core.errors import Place

    rows = [Row(str(i), {}, Place("f")) for i in range(3)]
    counts: dict[str, int] = {}
    for seed in range(6000):
        order = "".join(r.id for r in shuffled(rows, seed))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    # Each expected 1,000 times, standard deviation 28.9; five of them leave a chance of 4e-6.
    assert all(abs(count - 1000) < 145 for count in counts.values())


def test_digest_ids_ignore_selection_and_new_fields(load_dataset: Load) -> None:
    rows = [{"x": i} for i in range(6)]
    plain = {r.fields["x"]: r.id for r in load_dataset(rows=rows).rows}
    other = load_dataset(rows=rows[::-1], fields={"y": "{{ x }}!"}, where="x > 2", shuffle=1, limit=2)
    assert len(other.rows) == 2
    assert all(plain[r.fields["x"]] == r.id for r in other.rows)


def test_an_id_column_may_be_new_and_need_be_unique_only_among_the_rows_kept(load_dataset: Load) -> None:
    rows = [{"s": "a", "n": 1}, {"s": "a", "n": 2}, {"s": "b", "n": 1}]
    assert [r.id for r in load_dataset(rows=rows, fields={"key": "{{ s }}{{ n }}"}, id="key").rows] == [
        "a1",
        "a2",
        "b1",
    ]
    assert [r.id for r in load_dataset(rows=rows, where="s == 'a'", id="n").rows] == ["1", "2"]
    with pytest.raises(
        DataError, match=r"datasets\.d\.rows\[2\] n: the id '1' is taken by the row at datasets\.d\.rows\[0\]"
    ):
        load_dataset(rows=rows, id="n")


def test_inline_digest_is_of_the_content(load_dataset: Load) -> None:
    data = load_dataset(rows=[{"b": 1, "a": "é"}])
    assert data.digest == hashlib.sha256('[{"a":"é","b":1}]'.encode()).hexdigest()
    assert data.source == "inline"


def test_the_pin(load_dataset: Load, file: Path) -> None:
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_dataset(path="data/rows.jsonl", sha256=right).digest == right
    with pytest.raises(UsageError) as caught:
        load_dataset(path="data/rows.jsonl", sha256="0" * 64)
    assert f"expected sha256 {'0' * 64}, found {right}" in str(caught.value)


def test_a_wrong_pin_is_found_before_a_bad_row(load_dataset: Load, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("broken\n")
    with pytest.raises(UsageError, match="expected sha256"):
        load_dataset(path="bad.jsonl", sha256="0" * 64)


def test_the_pin_of_inline_rows(load_dataset: Load) -> None:
    with pytest.raises(UsageError, match="expected sha256"):
        load_dataset(rows=[{"a": 1}], sha256="0" * 64)


def test_missing_columns_are_reported_with_the_nearest(load_dataset: Load, file: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(path="data/rows.jsonl", groups=["langage"], cluster="usr", limit=1)
    assert len(caught.value.problems) == 20
    assert str(caught.value.problems[0]) == f"{file}:1 cluster: there is no column 'usr'; did you mean 'user'?"
    assert str(caught.value.problems[1]) == f"{file}:1 groups: there is no column 'langage'; did you mean 'language'?"


def test_group_values_become_text(load_dataset: Load) -> None:
    rows = [{"g": value, "c": 1} for value in (True, 3, 2.5, None, "x", "")]
    data = load_dataset(rows=rows, groups=["g"], cluster="c")
    assert [r.groups["g"] for r in data.rows] == ["true", "3", "2.5", "(missing)", "x", ""]
    assert {r.cluster for r in data.rows} == {"1"}


@pytest.mark.parametrize(
    ("value", "message"), [(None, "is empty"), ("", "is empty"), ([1], "found a list or an object")]
)
def test_clusters_must_be_given(load_dataset: Load, value: object, message: str) -> None:
    with pytest.raises(DataError, match=rf"d\.rows\[1\].*{message}"):
        load_dataset(rows=[{"c": "a"}, {"c": value}], cluster="c")


def test_templates_that_fail_are_reported_for_each_row_with_the_bad_rows(load_dataset: Load, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"b": 1}\nbroken\n{"a": 2, "k": 1}\n')
    with pytest.raises(DataError) as caught:
        load_dataset(path="rows.jsonl", fields={"new": "{{ a }}"}, where="k == 1")
    assert [(p.place.line, p.path) for p in caught.value.problems] == [(1, "where"), (2, "fields.new"), (3, "")]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rows": [{"a": 1}], "where": "a > 1"}, "the dataset 'd' is empty: `where: a > 1` keeps none of its 1 rows"),
        ({"path": "empty.jsonl"}, "empty.jsonl: the dataset 'd' is empty: it has no rows"),
        ({"path": "header.csv"}, "header.csv: the dataset 'd' is empty: it has no rows"),
    ],
)
def test_an_empty_dataset_is_an_error(load_dataset: Load, tmp_path: Path, keys: dict, message: str) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "header.csv").write_text("a,b\n")
    with pytest.raises(DataError) as caught:
        load_dataset(**keys)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"a": "1"}\n'),
        ("x.ndjson", '{"a": "1"}\n'),
        ("x.JSON", '[{"a": "1"}]'),
        ("x.csv", "a\n1\n"),
        ("x.tsv", "a\n1\n"),
        ("x.v2.tab", "a\n1\n"),
    ],
)
def test_formats_by_ending(load_dataset: Load, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert [r.fields for r in load_dataset(path=name).rows] == [{"a": "1"}]


def test_a_given_format_wins(load_dataset: Load, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a\tb\n1\t2\n")
    assert load_dataset(path="x.txt", format="tsv").rows[0].fields == {"a": "1", "b": "2"}
    with pytest.raises(UsageError, match=r"the ending '\.txt' stands for no format; set `format:`"):
        load_dataset(path="x.txt")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("data/row.jsonl", "there is no file .*; did you mean 'rows.jsonl'"),
        ("data/rows.csv", "did you mean 'rows.jsonl'"),
        ("dota/rows.jsonl", "there is no folder .*dota either"),
        ("data/zzz", "it holds rows.jsonl"),
        ("data", "is a folder; name a file in it"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_missing_files(load_dataset: Load, file: Path, path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_dataset(path=path)


def test_catalog(load_dataset: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="run: evalharness fetch-data movie"):
        load_dataset(path="catalog:movie/train")
    folder = tmp_path / "cache" / "data" / "movie"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text('{"a": 1}\n')
    (folder / "train.jsonl").write_text('{"a": 2}\n')
    assert load_dataset(path="catalog:movie").rows[0].fields == {"a": 1}
    data = load_dataset(path="catalog:movie/train")
    assert (data.rows[0].fields, data.source) == ({"a": 2}, "catalog:movie/train")
    with pytest.raises(UsageError, match="has no part 'dev'; its parts: test, train"):
        load_dataset(path="catalog:movie/dev")


@pytest.mark.parametrize("path", ["catalog:", "catalog:..", "catalog:../data/movie", "catalog:./x"])
def test_catalog_names_stay_in_the_cache(load_dataset: Load, path: str) -> None:
    with pytest.raises(UsageError, match="names no dataset"):
        load_dataset(path=path)


def test_every_reader_is_registered_and_described() -> None:
    readers = registry("datasets")
    assert set(readers.names()) >= {"jsonl", "json", "csv", "tsv", "parquet", "hf", "inline"}
    for name in ("jsonl", "json", "csv", "tsv", "parquet", "hf", "inline"):
        assert readers.describe(name).startswith("Rows ")
