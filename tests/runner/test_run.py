"""A run from its file to its sealed record, on scripted models."""

import json
import shlex
import sqlite3
from pathlib import Path

import pytest

import evalharness
from evalharness.core.errors import DataError, ModelError, NotComparableError, SuiteError, UsageError
from evalharness.runner.store import ResponseStore

SUITE = """\
version: 1
name: demo
models:
  echo: {backend: fake, reply: "{{ prompt }}"}
datasets:
  lines:
    path: lines.jsonl
    groups: [language]
tasks:
  - id: copy
    dataset: lines
    prompt: "{{ question }}"
    reference: "{{ answer }}"
    metrics: [exact_match, bleu, rouge1]
  - id: pick
    dataset: lines
    prompt: "{{ question }}"
    choices: ["left", "right"]
    target: "left"
    metrics: [accuracy, mcc, confusion_matrix]
  - id: fluency
    dataset: lines
    perplexity: "{{ answer }}"
    metrics: [word_perplexity]
"""
ROWS = [
    {"id": "a", "question": "one two three four", "answer": "one two three four", "language": "en"},
    {"id": "b", "question": "eins zwei drei vier", "answer": "eins zwei drei fünf", "language": "de"},
    {"id": "c", "question": "uno due tre quattro", "answer": "uno due tre quattro", "language": "it"},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def value(record, task, metric, group=None):
    return next(r for r in record.results if (r.task, r.metric, r.group) == (task, metric, group))


def test_a_run_leaves_a_sealed_record_with_figures_samples_and_provenance(folder):
    record = evalharness.run("suite.yaml")
    record.verify()
    assert value(record, "copy", "exact_match").value == pytest.approx(2 / 3)
    assert value(record, "copy", "exact_match", "language=de").value == 0.0
    assert {r.task for r in record.results} == {"copy", "pick", "fluency"}
    frame = record.to_pandas()
    assert {"task", "model", "metric", "value", "ci_low", "ci_high", "n"} <= set(frame.columns)
    samples = record.samples()
    assert len(samples) == 9
    assert list(samples[samples.task == "copy"].text) == [row["question"] for row in ROWS]
    manifest = record.manifest
    assert manifest.suite_name == "demo"
    assert manifest.datasets["lines"]["n_rows"] == 3
    assert manifest.execution["n_asked"] == 9
    assert manifest.complete
    assert Path("reports/runs", manifest.id, "checksums.sha256").is_file()


def test_the_same_answers_give_the_same_figures_and_intervals(folder):
    first, second = evalharness.run("suite.yaml"), evalharness.run("suite.yaml", cache="off")

    def stable(record):
        return {
            (r.task, r.metric, r.group): (r.totals, r.value, r.ci_low, r.ci_high)
            for r in record.results
            if "latency" not in r.metric and r.value == r.value
        }

    assert len(stable(first)) > 20
    assert repr(stable(first)) == repr(stable(second))


def test_a_second_run_asks_nothing(folder):
    evalharness.run("suite.yaml")
    again = evalharness.run("suite.yaml")
    assert again.manifest.execution["n_asked"] == 0
    assert again.manifest.execution["n_from_store"] == 9
    assert again.samples().from_store.all()


def test_a_changed_prompt_or_model_asks_again_and_a_changed_metric_does_not(folder):
    evalharness.run("suite.yaml")
    suite = Path("suite.yaml")
    suite.write_text(SUITE.replace("[exact_match, bleu, rouge1]", "[contains]"), encoding="utf-8")
    assert evalharness.run("suite.yaml").manifest.execution["n_asked"] == 0
    changed = evalharness.run("suite.yaml", overrides=["models.echo.reply=nothing"])
    assert changed.manifest.execution["n_asked"] == 9
    longer = evalharness.run("suite.yaml", overrides=["tasks.copy.generate={max_tokens: 7}"])
    assert longer.manifest.execution["n_asked"] == 3


def test_the_command_that_a_report_names_makes_the_same_run_again(folder):
    from evalharness.cli.main import main
    from evalharness.report.facts import repeat_command

    record = evalharness.run("suite.yaml", overrides=["models.echo.reply=two words", "seed=3"], limit=2)
    command = repeat_command(record.manifest)
    assert command == "evalharness run suite.yaml --set 'models.echo.reply=two words' --set seed=3 --limit 2"
    main(shlex.split(command)[1:])
    (again,) = [
        found for path in Path("reports/runs").iterdir() if (found := evalharness.Record.open(path)).id != record.id
    ]
    assert again.manifest.suite_digest == record.manifest.suite_digest
    assert again.manifest.seed == 3
    assert again.manifest.execution["n_asked"] == 0
    assert again.manifest.execution["limit"] == 2
    trusted = evalharness.run("suite.yaml", allow_code=True)
    assert repeat_command(trusted.manifest) == "evalharness run suite.yaml --allow-code"


@pytest.mark.parametrize(("mode", "asked", "kept"), [("refresh", 9, 9), ("off", 9, 0)])
def test_the_store_can_be_refreshed_or_left_alone(folder, mode, asked, kept):
    record = evalharness.run("suite.yaml", cache=mode)
    assert record.manifest.execution["n_asked"] == asked
    assert evalharness.run("suite.yaml").manifest.execution["n_from_store"] == kept


def test_limit_shrinks_every_task_and_says_so(folder):
    record = evalharness.run("suite.yaml", limit=2)
    assert {entry.n_samples for entry in record.manifest.tasks} == {2}
    assert any("--limit" in note for note in record.manifest.notes)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_leaves_nothing_is_refused(folder, limit):
    with pytest.raises(evalharness.EvalHarnessError, match=f"limit is {limit}: .* 1 or more"):
        evalharness.run("suite.yaml", limit=limit)


def test_repeats_are_asked_apart_and_scored_as_one_sample(folder):
    record = evalharness.run("suite.yaml", overrides=["tasks.copy.generate={repeats: 3, temperature: 0.5}"])
    found = value(record, "copy", "exact_match")
    assert found.n == 3
    assert len(record.samples(task="copy")) == 9
    assert sorted(record.samples(task="copy").repeat.unique()) == [0, 1, 2]


def test_a_record_is_scored_again_without_asking(folder, monkeypatch):
    record = evalharness.run("suite.yaml")
    Path("new.yaml").write_text(SUITE.replace("[exact_match, bleu, rouge1]", "[chrf, token_f1]"), encoding="utf-8")
    Path("lines.jsonl").unlink()
    monkeypatch.setattr("evalharness.runner.build.make_models", None)
    scored = evalharness.score(record, "new.yaml")
    assert {r.metric for r in scored.results if r.task == "copy"} >= {"chrf", "token_f1"}
    assert scored.manifest.parent == record.manifest.id
    assert value(scored, "pick", "accuracy") == value(record, "pick", "accuracy")


def test_scoring_again_reads_answers_anew(folder):
    record = evalharness.run("suite.yaml", overrides=["tasks.copy.extract='nothing (here)'"])
    assert value(record, "copy", "unparsed_rate").value == 1.0
    scored = evalharness.score(record, "suite.yaml")
    assert value(scored, "copy", "exact_match").value == pytest.approx(2 / 3)
    assert value(scored, "copy", "unparsed_rate").value == 0.0


def test_scoring_again_refuses_another_question_and_names_the_field(folder):
    record = evalharness.run("suite.yaml")
    Path("new.yaml").write_text(SUITE.replace('"{{ question }}"', '"{{ question }}!"'), encoding="utf-8")
    with pytest.raises(NotComparableError, match="prompt is"):
        evalharness.score(record, "new.yaml")
    Path("new.yaml").write_text(SUITE.replace("id: copy", "id: copi"), encoding="utf-8")
    with pytest.raises(UsageError, match="did you mean 'copy'"):
        evalharness.score(record, "new.yaml")


def test_what_is_wrong_is_said_before_anything_is_asked(folder):
    Path("suite.yaml").write_text(SUITE.replace("bleu", "bleuu"), encoding="utf-8")
    with pytest.raises(SuiteError, match=r"suite\.yaml:14:28 .*did you mean 'bleu'"):
        evalharness.run("suite.yaml")
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    with Path("lines.jsonl").open("a") as file:
        file.write('{"id": "d", "question": "no answer here", "language": "en"}\n{"id": "e"')
    with pytest.raises(DataError) as caught:
        evalharness.run("suite.yaml")
    assert "lines.jsonl:5" in str(caught.value)
    assert not Path("reports/runs").exists()


def test_a_row_that_does_not_fit_its_task_is_named_with_its_line(folder):
    with Path("lines.jsonl").open("a") as file:
        file.write('{"id": "d", "question": "no answer here", "language": "en"}\n')
    with pytest.raises(DataError, match=r"lines\.jsonl:4.*answer"):
        evalharness.run("suite.yaml")


def test_failed_samples_are_asked_again_next_time_and_the_others_are_not(folder):
    Path("suite.yaml").write_text(
        SUITE.split("  - id: pick")[0].replace(
            "{backend: fake", "{backend: python, function: 'half:answer'}\n  old: {backend: fake"
        ),
        encoding="utf-8",
    )
    Path("half.py").write_text(
        "def answer(prompt):\n    if 'eins' in prompt:\n        raise ValueError('no German')\n    return prompt\n"
    )
    first = evalharness.run("suite.yaml", allow_code=True, overrides=["tasks.copy.model=echo"])
    assert first.manifest.tasks[0].states == {"ok": 2, "error": 1}
    assert not first.manifest.complete
    bad = first.samples()[lambda f: f.status == "error"].iloc[0]
    assert "no German" in bad.error
    found = value(first, "copy", "exact_match")
    assert (found.n, found.n_failed, found.value) == (2, 1, 1.0)
    second = evalharness.run("suite.yaml", allow_code=True, overrides=["tasks.copy.model=echo"])
    assert second.manifest.execution["n_asked"] == 1


def test_a_damaged_store_entry_is_asked_again(folder):
    evalharness.run("suite.yaml")
    store = sqlite3.connect("reports/responses.sqlite3")
    with store:
        store.execute("UPDATE responses SET payload = x'00' WHERE rowid = (SELECT min(rowid) FROM responses)")
    store.close()
    assert evalharness.run("suite.yaml").manifest.execution["n_asked"] == 1


def test_damaged_answers_are_asked_again_and_the_record_says_so(folder):
    evalharness.run("suite.yaml")
    connection = sqlite3.connect("reports/responses.sqlite3")
    connection.execute("UPDATE responses SET checksum = x'00' WHERE rowid <= 2")
    connection.commit()
    connection.close()
    again = evalharness.run("suite.yaml")
    assert (again.manifest.execution["n_asked"], again.manifest.execution["n_damaged"]) == (2, 2)
    assert "2 stored answers were damaged (wrong checksum): set aside, and asked again" in again.manifest.notes
    assert evalharness.run("suite.yaml").manifest.execution["n_asked"] == 0


def test_the_store_files_answers_under_what_was_asked(folder):
    evalharness.run("suite.yaml")
    with ResponseStore.open("reports/responses.sqlite3") as store:
        assert {name: tally.n_entries for name, tally in store.stats().by_model.items()} == {"fake": 9}


def test_a_run_that_was_stopped_and_goes_on_says_what_it_sent_again(folder, monkeypatch):
    from evalharness.models.fake import FakeModel

    whole = FakeModel.answer

    async def stop_at_the_fifth(self, request):
        if next(counter) == 4:
            raise ModelError("gone")
        return await whole(self, request)

    counter = iter(range(100))
    monkeypatch.setattr(FakeModel, "answer", stop_at_the_fifth)
    with pytest.raises(ModelError):
        evalharness.run("suite.yaml", overrides=["execution.concurrency=1"])
    monkeypatch.setattr(FakeModel, "answer", whole)
    record = evalharness.run("suite.yaml")
    assert record.manifest.execution["n_from_store"] == 4
    assert record.manifest.execution["n_sent_again"] == 1
    assert any(note.startswith("1 requests were sent again") for note in record.manifest.notes)
    assert [path.name for path in Path("reports").iterdir() if path.name.startswith(".")] == []
    assert evalharness.run("suite.yaml").manifest.execution["n_sent_again"] == 0
