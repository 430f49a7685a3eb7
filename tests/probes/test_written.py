"""Rewritings that a model wrote: from a run to a file, and from the file to the questions of another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.cli.main import main
from evalharness.core.errors import DataError, Place, UsageError
from evalharness.core.types import Row
from evalharness.probes.robustness import Robustness
from evalharness.probes.written import written_variants

WRITE = """\
version: 1
name: write
models:
  writer: {backend: fake, reply: "{% if 'dull' in prompt %}{{ prompt }}{% else %}  One says: {{ prompt }} {% endif %}"}
datasets:
  films:
    rows: [{id: a, text: a good film}, {id: b, text: a dull film}, {id: c, text: "   "}, {id: d, text: a fine film}]
tasks:
  - {id: paraphrase, dataset: films, prompt: "{{ text }}", generate: {repeats: 2}}
"""
BACK = """\
version: 1
name: back
models: {writer: {backend: fake, reply: "{{ prompt | upper }}"}}
datasets: {german: {path: german.jsonl, id: id}}
tasks:
  - {id: back, dataset: german, prompt: "{{ fields.text }}"}
"""
READ = """\
version: 1
name: read
models: {model: {backend: fake, reply: "{% if 'says' in prompt %}yes{% else %}no{% endif %}"}}
datasets:
  films: {rows: [{id: a, text: a good film}, {id: b, text: a dull film}, {id: d, text: TEXT}]}
tasks:
  - {id: ask, dataset: films, prompt: "{{ text }}"}
  - {id: other_words, probe: robustness, of: ask, written: [words.jsonl]}
"""
LINE = {"id": "r", "variant": "v", "source": {"text": "old"}, "fields": {"text": "new"}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suite(text: str) -> Path:
    Path("suite.yaml").write_text(text, encoding="utf-8")
    return Path("suite.yaml")


def written(*lines: Any) -> None:
    Path("words.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def test_from_a_run_to_the_questions_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    run = evalharness.run(suite(WRITE))
    keep = ["rewritings", "latest", "--task", "paraphrase", "--field", "text"]
    assert main([*keep, "--out", "words.jsonl"]) == 0
    said = capsys.readouterr().err
    assert "rewritings in words.jsonl; left out: " in said
    assert "2 the same text" in said
    lines = [json.loads(line) for line in Path("words.jsonl").read_text(encoding="utf-8").splitlines()]
    mine = [line for line in lines if line["id"] in "ad"]
    assert [(line["id"], line["variant"]) for line in mine] == [
        ("a", "paraphrase_1"), ("a", "paraphrase_2"), ("d", "paraphrase_1"), ("d", "paraphrase_2"),
    ]  # fmt: skip
    assert mine[0]["source"] == {"text": "a good film"}
    assert mine[0]["fields"] == {"text": "One says: a good film"}
    assert mine[0]["model"] == "writer"
    assert mine[0]["run"] == run.id
    assert len(mine[0]["prompt"]) == 64

    record = evalharness.run(suite(READ.replace("TEXT", "a fine film")))
    own = record.samples()
    prompts = dict(zip(own.sample_id, own.prompt, strict=True))
    assert prompts["a#paraphrase_2"] == "One says: a good film"
    (flips,) = [r for r in record.results if (r.task, r.metric, r.group) == ("other_words", "flip_rate", None)]
    assert (flips.value, flips.n) == (1.0, 4)
    with pytest.raises(DataError, match="was made of another text than the row 'd' now has under 'text'"):
        evalharness.run(suite(READ.replace("TEXT", "a finer film")))


def test_a_translation_back_is_a_rewriting_of_what_was_there_at_first() -> None:
    line = {"id": "a", "variant": "german", "source": {"text": "a good film"}, "fields": {"text": "ein guter film"}}
    Path("german.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    evalharness.run(suite(BACK))
    out = ["--field", "text", "--name", "there_and_back", "--out", "words.jsonl"]
    assert main(["rewritings", "latest", "--task", "back", *out]) == 0
    (back,) = [json.loads(line) for line in Path("words.jsonl").read_text(encoding="utf-8").splitlines()]
    assert back["source"] == {"text": "a good film"}
    assert back["fields"] == {"text": "EIN GUTER FILM"}
    assert (back["id"], back["variant"]) == ("a", "there_and_back")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "paraphrse", "--field", "text"], "has no task 'paraphrse'; did you mean 'paraphrase'"),
        (["--task", "paraphrase", "--field", "txt"], "has no text under 'txt'; did you mean 'text'"),
        (["--task", "paraphrase", "--field", "text", "--model", "other"], "was not answered by 'other'"),
    ],
)
def test_the_verb_says_what_is_wrong(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    evalharness.run(suite(WRITE))
    assert main(["rewritings", "latest", *arguments, "--out", "x.jsonl"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("x.jsonl").exists()


def test_variants_of_a_file() -> None:
    written(LINE, {**LINE, "variant": "w"}, {**LINE, "id": "s", "fields": {"text": "old"}})
    first, second = written_variants(["words.jsonl"], Path())
    assert (first.name, second.name) == ("v", "w")
    row = Row("r", {"text": "old", "label": "x"}, Place("f"))
    assert first.rewrite(row, ("text",)) == Row("r", {"text": "new", "label": "x"}, Place("f"))
    assert first.rewrite(Row("s", {"text": "old"}, Place("f")), ("text",)) is None, "the same text"
    assert first.rewrite(Row("t", {"text": "old"}, Place("f")), ("text",)) is None, "nothing written of it"
    assert [v.name for v in Robustness(written=("words.jsonl",)).variants({"prompt": "{{ text }}"}, Path())] == [
        "v",
        "w",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x"], r"words.jsonl:1.*must be \{"),
        ([{**LINE, "fields": {}}], "must be"),
        ([{**LINE, "variant": "a b"}], "'a b' is no name"),
        ([LINE, LINE], "words.jsonl:2.*a second 'v' of the row 'r'"),
    ],
)
def test_lines_that_are_wrong(lines: list[Any], message: str) -> None:
    written(*lines)
    with pytest.raises(DataError, match=message):
        written_variants(["words.jsonl"], Path())


def test_files_that_are_wrong() -> None:
    with pytest.raises(UsageError, match=r"the file 'none.jsonl' cannot be read: No such file"):
        written_variants(["none.jsonl"], Path())
    written()
    with pytest.raises(UsageError, match=r"there is no rewriting in words.jsonl"):
        written_variants(["words.jsonl"], Path())
    Path("words.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is no JSON"):
        written_variants(["words.jsonl"], Path())
