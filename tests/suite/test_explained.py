"""Tasks that explain another task: what is wrong with them is said where it stands."""

import json

import pytest

from evalharness.suite.load import load_suite
from evalharness.suite.plan import models_of
from evalharness.suite.schema import ExplainTask, Suite, class_of_task

HEAD = """\
version: 1
name: why
models:
  clf: {backend: hf-classifier, path: somewhere}
  two: {backend: hf-classifier, path: somewhere, devices: all}
  lm: {backend: hf-causal, path: somewhere}
  api: {backend: openai, model: x, api: completions, base_url: "http://h", api_key: k}
  chat: {backend: openai, model: x, base_url: "http://h", api_key: k}
  old: {backend: replay, path: out.jsonl}
datasets:
  d: {rows: [{id: a, text: one two, label: pos, gold: "yes"}]}
tasks:
  - {id: triage, dataset: d, classify: "{{ text }}", target: "{{ label }}", labels: [pos, neg], model: clf}
  - {id: pick, dataset: d, prompt: "{{ text }}", choices: ["yes", "no"], model: lm}
  - {id: ask, dataset: d, prompt: "{{ text }}", reference: "{{ gold }}", model: lm}
  - {id: free, dataset: d, prompt: "{{ text }}", model: lm}
  - {id: prose, dataset: d, perplexity: "{{ text }}", model: lm}
"""


@pytest.mark.parametrize(
    "entry",
    [
        "{id: why, explain: shap, of: triage}",
        "{id: why, explain: shap, of: triage, sample: all, output: neg, players: tokens}",
        "{id: why, explain: integrated_gradients, of: pick}",
        "{id: why, explain: lime, of: ask, model: [lm, api]}",
        '{id: why, explain: occlusion, of: free, answer: " {{ gold }}", against: " no"}',
        "{id: why, explain: shap, of: triage, quality: false}",
        "{id: why, explain: shap, of: triage, quality: {randomisation: true}}",
    ],
)
def test_well_formed_entries(load_text, entry):
    loaded = load_text(f"{HEAD}  - {entry}\n")
    task = loaded.suite.tasks[-1]
    assert isinstance(task, ExplainTask)
    assert class_of_task(task.model_dump()) is ExplainTask


def test_without_quality_only_what_needs_none_is_measured(load_text):
    suite = load_text(f"{HEAD}  - {{id: why, explain: shap, of: triage, quality: false}}\n").suite
    assert suite.tasks[-1].metrics == ("explanation_evaluations", "efficiency_gap")
    suite = load_text(f"{HEAD}  - {{id: why, explain: shap, of: triage}}\n").suite
    assert "comprehensiveness_over_random" in suite.tasks[-1].metrics
    assert models_of(suite.tasks[-1], suite) == ("clf",)


@pytest.mark.parametrize(
    ("entry", "path", "said"),
    [
        ("{id: why, explain: shap, of: traige}", "of", "there is no task 'traige'; did you mean 'triage'"),
        ("{id: why, explain: shap, of: prose}", "of", "cannot be explained: name one with classify, choices or prompt"),
        ("{id: why, explain: shap, of: why}", "of", "there is no task 'why'; there is: "),
        ("{id: why, explain: sharp, of: triage}", "explain", "shap"),
        ("{id: why, explain: shap, of: triage, output: nge}", "output", "has no label 'nge'; did you mean 'neg'"),
        ("{id: why, explain: shap, of: pick, output: target}", "output", "has no target"),
        ("{id: why, explain: shap, of: ask, output: pos}", "output", "has neither labels nor choices"),
        ("{id: why, explain: shap, of: triage, answer: x}", "answer", "has no effect"),
        ("{id: why, explain: shap, of: free}", "of", "has no answer whose likelihood could be explained"),
        ("{id: why, explain: shap, of: free, against: x}", "", "against has no effect without answer"),
        ("{id: why, explain: attention, of: ask, model: api}", "explain", "cannot be looked into"),
        ("{id: why, explain: shap, of: ask, model: api, players: tokens}", "players", "does not show its tokens"),
        (
            "{id: why, explain: shap, of: ask, model: chat}",
            "model",
            "which the model 'chat' (backend openai) cannot do",
        ),
        ("{id: why, explain: shap, of: triage, model: old}", "model", "recorded answers"),
        ("{id: why, explain: shap, of: triage, model: lm}", "model", "the task must classify"),
        ("{id: why, explain: shap, of: triage, metrics: [bleu]}", "metrics[0]", "this one must explain another task"),
        ("{id: why, explain: shap, of: triage, smaple: 3}", "smaple", "did you mean 'sample'"),
        (
            "{id: why, explain: shap, of: ask, model: api, quality: {randomisation: true}}",
            "quality.randomisation",
            "the model 'api' (backend openai) has none that can be drawn here; leave it out, or name a model of hf-",
        ),
        (
            "{id: why, explain: shap, of: triage, model: two, quality: {randomisation: true}}",
            "quality.randomisation",
            "has copies on several GPUs",
        ),
        (
            "{id: why, explain: shap, of: triage, quality: {randomization: true}}",
            "quality.randomization",
            "randomisation",
        ),
        ("{id: why, explain: shap, of: triage, sample: 0}", "sample", "1"),
        ("{id: why, explain: shap, of: triage, prompt: x}", "prompt", "a task has only one of"),
        ('{id: why, explain: shap, of: free, answer: "{{ oops"}', "answer", ""),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(problems_of, entry, path, said):
    (problem,) = problems_of(f"{HEAD}  - {entry}\n")
    assert problem.path == ("tasks[5]." + path if path else "tasks[5]")
    assert said in problem.message


def test_metrics_of_explanations_are_refused_elsewhere(problems_of):
    text = HEAD.replace("labels: [pos, neg]", "labels: [pos, neg], metrics: [identity_mass]")
    (problem,) = problems_of(text)
    assert "scores tasks that explain another task" in problem.message


def test_a_variant_must_be_named(problems_of):
    text = f"{HEAD}  - {{id: why, explain: shap, of: triage}}\nmatrix: {{triage.limit: [1, 2]}}\n"
    (problem,) = problems_of(text)
    assert "`matrix` makes variants of it: triage@" in problem.message


def test_a_gate_on_a_group_of_what_is_explained(load_text, problems_of):
    rule = "gates: {rules: [{metric: why.identity_mass, at_most: 0.2, group: 'GROUP=x'}]}\n"
    entry = "  - {id: why, explain: shap, of: triage, metrics: [identity_mass]}\n"
    head = HEAD.replace("label: pos, gold", "label: pos, lang: en, gold").replace(
        "}]}\ntasks", "}], groups: [lang]}\ntasks"
    )
    load_text(head + entry + rule.replace("GROUP", "lang"))
    (problem,) = problems_of(head + entry + rule.replace("GROUP", "lagn"))
    assert "no group column 'lagn'" in problem.message


def test_a_row_without_an_answer_is_told_with_its_place(tmp_path):
    from evalharness.core.errors import DataError
    from evalharness.runner.prepare import prepare

    rows = [{"id": "a", "text": "x", "gold": "y"}, {"id": "b", "text": "x", "gold": None}]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "suite.yaml").write_text(
        "version: 1\nname: n\nmodels: {m: {backend: fake}}\ndatasets: {d: {path: d.jsonl}}\ntasks:\n"
        '  - {id: ask, dataset: d, prompt: "{{ text }}"}\n'
        '  - {id: why, explain: shap, of: ask, answer: "{{ gold }}"}\n'
    )
    assert isinstance(load_suite(tmp_path / "suite.yaml").suite, Suite)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "suite.yaml")
    (problem,) = caught.value.problems
    assert problem.place.line == 2
    assert problem.path == "tasks.why.answer"
