"""Nothing in a registry, a record or a message acts on the terminal that shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main
from evalharness.core.errors import RunError

from ..dashboard.conftest import World, make_world

# Cleared screens, titles and links of terminals, colours, C1 controls, overrides of direction, lone surrogates.
ODD = "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://e.invalid\x07x\x9b31m\x90q\x08\x7f\r\x00\u202e\u2066\u2028\ufeff\ud800"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff\ufeff]")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("odd"), ODD)
    yield made
    made.registry.close()


VERBS = (
    "runs list", "runs show {run}", "runs show {odd_run}", "report {run} --format console", "compare {run} {other}",
    "gate {run}", "report {run} --format md --out -", "monitor status", "monitor alerts --all", "monitor alerts",
    "monitor silence --list", "monitor metrics", "dashboard user list", "runs list --suite {odd}", "runs show {odd}",
    "report {odd}", "promote {odd_run}", "compare {odd} {run}", "monitor ack {odd}", "report {run} --sample {odd}",
    "run {odd}.yaml", "validate {odd}.yaml", "dashboard user remove {odd}", "annotate {odd}", "runs delete {odd_run}",
)  # fmt: skip


@pytest.mark.parametrize("words", VERBS)
def test_no_verb_prints_what_acts(odd: World, words: str, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("EVALHARNESS_DEBUG", raising=False)
    filled = {"run": odd.runs[0], "other": odd.runs[1], "odd_run": odd.runs[2], "odd": f"no{ODD}".replace("\x00", "")}
    arguments = [word.format(**filled) for word in words.split(" ")]
    verb = [*arguments, "--reports", str(odd.reports)] if arguments[0] != "validate" else arguments
    code = main(verb)
    said = capsys.readouterr()
    assert said.out + said.err
    assert "internal error" not in said.err
    assert "unrecognized arguments" not in said.err, said.err
    assert code in (0, 1, 2, 3, 4)
    assert ACTS.findall(said.out) == []
    assert ACTS.findall(said.err) == []


def test_no_error_acts(capsys: Any, monkeypatch: Any) -> None:
    def fail(args: Any) -> int:
        raise RunError(f"the server says {ODD}")

    monkeypatch.setattr("evalharness.cli.doctor.run", fail)
    assert main(["doctor"]) == 3
    assert ACTS.findall(capsys.readouterr().err) == []


SUITE = """
version: 1
name: odd
models:
  m: {backend: replay, path: answers.jsonl}
datasets:
  d: {path: rows.jsonl, id: id, groups: [g]}
tasks:
  - {id: t, dataset: d, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}
execution: {on_error: exclude}
"""


@pytest.mark.parametrize("verb", ["run", "validate", "plan"])
def test_no_text_of_a_dataset_acts_on_the_terminal(
    verb: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = "\x1b[31m\x1b]0;own\x07\u202e\u2066\x9b31m\r\b"
    rows = [{"id": f"s{i}{odd}", "q": f"q{i}{odd}", "a": f"x{odd}", "g": f"g{i % 2}{odd}"} for i in range(4)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    # One answer is missing: the run names its sample.
    answers = [{"id": row["id"], "output": f"x{odd}"} for row in rows[1:]]
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers), encoding="utf-8")
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    assert main([verb, "suite.yaml"]) in (0, 2, 3)
    said = "".join(capsys.readouterr())
    assert ACTS.findall(said) == []
    assert verb == "plan" or "␛[31m" in said
