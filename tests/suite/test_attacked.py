"""Tasks that attack others: what is wrong with them is said where it stands."""

import pytest

from evalharness.suite.plan import models_of
from evalharness.suite.schema import AttackTask, class_of_task

HEAD = """\
version: 1
name: fool
models:
  clf: {backend: hf-classifier, path: somewhere}
  lm: {backend: hf-causal, path: somewhere}
  old: {backend: replay, path: out.jsonl}
datasets:
  d: {rows: [{id: a, text: one two, label: pos}]}
tasks:
  - {id: triage, dataset: d, classify: "{{ text }}", target: "{{ label }}", labels: [pos, neg], model: clf}
  - {id: blind, dataset: d, classify: "{{ text }}", model: clf}
  - {id: ask, dataset: d, prompt: "{{ text }}", model: lm}
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "good.txt").write_text("film, movie\n")
    (tmp_path / "lonely.txt").write_text("film, movie\n\npicture # alone\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    return tmp_path


def test_a_well_formed_entry(here, load_text):
    suite = load_text(f"{HEAD}  - {{id: fool, attack: words, of: triage, synonyms: good.txt, sample: all}}\n").suite
    task = suite.tasks[-1]
    assert isinstance(task, AttackTask)
    assert class_of_task(task.model_dump()) is AttackTask
    assert models_of(task, suite) == ("clf",)


@pytest.mark.parametrize(
    ("entry", "path", "said"),
    [
        ("of: traige, synonyms: good.txt", "of", "there is no task 'traige'; did you mean 'triage'"),
        ("of: ask, synonyms: good.txt", "of", "cannot be attacked: name one with classify"),
        ("of: blind, synonyms: good.txt", "of", "has no target"),
        ("of: triage", "synonyms", "is missing; add it"),
        ("of: triage, synonyms: good.txt, encoder: some/one", "encoder", "'some/one' is not on this machine"),
        ("of: triage, synonyms: good.txt, encoder: ./none", "encoder", "none"),
        ("of: triage, synonyms: good.txt, neighbours: 3", "", "neighbours has no effect without encoder"),
        ("of: triage, synonyms: good.txt, min_similarity: 0.7", "", "min_similarity has no effect without encoder"),
        ("of: triage, synonyms: good.txt, min_similarity: 1.7", "min_similarity", "1"),
        ("of: triage, synonyms: none.txt", "synonyms", "none.txt cannot be read: No such file"),
        ("of: triage, synonyms: lonely.txt", "synonyms", "line 3 of lonely.txt: 'picture' stands alone"),
        ("of: triage, synonyms: empty.txt", "synonyms", "lists no words"),
        ("of: triage, synonyms: good.txt, max_changed: 1.5", "max_changed", "1"),
        ("of: triage, synonyms: good.txt, max_queries: 1", "max_queries", "2"),
        ("of: triage, synonyms: good.txt, model: old", "model", "recorded answers"),
        ("of: triage, synonyms: good.txt, model: lm", "model", "the task must classify"),
        ("of: triage, synonyms: good.txt, metrics: [bleu]", "metrics[0]", "this one must attack another task"),
        ("of: triage, synonyms: good.txt, metrics: [identity_mass]", "metrics[0]", "scores tasks with `explain`"),
        ("of: triage, synonyms: good.txt, max_query: 3", "max_query", "did you mean 'max_queries'"),
        ("of: triage, synonyms: good.txt, prompt: x", "prompt", "a task has only one of"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(here, problems_of, entry, path, said):
    (problem,) = problems_of(f"{HEAD}  - {{id: fool, attack: words, {entry}}}\n")
    assert problem.path == f"tasks[3].{path}".rstrip(".")
    assert said in problem.message


def test_metrics_of_attacks_are_refused_elsewhere(here, problems_of):
    (problem,) = problems_of(HEAD.replace("model: clf}", "model: clf, metrics: [attack_queries]}", 1))
    assert "scores tasks that attack another task; this one must classify" in problem.message


def test_a_function_that_may_classify_is_told_how_to_say_so(here, problems_of):
    head = HEAD.replace("models:\n", 'models:\n  fn: {backend: python, function: "m:f"}\n')
    (problem,) = problems_of(f"{head}  - {{id: fool, attack: words, of: triage, synonyms: good.txt, model: fn}}\n")
    assert "or set `kind: classify` for it if that is what its function does" in problem.message
