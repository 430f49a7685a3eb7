"""CSV files as others write them: the same table whatever separates fields, and whichever encoding they have."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from evalharness.core.errors import DataError, UsageError
from evalharness.drift.api import drift
from evalharness.drift.delimited import Dialect, dialect_of
from evalharness.drift.reading import find_files, read_table

N = 120
SIZES = [round(0.25 * (i % 17) - 1.5, 2) for i in range(N)]
TOWNS = [("Köln", "Zürich, City", "Bern; Ost")[i % 3] for i in range(N)]


def lines(separator=",", decimal=".", town=str):
    rows = [["größe", "stadt"], *([str(a).replace(".", decimal), b] for a, b in zip(SIZES, TOWNS, strict=True))]
    return "".join(
        separator.join(f'"{town(field)}"' if separator in field else field for field in row) + "\r\n" for row in rows
    )


@pytest.mark.parametrize(
    ("name", "data", "note"),
    [
        ("a.csv", lines().encode(), ""),
        ("a.csv", lines().encode("utf-8-sig"), ""),
        ("a.tsv", lines("\t").encode(), ""),
        ("a.csv.gz", gzip.compress(lines().encode()), ""),
        ("packed.csv", gzip.compress(lines().encode()), ""),
        ("a.csv", lines("\t").encode(), "separated by tabs"),
        ("a.csv", lines("|").encode(), "separated by '|'"),
        ("a.csv", lines(";").encode(), "separated by ';'"),
        ("a.csv", lines(";", ",").encode(), "separated by ';', with decimal commas"),
        ("a.csv", lines(";", ",").encode("latin-1"), "decimal commas, in the encoding Windows-1252"),
        ("a.csv", lines(";", ",").encode("utf-16"), "decimal commas, in UTF-16"),
        ("a.csv", lines().encode("cp1252"), "CSV in the encoding Windows-1252"),
    ],
)
def test_a_table_is_the_same_however_it_is_written(tmp_path, name, data, note):
    (tmp_path / name).write_bytes(data)
    found = read_table(tmp_path / name)
    np.testing.assert_array_equal(found.columns["größe"].values, SIZES)
    assert found.columns["größe"].kind == "numeric"
    town = found.columns["stadt"]
    assert [town.levels[code] for code in town.values] == TOWNS
    if note:
        assert note in found.notes[0]
    else:
        assert found.notes == ()


def test_letters_that_come_late_and_bytes_that_windows_lacks(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i},plain\n" for i in range(20_000)]
    path.write_bytes("".join(["x,y\n", *rows]).encode() + b"1,caf\xe9\n2,\x81\n")
    assert dialect_of(path) == Dialect("cp1252", ",", ".")
    assert {"café", "\x81"} <= set(read_table(path, kinds={"y": "category"}).columns["y"].levels)
    # A file may end in what would begin a letter of UTF-8.
    path.write_bytes(b"x\n" + b"a\n" * 60 + b"caf\xe9")
    assert dialect_of(path).encoding == "cp1252"
    # A letter of two bytes may lie across the place where reading pauses.
    path.write_bytes(b"x\n" + b"a" * (2**16 - 3) + "é\n".encode())
    assert dialect_of(path).encoding == "utf-8"


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("x\n1\n2\n", ","),
        ("a;b\n1;2\n", ";"),
        ("a,b\n1,x;y\n2,u\n", ","),
        ('a;b\n1;"x\ny"\n2;u\n', ";"),
        ("name;note\n1;yes, well\n2;no\n", ";"),
        ("", ","),
        ("a,b\n1\n1,2,3\n", ","),
    ],
)
def test_what_separates_fields(tmp_path, text, separator):
    (tmp_path / "a.csv").write_text(text)
    assert dialect_of(tmp_path / "a.csv").separator == separator


def test_texts_of_several_lines_and_very_long_first_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x;y\n" + '1;"one\ntwo"\n2;three\n' * 40)
    assert set(read_table(path, kinds={"y": "category"}).columns["y"].levels) == {"one\ntwo", "three"}
    names = [f"column number {i}" for i in range(6_000)]
    path.write_text(";".join(names) + "\n" + ";".join("1" for _ in names) + "\n")
    assert dialect_of(path).separator == ";"


def test_points_among_commas_are_no_decimal_commas(tmp_path):
    (tmp_path / "a.csv").write_text("a;b\n1,5;2.5\n")
    assert dialect_of(tmp_path / "a.csv") == Dialect("utf-8", ";", ".")


def test_both_sides_say_how_they_were_read(tmp_path):
    (tmp_path / "a.csv").write_text(lines(";"))
    (tmp_path / "b.csv").write_bytes(lines(";", ",").encode("latin-1"))
    found = drift(tmp_path / "a.csv", tmp_path / "b.csv")
    assert [note.split(" is read as ")[0][-5:] for note in found.notes] == ["a.csv", "b.csv"]
    assert all(finding.state == "no_drift" for finding in found.findings)


def test_faults_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x;y\n1;2\n3\n" + "4;5\n" * 30)
    with pytest.raises(DataError, match=r"a\.csv:3: the row has 1 field, the first one has 2; .* semicolons"):
        read_table(path)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(lines().encode())[:-9])
    with pytest.raises(DataError, match="the packed file is damaged"):
        read_table(cut)
    (tmp_path / "a.parquet.gz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"ends in \.gz, and not in"):
        find_files(tmp_path / "a.parquet.gz")


def test_json_lists_and_packed_lines(tmp_path):
    rows = [{"size": size, "town": town} for size, town in zip(SIZES, TOWNS, strict=True)]
    by_line = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "a.json").write_text("\ufeff " + json.dumps(rows, indent=1, ensure_ascii=False))
    (tmp_path / "b.json").write_text(by_line)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(by_line.encode("utf-8-sig")))
    for name in ("a.json", "b.json", "c.jsonl.gz"):
        found = read_table(tmp_path / name)
        np.testing.assert_array_equal(found.columns["size"].values, SIZES)
        assert sorted(found.columns["town"].levels) == sorted(set(TOWNS))
    # In a folder JSON beside tables tells of them.
    assert [file.name for file in find_files(tmp_path)] == ["c.jsonl.gz"]
    (tmp_path / "c.jsonl.gz").unlink()
    assert [file.name for file in find_files(tmp_path)] == ["a.json", "b.json"]
    (tmp_path / "a.json").write_text("[1, {}]")
    with pytest.raises(DataError, match=r"a\.json:1"):
        read_table(tmp_path / "a.json")
