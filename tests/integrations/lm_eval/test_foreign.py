"""lm-eval's own output opened as a record: its figures, its samples, and how it pairs with runs of ours."""

import json
import math
import re

import pytest

from evalharness.compare.records import compare_records
from evalharness.core.errors import NotComparableError, UsageError
from evalharness.record.foreign import open_record

SAMPLED = (
    "mini_choice",
    "mini_binary",
    "mini_mutual",
    "mini_generate",
    "mini_overlap",
    "mini_rolling",
    "mini_last",
    "mini_class",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory, peer):
    """Writes what lm-eval writes with `--log_samples --output_path`, by its own tracker; returns the result file."""
    from lm_eval.loggers import EvaluationTracker

    count = iter(range(100))

    def write(*tasks, model="EleutherAI/tiny", folder=None, samples=True, edit=None, **options):
        folder = folder or tmp_path_factory.mktemp(f"lm_eval_{next(count)}")
        tracker = EvaluationTracker(output_path=str(folder))
        tracker.general_config_tracker.log_experiment_args(
            model_source="hf",
            model_args=f"pretrained={model}",
            system_instruction=None,
            chat_template=None,
            fewshot_as_multiturn=False,
        )
        found = peer(*tasks, **options)
        if edit:
            edit(found)
        logged = found.pop("samples")
        found["lm_eval_version"] = __import__("importlib.metadata").metadata.version("lm-eval")
        tracker.save_results_aggregated(results=found, samples=logged if samples else None)
        for task, lines in logged.items() if samples else ():
            tracker.save_results_samples(task_name=task, samples=lines)
        (path,) = folder.glob("*/results_*.json")
        return path

    return write


@pytest.fixture(scope="module")
def all_tasks(written):
    return written(*SAMPLED)


def test_figures_are_lm_evals_own(all_tasks, compared):
    record = open_record(all_tasks)
    body = json.loads(all_tasks.read_text())
    for task in SAMPLED:
        theirs = compared.theirs(body["results"][task])
        ours = compared.figures(record, task)
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-6 if name == "brier_score" else 1e-9), (task, name)
    assert record.manifest.models.keys() == {"EleutherAI/tiny"}
    assert record.id.endswith(all_tasks.stem)
    assert record.manifest.notes == ()


def test_documents_count_once_however_many_filters(all_tasks):
    record = open_record(all_tasks)
    (summary,) = [t for t in record.manifest.tasks if t.id == "mini_generate"]
    assert summary.n_samples == 23
    figures = {r.metric: r.n for r in record.results if r.task == "mini_generate"}
    assert figures == {"exact_match@strict-match": 23, "exact_match@majority": 23}
    assert len(record.samples(task="mini_generate")) == 23


def test_the_samples_hold_what_was_asked_and_answered(all_tasks):
    record = open_record(all_tasks.parent.parent)
    row = next(record.iter_samples(task="mini_choice"))
    assert row.sample.prompt.endswith("Answer:")
    assert len(row.request.continuations) == len(row.response.loglikelihoods) == 3
    best = max(range(3), key=lambda i: row.response.loglikelihoods[i].total)
    assert row.response.answer == row.sample.choices[best].strip()
    assert row.sample.target in {choice.strip() for choice in row.sample.choices}
    assert next(record.iter_samples(task="mini_generate")).response.text


def test_a_document_asked_in_several_ways_has_each_answer_at_its_question(all_tasks):
    lines = [json.loads(line) for line in next(all_tasks.parent.glob("samples_mini_class_*")).read_text().splitlines()]
    record = open_record(all_tasks)
    rows = {(row.sample.id, row.request.repeat): row for row in record.iter_samples(task="mini_class")}
    assert len(rows) == 3 * len(lines)
    for line in lines:
        # lm-eval asks for a text, then for three likelihoods: the first and the last of them after the question.
        (text,), ((known, _),), ((alone, _),), ((answer, _),) = line["resps"]
        asked = [rows[str(line["doc_id"]), place] for place in range(3)]
        assert [row.request.kind for row in asked] == ["generate", "loglikelihood", "loglikelihood"]
        assert asked[0].response.text == text
        assert [x.total for x in asked[1].response.loglikelihoods] == [float(known), float(answer)]
        assert [x.total for x in asked[2].response.loglikelihoods] == [float(alone)]


@pytest.mark.parametrize(
    "task", ["mini_choice", "mini_binary", "mini_last", "mini_generate", "mini_overlap", "mini_class"]
)
def test_it_is_the_same_to_pair_as_a_run_of_ours(run, all_tasks, task):
    ours = run({"id": task, "lm_eval": task})
    theirs = open_record(all_tasks)
    (mine,) = [t for t in ours.manifest.tasks if t.id == task]
    (its,) = [t for t in theirs.manifest.tasks if t.id == task]
    assert dict(mine.identity) == dict(its.identity)
    signatures = [
        {r.metric: r.signature for r in record.results if r.task == task and r.signature.startswith("lm_eval|")}
        for record in (ours, theirs)
    ]
    assert signatures[0] == signatures[1]
    found = compare_records([theirs], ours, tasks=[task])
    assert found.of("figures")
    for figure in found.of("figures"):
        assert (figure.n_paired, figure.n_only_candidate, figure.n_only_baseline) == (23, 0, 0)
        # lm-eval writes the probabilities behind a Brier score with eight digits.
        assert figure.difference == pytest.approx(0, abs=1e-7 if figure.metric == "brier_score" else 1e-12)


def test_a_suites_other_name_for_the_task_is_found(run, all_tasks):
    ours = run({"id": "renamed", "lm_eval": "mini_choice"})
    found = compare_records([open_record(all_tasks)], ours, metrics=["acc"])
    assert {(f.task, f.baseline_task, f.n_paired) for f in found.of("figures")} == {("mini_choice", "renamed", 23)}


def test_two_outputs_compare_and_other_data_do_not(written, all_tasks):
    again = open_record(written("mini_choice", model="other/model"))
    first = open_record(all_tasks)
    found = compare_records([again], first)
    assert {f.metric for f in found.of("figures")} == {"acc", "acc_norm", "acc_bytes", "brier_score", "mcc"}
    assert {(f.model, f.baseline_model) for f in found.figures} == {("other/model", "EleutherAI/tiny")}
    fewer = open_record(written("mini_choice", limit=10))
    with pytest.raises(NotComparableError, match=r"tasks\[mini_choice\]\.identity\.data"):
        compare_records([fewer], first)
    shots = open_record(written("mini_choice", num_fewshot=2))
    with pytest.raises(
        NotComparableError, match=r"identity\.prompt.*--allow-different prompts".replace(".*", r"[\s\S]*")
    ):
        compare_records([shots], first)
    allowed = compare_records([shots], first, allow_different=["prompts"])
    assert {f.n_paired for f in allowed.of("figures")} == {23}
    assert allowed.differs == ("prompt",)


def test_an_aggregation_of_the_tasks_own_is_left_out_and_said(written):
    record = open_record(written("mini_own", "mini_choice"))
    assert {r.task for r in record.results} == {"mini_choice"}
    (note,) = record.manifest.notes
    assert "mini_own.length (only lm-eval can aggregate it)" in note
    with pytest.raises(UsageError, match="no figure that can be computed from its samples: mini_own"):
        open_record(written("mini_own"))


def test_a_figure_that_its_samples_do_not_give_is_left_out(written):
    def edit(found):
        found["results"]["mini_choice"]["acc,none"] += 0.125

    record = open_record(written("mini_choice", edit=edit))
    assert "acc" not in {r.metric for r in record.results}
    assert re.search(r"mini_choice\.acc \(its samples give .*, lm-eval says .*\)", record.manifest.notes[0])


def test_totals_alone_are_refused(written):
    path = written("mini_choice", samples=False)
    with pytest.raises(UsageError, match=r"has totals only, and no samples.*--log_samples --output_path"):
        open_record(path)


def test_lost_cut_and_foreign_samples_are_refused(written):
    path = written("mini_choice", "mini_binary")
    (samples,) = path.parent.glob("samples_mini_choice_*.jsonl")
    with pytest.raises(UsageError, match="name the result file beside it"):
        open_record(samples)
    whole = samples.read_text()
    samples.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(UsageError, match="is not whole: the hash of its samples"):
        open_record(path)
    samples.write_text(whole[:-20])
    with pytest.raises(UsageError, match=rf"{re.escape(samples.name)}:23: not a line of JSON"):
        open_record(path)
    samples.write_text('{"doc_id": 1}\n')
    with pytest.raises(UsageError, match="it has no arguments, resps, filter"):
        open_record(path)
    samples.unlink()
    with pytest.raises(UsageError, match="the samples of the task 'mini_choice' are missing"):
        open_record(path)


def test_what_is_no_record_and_no_result_file_is_said(tmp_path):
    path = tmp_path / "results_x.json"
    path.write_text("[]")
    with pytest.raises(UsageError, match="neither a record nor a result file of lm-eval's"):
        open_record(path)
    path.write_text("{")
    with pytest.raises(UsageError, match="cannot be read as a result file"):
        open_record(path)
    (tmp_path / "results_y.json").write_text("{}")
    with pytest.raises(UsageError, match="holds 2 result files of lm-eval's; name one of them"):
        open_record(tmp_path)
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        open_record("nothing", reports=tmp_path / "reports")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"nor does it hold results_….json"):
        open_record(tmp_path / "empty", reports=tmp_path / "reports")


def test_our_records_open_by_any_name(run):
    ours = run({"id": "choice", "lm_eval": "mini_choice"})
    reports = ours.folder.parent.parent
    for name in (ours.folder, ours.id, "latest", ours.id[:-2]):
        assert open_record(name, reports=reports).id == ours.id


def test_what_was_unpacked_is_gone_with_the_record(all_tasks):
    record = open_record(all_tasks)
    folder = record.folder
    assert folder.is_dir()
    del record
    assert not folder.exists()


def test_a_gate_decides_on_two_outputs_of_lm_evals(written, all_tasks):
    from evalharness.gate import evaluate_gates
    from evalharness.suite.schema import Gates

    worse = written("mini_choice", "mini_binary")
    gates = Gates.model_validate({"rules": [{"metric": "mini_choice.acc", "max_regression": 0.5}]})
    outcome = evaluate_gates(open_record(worse), gates, baseline=open_record(all_tasks))
    assert outcome.state == "pass"
    assert not math.isnan(outcome.verdicts[0].value)
