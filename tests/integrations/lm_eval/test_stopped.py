"""`execution.stop_when_decided` with lm-eval's tasks: document by document, at the figures that lm-eval gives them."""

import json

import pytest

import evalharness
from evalharness.core.errors import UsageError
from evalharness.gate import decide_looks, decide_record
from evalharness.record import RunRegistry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

BASE = """
test_split: test
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/{data}.jsonl}}
  cache_dir: {folder}/cache
metadata: {{version: 1.0}}
"""
SAYS = """
task: {name}
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"]}}
metric_list:
  - {{metric: exact_match}}
  - {{metric: bleu}}
"""
CHOOSES = """
task: {name}
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{label}}}}"
doc_to_choice: ["no", "yes"]
metric_list:
  - {{metric: acc}}
  - {{metric: mcc}}
"""
GROUP = """
group: both
task: [says, more]
aggregate_metric_list: [{metric: exact_match, weight_by_size: true}]
"""
SUITE = """
version: 1
name: stopped
models:
  bot: {{backend: fake, reply: "yes"}}
tasks:
  - {{id: t, lm_eval: {task}, include_path: {folder}}}
execution: {{stop_when_decided: {looks}}}
gates:
  rules:
    - {{metric: {metric}, {rule}}}
"""
N = 300


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped_tasks")
    for data, every in (("often", 20), ("seldom", 4)):
        rows = [
            {"question": f"{data} q{i}", "answer": "yes" if i % every else "no", "label": i % 2, "topic": f"t{i % 3}"}
            for i in range(N)
        ]
        (folder / f"{data}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name, data, text in (("says", "often", SAYS), ("more", "seldom", SAYS), ("chooses", "often", CHOOSES)):
        written = BASE.format(folder=folder, data=data) + text.format(name=name)
        (folder / f"{name}.yaml").write_text(written, encoding="utf-8")
    (folder / "both.yaml").write_text(GROUP, encoding="utf-8")
    return folder


@pytest.fixture
def run(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def go(task="says", metric="t.exact_match", rule="at_least: 0.8", looks="true", change=lambda text: text):
        text = SUITE.format(folder=tasks, task=task, metric=metric, rule=rule, looks=looks)
        (tmp_path / "suite.yaml").write_text(change(text), encoding="utf-8")
        return evalharness.run("suite.yaml", decide=decide_looks())

    return go


def looks(record):
    return record.manifest.execution["looks"]


def figure(record, task, name):
    return next(r for r in record.results if (r.task, r.metric, r.group) == (task, name, None))


def test_a_clear_case_stops_early_with_the_figure_of_what_was_asked(run):
    record = run()
    made, n = looks(record)["made"], looks(record)["n_requests"]
    assert (made, n, looks(record)["n_saved"]) == (2, 120, 180)
    rows = list(record.iter_samples())
    assert len(rows) == len({row.sample.id for row in rows}) == n
    assert max(int(row.sample.id) for row in rows) > 240
    right = sum(row.sample.fields["doc"]["answer"] == "yes" for row in rows) / n
    found = figure(record, "t", "exact_match")
    assert (found.n, found.value) == (n, pytest.approx(right))
    assert figure(record, "t", "output_chars").n == n
    outcome = decide_record(record)
    assert outcome.state == "pass"
    assert outcome.verdicts[0].reason == looks(record)["rules"][0]["reason"]


def test_a_run_that_is_not_decided_has_the_figures_of_a_whole_one(run):
    undecided = run(metric="t.bleu", rule="at_least: 0.0001", looks="{futility: false, looks: 3}")
    assert looks(undecided)["n_saved"] == 0
    whole = run(looks="false")
    for name in ("exact_match", "bleu", "output_chars"):
        assert figure(undecided, "t", name) == figure(whole, "t", name)


def test_a_group_is_decided_on_the_documents_of_all_its_tasks(run):
    record = run(task="both", rule="at_least: 0.7")
    (rule,) = looks(record)["rules"]
    assert (rule["task"], rule["state"], looks(record)["made"]) == ("t", "pass", 1)
    assert rule["n"] == figure(record, "t", "exact_match").n == 120
    assert {r.n for r in record.results if r.metric == "exact_match" and r.task != "t"} == {60}
    member = run(task="both", metric="t/more.exact_match", rule="at_least: 0.95", looks="{futility: false}")
    assert looks(member)["rules"][0]["state"] == "fail"
    assert looks(member)["rules"][0]["task"] == "t/more"


def test_operational_figures_of_its_requests_can_be_looked_at(run):
    record = run(metric="t.output_chars", rule="at_least: 2")
    assert (looks(record)["rules"][0]["state"], looks(record)["rules"][0]["n"]) == ("pass", 60)


def test_a_baseline_is_paired_with_the_documents_that_were_asked(run, tmp_path):
    whole = run(looks="false")
    with RunRegistry.open(reports=tmp_path / "reports") as runs:
        runs.promote(whole.id)
    record = run(
        rule="non_inferior: {margin: 0.2}",
        change=lambda text: text.replace("gates:", "gates:\n  baseline: stopped@production"),
    )
    assert (looks(record)["rules"][0]["state"], looks(record)["n_saved"] > 0) == ("pass", True)
    outcome = decide_record(record)
    assert outcome.state == "pass"
    assert outcome.pairings[0].n_paired == looks(record)["rules"][0]["n"]
    assert outcome.pairings[0].n_only_current == 0


def test_a_rule_on_a_group_of_documents(run):
    record = run(
        rule='at_least: 0.7, group: "topic=t1"', change=lambda text: text.replace("says,", "says, groups: [topic],")
    )
    (rule,) = looks(record)["rules"]
    of_group = sum(row.sample.groups["topic"] == "t1" for row in record.iter_samples())
    assert (rule["group"], rule["n"]) == ("topic=t1", of_group)
    assert rule["fractions"][looks(record)["made"] - 1] == pytest.approx(of_group / 100)


def test_lm_evals_tasks_and_own_ones_stop_together(run, tmp_path):
    rows = [{"id": str(i), "q": f"q{i}", "a": "yes" if i % 25 > 3 else "no"} for i in range(500)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    own = (
        "datasets: {d: {path: d.jsonl}}\ntasks:\n"
        '  - {id: own, dataset: d, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}'
    )
    record = run(
        change=lambda text: text.replace("tasks:", own) + "    - {metric: own.exact_match, at_least: 0.7}\n",
    )
    made = looks(record)["made"]
    assert made < 5
    assert [rule["state"] for rule in looks(record)["rules"]] == ["pass", "pass"]
    assert figure(record, "t", "exact_match").n == made * N // 5
    assert figure(record, "own", "exact_match").n == made * 100


def test_what_is_made_of_all_documents_has_limits_but_no_baseline(run, tmp_path):
    record = run(task="chooses", metric="t.mcc", rule="at_least: 0.9")
    assert looks(record)["rules"][0]["state"] != "pass"
    assert looks(record)["rules"][0]["p_pass"] is not None
    with RunRegistry.open(reports=tmp_path / "reports") as runs:
        runs.promote(record.id)
    with pytest.raises(UsageError, match=r"t\.mcc of all documents together.*at_least"):
        run(
            task="chooses",
            metric="t.mcc",
            rule="max_regression: 0.1",
            change=lambda text: text.replace("gates:", "gates:\n  baseline: stopped@production"),
        )
