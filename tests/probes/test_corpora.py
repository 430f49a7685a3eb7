from __future__ import annotations

import json

import pytest

from evalharness.core.errors import DataError, UsageError
from evalharness.probes.corpora import read_corpus


def read(base, name):
    return read_corpus(name, base=base, option="harmful", field="prompt")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "\ufeffone\n\n two \n"),
        ("a.jsonl", '{"prompt": "one"}\n{"prompt": "two"}\n'),
        ("a.json", '[{"prompt": "one"}, {"prompt": "two"}]'),
        ("a.csv", "prompt,x\none,1\ntwo,2\n"),
        ("a.tsv", "prompt\tx\none\t1\ntwo\t2\n"),
    ],
)
def test_formats(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    rows = read(tmp_path, name)
    assert [row.fields["prompt"] for row in rows] == ["one", "two"]
    assert all(str(row.place).startswith(str(tmp_path / name)) for row in rows)


def test_faults_of_all_rows_with_their_places(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [{"promt": "x"}, {"prompt": ""}, {"prompt": 3}])))
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.jsonl")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("a.jsonl:1 harmful: there is no field 'prompt'; did you mean 'promt'?")
    assert "a.jsonl:2 harmful: the field 'prompt' must be text that is not blank" in lines[1]
    assert "got 3" in lines[2]


def test_a_column_that_is_missing_is_told_once(tmp_path):
    (tmp_path / "a.csv").write_text("text\none\ntwo\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.csv")
    assert str(caught.value).endswith("a.csv:2 harmful: there is no field 'prompt'; it has: text")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.jsonl", None, "there is no file"),
        ("none.txt", None, "cannot be read"),
        ("a.doc", "x", "'.doc' stands for no format"),
        ("a.jsonl", "", "no rows"),
        ("a.txt", " \n", "is empty"),
    ],
)
def test_files_that_are_not_there(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=said):
        read(tmp_path, name)
