"""lm-eval's samples in our record: pairing, gates, groups, failures, scoring again."""

import json
import math

import pytest

from evalharness.core.errors import NotComparableError, SuiteError
from evalharness.gate import decide_record
from evalharness.record import RunRegistry
from evalharness.runner import score

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

RULES = """
gates:
  baseline: bridged@production
  decide_on: point  # a run against itself proves no margin of 0
  rules:
    - {metric: g.acc, max_regression: 0.0}
    - {metric: g/mini_choice.acc_norm, max_regression: 0.0}
    - {metric: gen.exact_match@strict-match, max_regression: 0.0}
    - {metric: g/mini_binary.f1, at_least: 0.99}
"""


def promote(record, reports):
    with RunRegistry.open(None, reports=reports) as runs:
        runs.promote(record.manifest.id, "production")


def test_filters_are_figures_of_their_own_and_count_documents_once(run):
    record = run({"id": "gen", "lm_eval": "mini_generate", "limit": 20})
    found = {r.metric: r for r in record.results if r.signature.startswith("lm_eval|")}
    assert set(found) == {"exact_match@strict-match", "exact_match@majority"}
    assert {r.n for r in found.values()} == {20}
    (task,) = record.manifest.tasks
    assert (task.n_samples, task.n_requests) == (20, 60)
    assert found["exact_match@majority"].ci_method == "wilson"
    assert found["exact_match@majority"].bounds == (0.0, 1.0)


def test_gates_compare_lm_evals_figures_in_pairs(run, tmp_path):
    entries = [{"id": "g", "lm_eval": "mini_group"}, {"id": "gen", "lm_eval": "mini_generate"}]
    first = run(*entries, gates=RULES)
    promote(first, tmp_path / "reports")
    again = run(*entries, gates=RULES)
    assert again.manifest.execution["n_asked"] == 0
    outcome = decide_record(again, reports=tmp_path / "reports")
    states = {v.rule.split(" ")[0]: v.state for v in outcome.verdicts}
    assert states["g.acc"] == states["g/mini_choice.acc_norm"] == states["gen.exact_match@strict-match"] == "pass"
    assert states["g/mini_binary.f1"] == "fail"


def test_other_examples_are_not_compared(run, tmp_path):
    gates = RULES.replace("    - {metric: gen.exact_match@strict-match, max_regression: 0.0}\n", "")
    first = run({"id": "g", "lm_eval": "mini_group"}, gates=gates)
    promote(first, tmp_path / "reports")
    again = run({"id": "g", "lm_eval": "mini_group", "num_fewshot": 1}, gates=gates)
    with pytest.raises(NotComparableError, match="prompt"):
        decide_record(again, reports=tmp_path / "reports")


def test_groups_of_documents_get_figures(run):
    record = run({"id": "c", "lm_eval": "mini_choice", "groups": ["topic"]})
    found = {r.group: r for r in record.results if r.metric == "acc"}
    assert set(found) == {None, "topic=apple", "topic=river"}
    whole = found.pop(None)
    assert sum(r.value * r.n for r in found.values()) == pytest.approx(whole.value * whole.n)


def test_figures_that_only_lm_eval_can_compute_have_no_paired_gate(run, tmp_path):
    gates = "\ngates:\n  baseline: bridged@production\n  rules: [{metric: own.length, max_regression: 1}]\n"
    first = run({"id": "own", "lm_eval": "mini_own"}, gates=gates)
    promote(first, tmp_path / "reports")
    with pytest.raises(NotComparableError, match="a function of the task's own"):
        decide_record(run({"id": "own", "lm_eval": "mini_own"}, gates=gates), reports=tmp_path / "reports")


def test_a_record_is_scored_again_without_lm_eval(run, suite, tmp_path):
    entries = [{"id": "g", "lm_eval": "mini_group"}, {"id": "own", "lm_eval": "mini_own"}]
    record = run(*entries)
    again = score(record, suite(*entries), reports=tmp_path / "reports")
    # Times of asking aside, everything is as it was.
    ours = {(r.task, r.metric, r.group): r for r in again.results if r.signature.startswith("lm_eval|")}
    before = {(r.task, r.metric, r.group): r for r in record.results if r.signature.startswith("lm_eval|")}
    assert ours == before
    assert len(ours) > 10
    for (task, metric, _), figure in ours.items():
        assert (again.stats(task, "fake", metric).values == record.stats(task, "fake", metric).values).all(), figure


def test_a_record_is_not_scored_again_as_another_task(run, suite, tmp_path):
    record = run({"id": "t", "lm_eval": "mini_choice"})
    with pytest.raises(NotComparableError, match="lm_eval"):
        score(record, suite({"id": "t", "lm_eval": "mini_binary"}), reports=tmp_path / "reports")


# ── answers that failed ───────────────────────────────────────────────────────────────────────────────────────────

FLAKY = """
def answer(prompt):
    if "cloud" in prompt.lower():
        raise RuntimeError("overloaded")
    return "#### 1"


def likelihoods(prompt, continuations):
    if "cloud" in prompt.lower():
        raise RuntimeError("overloaded")
    return [-float(len(text)) for text in continuations]
"""


@pytest.mark.parametrize(
    ("name", "function", "kind", "metric"),
    [
        ("mini_generate", "answer", "generate", "exact_match@strict-match"),
        ("mini_choice", "likelihoods", "loglikelihood", "acc"),
        ("mini_inputs", "likelihoods", "loglikelihood", "acc"),
    ],
)
@pytest.mark.parametrize("policy", ["exclude", "count_wrong"])
def test_failed_answers_are_left_out_or_count_as_empty(run, tmp_path, name, function, kind, metric, policy):
    (tmp_path / "flaky.py").write_text(FLAKY, encoding="utf-8")
    record = run(
        {"id": "t", "lm_eval": name, "model": "flaky"},
        models=f'  flaky: {{backend: python, function: "flaky:{function}", kind: {kind}}}\n',
        execution=f"\nexecution: {{on_error: {policy}}}\n",
    )
    figure = next(r for r in record.results if r.metric == metric)
    rows = list(record.iter_samples(task="t"))
    failed = {row.sample.id for row in rows if row.response.status == "error"}
    assert failed
    assert figure.n_failed == len(failed)
    counted = 23 if (policy, kind) == ("count_wrong", "generate") else 23 - len(failed)
    assert figure.n == counted
    gold = sum(row.sample.references == ("1",) for row in rows if row.sample.id not in failed) / 3
    if kind == "generate":
        assert figure.value == pytest.approx(gold / counted)


def test_a_fault_of_the_tasks_own_code_is_a_failed_sample(run, tasks):
    own = tasks / "own.py"
    text = own.read_text(encoding="utf-8")
    own.write_text(
        text.replace(
            "def process_results(doc, results):\n",
            "def process_results(doc, results):\n    if doc['label'] == 2: raise KeyError('gone')\n",
        )
    )
    try:
        record = run({"id": "own", "lm_eval": "mini_own"})
    finally:
        own.write_text(text)
    rows = [row for row in record.iter_samples(task="own") if row.response.status == "error"]
    assert rows
    assert all("lm-eval's scoring of it failed: KeyError: 'gone'" in row.response.error for row in rows)
    assert next(r for r in record.results if r.metric == "middle").n_failed == len(rows)
    assert not record.manifest.complete


def test_nothing_but_failures_has_figures_without_values(run, tmp_path):
    (tmp_path / "flaky.py").write_text("def answer(prompt):\n    raise RuntimeError('down')\n", encoding="utf-8")
    record = run(
        {"id": "t", "lm_eval": "mini_generate", "model": "flaky", "limit": 3},
        models='  flaky: {backend: python, function: "flaky:answer"}\n',
    )
    found = [r for r in record.results if r.signature.startswith("lm_eval|")]
    assert len(found) == 2
    assert all(math.isnan(r.value) and r.n == 0 and r.n_failed == 3 for r in found)


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────


def test_code_beside_a_task_needs_permission(run):
    with pytest.raises(SuiteError, match=r"mini_own' \(.*mini_own.yaml\) runs Python functions .* --allow-code"):
        run({"id": "own", "lm_eval": "mini_own"}, allow_code=False)


def test_code_deep_in_a_group_needs_permission(run):
    with pytest.raises(SuiteError, match="--allow-code"):
        run({"id": "deep", "lm_eval": "mini_deep"}, allow_code=False)


def test_a_document_may_be_asked_in_several_ways(run):
    record = run({"id": "t", "lm_eval": "mini_class", "limit": 4})
    rows = [row for row in record.iter_samples(task="t") if row.sample.id == "2"]
    assert [(row.request.kind, len(row.request.continuations), row.request.repeat) for row in rows] == [
        ("generate", 0, 0),
        ("loglikelihood", 2, 1),
        ("loglikelihood", 1, 2),
    ]
    assert {t.n_samples for t in record.manifest.tasks} == {4}


def test_a_task_that_runs_what_a_model_wrote_needs_permission(run):
    with pytest.raises(SuiteError, match=r"'humaneval' runs code that the model wrote"):
        run({"id": "code", "lm_eval": "humaneval"}, allow_code=False)


def test_an_unknown_task_names_the_nearest(run):
    with pytest.raises(
        SuiteError,
        match=r"lm_eval: neither lm-eval nor include_path has a task, group or tag 'mini_choise'; did you mean",
    ):
        run({"id": "t", "lm_eval": "mini_choise"})


def test_a_model_without_the_verb_is_refused_before_anything_is_loaded(run):
    models = "  server: {backend: http, url: 'http://127.0.0.1:9/ask'}\n"
    with pytest.raises(SuiteError, match="must score choices by likelihood, which the model 'server'"):
        run({"id": "t", "lm_eval": "mini_choice", "model": "server"}, models=models)


def test_a_rule_about_a_task_that_the_group_has_not_is_refused(run):
    gates = "\ngates:\n  rules: [{metric: g/mini_choise.acc, at_least: 0.1}]\n"
    with pytest.raises(SuiteError, match="has no 'mini_choise' in it; did you mean 'mini_choice'"):
        run({"id": "g", "lm_eval": "mini_group"}, gates=gates)


def test_a_dataset_that_is_not_there_is_said(run, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "gone.yaml").write_text(
        f"task: gone\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder}/no.jsonl}}}}\n"
        'output_type: generate_until\ntest_split: test\ndoc_to_text: "{{a}}"\ndoc_to_target: "{{b}}"\n'
    )
    with pytest.raises(SuiteError, match=r"'gone' cannot be loaded: FileNotFoundError: .*no.jsonl"):
        run({"id": "t", "lm_eval": "gone", "include_path": str(folder)})


def test_settings_that_our_engine_has_not_are_refused(run, tmp_path, tasks):
    folder = tmp_path / "beams"
    folder.mkdir()
    (folder / "beams.yaml").write_text(
        (tasks / "mini_overlap.yaml")
        .read_text()
        .replace("include: base_yaml", f"include: {tasks}/base_yaml")
        .replace("mini_overlap", "beams")
        .replace('until: ["\\n"]', 'until: ["\\n"], num_beams: 4')
    )
    with pytest.raises(SuiteError, match="num_beams: 4"):
        run({"id": "t", "lm_eval": "beams", "include_path": str(folder)})


def test_two_models_share_documents_and_have_their_own_figures(run):
    record = run(
        {"id": "t", "lm_eval": "mini_generate", "limit": 5, "generate": {"max_tokens": 3}},
        models='  other: {backend: fake, reply: "#### 1", generate: {temperature: 0.1, repeats: 9}}\n',
    )
    found = {r.model: r.value for r in record.results if r.metric == "exact_match@strict-match"}
    assert set(found) == {"fake", "other"}
    samplings = {
        (row.request.model, row.request.sampling.temperature, row.request.sampling.max_tokens)
        for row in record.iter_samples(task="t")
    }
    assert samplings == {("fake", 0.7, 3), ("other", 0.1, 3)}
    assert {t.n_requests for t in record.manifest.tasks} == {15}


def test_variants_of_an_lm_eval_task(run, suite, tmp_path):
    from evalharness.runner import run as run_suite

    path = suite({"id": "g", "lm_eval": "mini_tag", "limit": 4})
    path.write_text(
        path.read_text()
        + "\nmatrix: {g.num_fewshot: [0, 2]}\ngates:\n  rules: [{metric: g/mini_choice.acc, at_least: 0}]\n"
    )
    record = run_suite(path, reports=tmp_path / "reports")
    assert {t.id for t in record.manifest.tasks} == {
        f"g/{name}@num_fewshot={n}" for name in ("mini_choice", "mini_binary") for n in (0, 2)
    }
    assert len(decide_record(record, reports=tmp_path / "reports").verdicts) == 2


def test_the_report_and_the_summary_show_them(run, tmp_path):
    from evalharness.report import write_reports

    record = run({"id": "g", "lm_eval": "mini_group"}, {"id": "gen", "lm_eval": "mini_generate", "limit": 3})
    paths = write_reports(record, None)
    text = paths["markdown"].read_text(encoding="utf-8") if "markdown" in paths else ""
    assert "g/mini_choice" in text or "g/mini_choice" in paths["html"].read_text(encoding="utf-8")
    json.loads((record.folder / "run.json").read_text(encoding="utf-8"))
