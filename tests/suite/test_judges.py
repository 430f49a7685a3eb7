"""What `validate` finds wrong with judges, at its place; and what it only notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import Problem, SuiteError
from evalharness.suite.check import check_references
from evalharness.suite.judges import judge_notes
from evalharness.suite.load import load_suite
from evalharness.suite.plan import models_of

SUITE = """\
version: 1
name: s
models:
  m: {backend: fake}
  n: {backend: fake}
  j: {backend: fake}
  c: {backend: hf-classifier, path: x}
datasets:
  d: {rows: [{q: a, doc: b}]}
tasks:
  - id: t
    dataset: d
    prompt: "{{ q }}"
    model: [m, n]
    metrics:
      - llm_judge: JUDGING
"""
Problems = Callable[..., Sequence[Problem]]


@pytest.fixture
def problems(problems_of: Any) -> Problems:
    def find(judging: str, **swapped: str) -> Sequence[Problem]:
        text = SUITE.replace("JUDGING", judging)
        for old, new in swapped.items():
            text = text.replace(old, new)
        found: Sequence[Problem] = problems_of(text)
        return found

    return find


@pytest.mark.parametrize(
    ("judging", "path", "message"),
    [
        ("{model: jj, rubric: r}", "model", "there is no model 'jj'; did you mean 'j'?"),
        ("{model: [j, xyz], rubric: r}", "model[1]", "there is no model 'xyz'; there is: m, n, j, c"),
        ("{model: c, rubric: r}", "model", "the model 'c' (backend hf-classifier) cannot judge: it writes no text"),
        ("{model: j, rubric: rubrics/none.md}", "rubric", "there is no file 'rubrics/none.md'"),
        ("{model: j, rubric: {file: none}}", "rubric", "there is no file 'none'"),
        ("{model: j, rubric: 'Is {{ answer }'}", "rubric", "not a template"),
        ("{model: j, rubric: 'Is {{ dok }} in it?'}", "rubric", "the rubric uses 'dok', .*did you mean 'doc'"),
        ("{model: j, rubric: 'As {{ reference }}'}", "rubric", "speaks of the reference, and the task has none"),
        ("{model: j, rubric: r, scale: [1, 5], classes: [a, b]}", "", "give either scale or classes, not both"),
        ("{model: j, rubric: r, scale: [5]}", "", "scale: give the lowest and the highest number: [1, 5]"),
        ("{model: j, rubric: r, against: x}", "against", "there is no model 'x'"),
        ("{model: j, rubric: r, against: j}", "against", "the task does not run on the model 'j', .*it runs on: m, n"),
        ("{model: j, rubric: r, against: reference}", "", "needs the task's `reference`"),
        ("{model: j, rubric: r, calibrate: none.csv}", "calibrate", "the file 'none.csv' cannot be read"),
        ("{model: j, rubric: r, scale: 5}", "scale", "must be a list, but is the number 5"),
        ("{model: j, rubrik: r}", "rubrik", "did you mean 'rubric'"),
        ("{model: j, rubric: r, as: a.b}", "as", "a name of a figure"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(problems: Problems, judging: str, path: str, message: str) -> None:
    import re

    (found,) = problems(judging)
    if path:
        assert found.path.endswith(f"llm_judge.{path}"), found.path
    assert re.search(message if ".*" in message else re.escape(message), found.message), found.message
    assert found.place.line == 16
    assert found.place.column > 1


def test_a_task_that_writes_no_text_cannot_be_judged(problems: Problems) -> None:
    (found,) = problems("{model: j, rubric: r}", **{'prompt: "{{ q }}"': 'perplexity: "{{ q }}"'})
    assert "scores tasks that generate text" in found.message


def test_figures_beside_a_judge_take_their_names(problems: Problems) -> None:
    entries = "{as: f, model: [j, m], rubric: r}\n      - bleu: {as: f_spread}"
    found = problems(entries, **{'"{{ q }}"': '"{{ q }}"\n    reference: "{{ doc }}"'})
    assert ["a second figure called 'f_spread'" in problem.message for problem in found] == [True]


def test_a_pair_needs_two_models(problems: Problems) -> None:
    (found,) = problems("{model: j, rubric: r, against: m}", **{"[m, n]": "m"})
    assert "the task runs on 'm' alone" in found.message


def test_gates_know_the_figures_beside_a_judge(problems: Problems, load_text: Any) -> None:
    rule = "\ngates: {rules: [{metric: t.f_kappa, at_least: 0.6}]}"
    (found,) = problems("{as: f, model: j, rubric: r}" + rule)
    assert "has no figure 'f_kappa'" in found.message
    loaded = load_text(SUITE.replace("JUDGING", "{as: f, model: [j, m], rubric: r}") + rule.replace("kappa", "spread"))
    assert loaded.suite.gates is not None


def test_a_judge_is_no_candidate_unless_a_task_names_it(load_text: Any) -> None:
    text = SUITE.replace("JUDGING", "{model: j, rubric: r}").replace("  c: {backend: hf-classifier, path: x}\n", "")
    default = load_text(text.replace("    model: [m, n]\n", ""))
    assert models_of(default.suite.tasks[0], default.suite) == ("m", "n")
    more = "  - {id: u, dataset: d, prompt: x, model: j}\n"
    named = load_text(text.replace("    model: [m, n]\n", "") + more)
    assert models_of(named.suite.tasks[0], named.suite) == ("m", "n", "j")


def test_a_suite_of_judges_alone_has_nothing_to_judge(problems: Problems) -> None:
    found = problems("{model: [m, n, j, c], rubric: r}", **{"    model: [m, n]\n": ""})
    assert "runs on no model: all models of the suite are judges" in "\n".join(p.message for p in found)


def test_a_model_with_a_fault_of_its_own_is_no_judge(problems: Problems) -> None:
    """It is left out of what is checked further, and its tasks do not lack a model for that."""
    found = problems(
        "{model: j, rubric: r}",
        **{
            "    model: [m, n]\n": "",
            "  m: {backend: fake": "  m: {backend: fake, repl: x",
            "  n: {backend: fake": "  n: {backend: fake, repl: x",
            "  c: {backend: hf-classifier, path: x}\n": "",
        },
    )
    assert ["unknown key 'repl'" in p.message for p in found] == [True, True]


def test_variants_of_a_judge_are_named(problems: Problems) -> None:
    matrix = "\nmatrix: {j.reply: [a, b]}"
    (found,) = problems("{model: j, rubric: r}" + matrix)
    assert "`matrix` makes variants of it: j@reply=a, j@reply=b" in found.message


@pytest.mark.parametrize(
    ("model", "judging", "note"),
    [
        ("j: {backend: fake}", "{model: j, rubric: r}", None),
        ("j: {backend: fake}", "{model: m, rubric: r}", "t: the model 'm' judges its own answers"),
        (
            "j: {backend: openai, model: gpt-x-latest, api_key: k}",
            "{model: j, rubric: r}",
            "the judge 'j' is not pinned: what 'gpt-x-latest' names changes",
        ),
        ("j: {backend: openai, model: gpt-x-2026-01-02, api_key: k}", "{model: j, rubric: r}", None),
        ("j: {backend: hf-causal, path: org/name}", "{model: j, rubric: r}", "is whatever the hub has today"),
        ("j: {backend: hf-causal, path: org/name, revision: abc}", "{model: j, rubric: r}", None),
        ("j: {backend: openai, model: x, api_key: k}", "{model: j, rubric: r, repeats: 3}", "3 times at temperature 0"),
        (
            "j: {backend: openai, model: x, api_key: k, generate: {temperature: 0.5}}",
            "{model: j, rubric: r, repeats: 3}",
            None,
        ),
    ],
)
def test_what_is_no_error_is_noted(tmp_path: Path, model: str, judging: str, note: str | None) -> None:
    (tmp_path / "s.yaml").write_text(SUITE.replace("JUDGING", judging).replace("j: {backend: fake}", model), "utf-8")
    loaded = load_suite(tmp_path / "s.yaml")
    check_references(loaded)
    notes = judge_notes(loaded.suite)
    assert [note in found for found in notes if note] == ([True] if note else [])
    assert bool(notes) is (note is not None)


def test_a_default_model_that_judges_is_told_with_all_other_problems(load_text: Any) -> None:
    with pytest.raises(SuiteError) as caught:
        load_text(SUITE.replace("JUDGING", "{model: x, rubric: none.md, calibrate: none.csv, against: y}"))
    assert len(caught.value.problems) == 4
