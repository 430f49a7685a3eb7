"""Names of figures told from the YAML are those that a run gives, and gates are checked by them before one."""

import pytest

from evalharness.cli.main import main
from evalharness.integrations.lm_eval.figures import figure_names
from evalharness.integrations.lm_eval.index import entries, find

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

TOLD = ["mini_choice", "mini_binary", "mini_mutual", "mini_inputs", "mini_generate", "mini_overlap", "mini_rolling"]
UNTOLD = ["mini_own", "mini_class", "mini_group", "mini_tag"]


@pytest.mark.slow
def test_they_are_the_figures_of_a_run(run, tasks):
    record = run(*({"id": name, "lm_eval": name, "limit": 5} for name in (*TOLD, "mini_last")))
    for name in (*TOLD, "mini_last"):
        told = figure_names(find(name, tasks))
        given = {r.metric for r in record.results if r.task == name and r.signature.startswith("lm_eval|")}
        assert told is not None, name
        assert set(told) == given, name


@pytest.mark.parametrize("name", UNTOLD)
def test_nothing_is_said_of_what_only_a_run_tells(tasks, name):
    assert figure_names(find(name, tasks)) is None


def test_lm_evals_own_defaults_are_known():
    from lm_eval.api.registry import DEFAULT_METRIC_REGISTRY

    from evalharness.integrations.lm_eval.figures import _GIVEN

    assert {kind: list(default) for kind, (_, default) in _GIVEN.items()} == DEFAULT_METRIC_REGISTRY


def test_lm_evals_own_tasks():
    known = entries()
    assert figure_names(known["gsm8k"]) == ("exact_match@strict-match", "exact_match@flexible-extract")
    assert figure_names(known["hellaswag"]) == ("acc", "acc_norm")
    assert figure_names(known["mmlu_anatomy"]) == ("acc",)
    assert figure_names(known["squadv2"]) is None


@pytest.mark.parametrize(
    ("task", "metric", "message"),
    [
        ("mini_choice", "t.ac", "the task 't' has no figure 'ac'; did you mean 'acc'?"),
        ("mini_choice", "t.rouge", "the task 't' has no figure 'rouge'; it has: acc, acc_norm"),
        ("mini_group", "t/mini_choice.acc_nrm", "'t/mini_choice' has no figure 'acc_nrm'; did you mean 'acc_norm'?"),
        ("mini_generate", "t.exact_match@strict", "did you mean 'exact_match@strict-match'?"),
    ],
)
def test_a_gate_on_another_figure_is_refused_with_its_place(suite, capsys, task, metric, message):
    path = suite({"id": "t", "lm_eval": task}, gates=f"\ngates: {{rules: [{{metric: {metric}, at_least: 0.5}}]}}\n")
    assert main(["validate", "--level", "references", str(path)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "gates.rules[0].metric" in said
    assert "suite.yaml:10:" in said
    assert "1 problem found" in said


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("mini_choice", "t.acc_norm"),
        ("mini_choice", "t.error_rate"),
        ("mini_group", "t.acc"),
        ("mini_group", "t/mini_group::mini_inner.anything"),
        ("mini_own", "t.anything"),
        ("mini_generate", "t.exact_match@majority"),
        ("mini_generate", "t.latency_p95_s"),
    ],
)
def test_a_gate_on_what_may_be_there_is_left_to_the_gate(suite, task, metric):
    path = suite({"id": "t", "lm_eval": task}, gates=f"\ngates: {{rules: [{{metric: {metric}, at_least: 0.5}}]}}\n")
    assert main(["validate", "--level", "references", str(path)]) == 0


def test_variants_of_a_task_are_told_of_once(suite, capsys):
    path = suite(
        {"id": "t", "lm_eval": "mini_choice"},
        gates="\nmatrix: {tasks.t.num_fewshot: [0, 1]}\ngates: {rules: [{metric: t.ac, at_least: 0.5}]}\n",
    )
    assert main(["validate", "--level", "references", str(path)]) == 2
    assert "1 problem found" in capsys.readouterr().err
