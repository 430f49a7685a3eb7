"""`execution.stop_when_decided`: a run that ends once its gates are decided, and the gate of its record."""

import asyncio
import json
from pathlib import Path

import pytest

import evalharness
from evalharness.core.errors import BudgetError, NotComparableError, SuiteError, UsageError
from evalharness.core.types import Response
from evalharness.gate import decide_looks, decide_record
from evalharness.models.fake import FakeModel
from evalharness.record import RunRegistry
from evalharness.runner.held import held_open, release
from evalharness.runner.progress import SilentProgress
from evalharness.suite.load import load_suite
from evalharness.suite.schema import Gates

SUITE = """\
version: 1
name: stops
models:
  bot: {backend: fake, reply: "yes"}
datasets:
  d: {path: d.jsonl}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}
execution: {stop_when_decided: true}
gates:
  rules:
    - {metric: ask.exact_match, at_least: 0.8}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(500, right=lambda i: i % 20)
    return tmp_path


def write(n, *, right, **more):
    """`n` rows of which those are answered rightly, by "yes", that `right` says."""
    rows = [
        {"id": str(i), "q": f"q{i}", "a": "yes" if right(i) else "no", **{k: v(i) for k, v in more.items()}}
        for i in range(n)
    ]
    Path("d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def run(text=SUITE, *, overrides=(), **options):
    Path("suite.yaml").write_text(text, "utf-8")
    return evalharness.run("suite.yaml", overrides=overrides, decide=decide_looks(), **options)


def looks(record):
    return record.manifest.execution["looks"]


def states(record):
    return [rule["state"] for rule in looks(record)["rules"]]


def test_a_clear_case_stops_at_the_first_look_and_says_what_it_saved(folder):
    record = run()
    found = looks(record)
    assert (found["planned"], found["made"], found["decided"]) == (5, 1, True)
    assert (found["n_requests"], found["n_saved"], found["n_requests_planned"]) == (100, 400, 500)
    assert found["rules"][0] | {"state": "pass", "look": 1, "n": 100} == found["rules"][0]
    assert record.manifest.complete
    assert any("stopped at look 1 of 5" in note and "80%" in note for note in record.manifest.notes)
    (entry,) = record.manifest.tasks
    assert (entry.n_samples, entry.n_requests) == (100, 100)
    assert record.results[0].n == 100
    ids = [int(row.sample.id) for row in record.iter_samples()]
    assert ids == sorted(ids)
    assert max(ids) > 400


def test_the_gate_of_the_record_decides_what_the_looks_decided(folder):
    record = run()
    outcome = decide_record(record)
    assert outcome.state == "pass"
    (verdict,) = outcome.verdicts
    assert verdict.reason == looks(record)["rules"][0]["reason"]
    assert verdict.alpha == looks(record)["rules"][0]["level"] < 1e-4
    assert (outcome.alpha, outcome.correction) == (0.05, "holm")


def test_a_rule_that_is_violated_stops_it_too(folder):
    write(500, right=lambda i: i % 2)
    record = run()
    assert states(record) == ["fail"]
    assert looks(record)["made"] < 5
    assert decide_record(record).exit_code == 1


def test_a_close_case_takes_all_samples_and_stays_open_at_the_gate(folder):
    # 0.84 of 500 at a limit of 0.8: p = 0.012 for one look, but what is spent is not there for the last one.
    write(500, right=lambda i: i % 25 > 3)
    text = SUITE.replace("true", "{looks: 4, spending: pocock, futility: false}")
    record = run(text.replace("0.8}", "0.81}"))
    assert (looks(record)["made"], looks(record)["n_saved"]) == (4, 0)
    assert states(record) == ["inconclusive"]
    outcome = decide_record(record)
    assert outcome.state == "inconclusive"
    assert "not decided by the last of 4 looks" in outcome.verdicts[0].reason
    # The same answers, asked as a whole: one look has the error for itself.
    whole = run(text.replace("{looks: 4, spending: pocock, futility: false}", "false").replace("0.8}", "0.81}"))
    assert "looks" not in whole.manifest.execution
    assert decide_record(whole).verdicts[0].p_value == pytest.approx(outcome.verdicts[0].p_value)


def test_a_hopeless_rule_is_given_up_and_is_no_failure(folder):
    write(2_000, right=lambda i: i % 5)  # at the limit
    record = run()
    found = looks(record)["rules"][0]
    assert (found["state"], found["given_up"]) == ("inconclusive", True)
    assert looks(record)["made"] < 5
    assert any("where 1 blocking rule was given up: " in note for note in record.manifest.notes)
    outcome = decide_record(record)
    assert outcome.exit_code == 4
    assert "no longer likely to pass" in outcome.verdicts[0].reason
    assert states(run(SUITE.replace("true", "{futility: false}"))) != ["pass"]
    assert looks(run(SUITE.replace("true", "{futility: false}")))["made"] == 5


def test_a_run_that_was_interrupted_looks_at_the_same_times(folder):
    write(500, right=lambda i: i % 9)
    text = SUITE.replace("0.8}", "0.83}")
    whole = run(text, reports="other")
    assert looks(whole)["made"] > 1
    for most in (40, 90):
        with pytest.raises(BudgetError):
            run(text, overrides=[f"execution.max_requests={most}"])
    record = run(text)
    assert looks(record) == looks(whole)
    assert record.manifest.execution["n_from_store"] == 130
    assert [row.sample.id for row in record.iter_samples()] == [row.sample.id for row in whole.iter_samples()]


class _Totals(SilentProgress):
    def __init__(self):
        self.n = 0

    def start(self, label, total, *, done=0):
        self.n += total


@pytest.mark.parametrize("cache", ["reuse", "refresh", "off"])
@pytest.mark.parametrize("answers", ["yes", "{}"])
def test_equal_questions_are_asked_once_whatever_part_they_are_in(folder, cache, answers):
    # With answers of their own the samples differ, and so do their parts.
    rows = [{"id": str(i), "q": f"q{i % 100}", "a": answers.format(i)} for i in range(400)]
    Path("d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    progress = _Totals()
    text = SUITE.replace("at_least: 0.8", "at_most: 0.0001" if answers == "{}" else "at_least: 0.9999")
    record = run(text.replace("true", "{futility: false}"), cache=cache, progress=progress)
    assert looks(record)["made"] == 5
    assert progress.n == record.manifest.execution["n_asked"] == 100
    assert record.manifest.tasks[0].n_requests == 400


def test_answers_that_failed_count_as_the_gates_say(folder, monkeypatch):
    whole = FakeModel.answer

    async def answer(self, request):
        if int(request.sample_id) % 10 == 3:
            return Response(request.key, status="error", error="down")
        return await whole(self, request)

    monkeypatch.setattr(FakeModel, "answer", answer)
    text = SUITE.replace("true}", "true, on_error: exclude}")
    left_out, worst = (run(text.replace("gates:", f"gates:\n  missing: {m}")) for m in ("exclude", "worst_case"))
    first, second = (looks(record)["rules"][0] for record in (left_out, worst))
    assert first["n"] < 100 * looks(left_out)["made"]
    assert second["p_pass"] > 10 * first["p_pass"]
    assert decide_record(worst).state == second["state"]


def test_repeats_of_a_sample_stay_together(folder):
    record = run(SUITE.replace('{{ q }}",', '{{ q }}", generate: {repeats: 3, temperature: 1},'))
    assert looks(record)["n_requests_by_look"] == [300]
    (entry,) = record.manifest.tasks
    assert (entry.n_samples, entry.n_requests) == (100, 300)


def test_all_models_have_the_same_order_and_a_stopped_baseline_pairs_completely(folder):
    two = SUITE.replace('"yes"}', '"yes"}\n  other: {backend: fake, reply: "no"}')
    record = run(two.replace("0.8}", "0.8, model: bot}"))
    ids = {model: [row.sample.id for row in record.iter_samples(model=model)] for model in ("bot", "other")}
    assert ids["bot"] == ids["other"]
    first = run()
    with RunRegistry.open(reports=folder / "reports") as runs:
        runs.promote(first.id)
    paired = SUITE.replace("gates:", "gates:\n  baseline: stops@production").replace(
        "at_least: 0.8", "non_inferior: {margin: 0.2}"
    )
    second = run(paired, overrides=["models.bot.reply=YES "])
    outcome = decide_record(second)
    assert outcome.pairings[0].n_only_current == outcome.pairings[0].n_only_baseline == 0
    assert outcome.baseline_id == first.id


def test_a_baseline_of_all_samples_is_paired_with_those_that_were_asked(folder):
    whole = run(SUITE.replace("true", "false"))
    with RunRegistry.open(reports=folder / "reports") as runs:
        runs.promote(whole.id)
    paired = SUITE.replace("gates:", "gates:\n  baseline: stops@production").replace(
        "at_least: 0.8", "non_inferior: {margin: 0.1}"
    )
    record = run(paired)
    assert (looks(record)["made"], states(record)) == (2, ["pass"])
    outcome = decide_record(record)
    assert outcome.state == "pass"
    assert (outcome.pairings[0].n_paired, outcome.pairings[0].n_only_baseline) == (200, 300)
    # Samples that were not asked are not missing.
    worst = run(paired.replace("gates:", "gates:\n  missing: worst_case"))
    assert decide_record(worst).state == "pass"
    assert looks(worst)["rules"][0]["p_pass"] == looks(record)["rules"][0]["p_pass"]


def test_another_model_of_the_run_can_be_the_baseline(folder):
    text = SUITE.replace('"yes"}', '"yes"}\n  old: {backend: fake, reply: "no"}').replace(
        "gates:", "gates:\n  baseline: {model: old}"
    )
    record = run(text.replace("at_least: 0.8", "superior: true"))
    assert (looks(record)["made"], states(record)) == (1, ["pass"])
    assert [rule["model"] for rule in looks(record)["rules"]] == ["bot"]
    assert decide_record(record).verdicts[0].reason == looks(record)["rules"][0]["reason"]


def test_a_baseline_on_other_data_is_refused_before_anything_is_asked(folder):
    with RunRegistry.open(reports=folder / "reports") as runs:
        runs.promote(run().id)
    write(500, right=lambda i: i % 3)
    paired = SUITE.replace("gates:", "gates:\n  baseline: stops@production").replace(
        "at_least: 0.8", "max_regression: 0.02"
    )
    (folder / "reports" / "responses.sqlite3").unlink()
    with pytest.raises(NotComparableError, match="data"):
        run(paired)


def test_a_rule_on_a_group_has_the_looks_of_the_group(folder):
    write(600, right=lambda i: i % 20, language=lambda i: "de" if i % 3 == 0 else "en")
    text = SUITE.replace("path: d.jsonl", "path: d.jsonl, groups: [language]").replace(
        "at_least: 0.8", 'at_least: 0.8, group: "language=de"'
    )
    record = run(text)
    (rule,) = looks(record)["rules"]
    of_group = sum(row.sample.groups["language"] == "de" for row in record.iter_samples())
    assert (rule["group"], rule["n"]) == ("language=de", of_group)
    assert rule["fractions"][looks(record)["made"] - 1] == pytest.approx(of_group / 200)
    assert decide_record(record).state == "pass"


def test_all_blocking_rules_have_to_be_decided_and_warnings_do_not(folder):
    text = (
        SUITE
        + "    - {metric: ask.output_chars, at_least: 2}\n    - {metric: ask.exact_match, at_least: 0.95, tier: warn}\n"
    )
    record = run(text)
    assert [rule["metric"] for rule in looks(record)["rules"]] == ["exact_match", "output_chars"]
    assert states(record) == ["pass", "pass"]
    assert [v.tier for v in decide_record(record).verdicts] == ["block", "block", "warn"]


def test_other_gates_on_a_stopped_record_may_use_what_the_boundary_leaves(folder):
    record = run()
    other = Gates.model_validate({"rules": [{"metric": "ask.exact_match", "at_least": 0.85}]})
    (verdict,) = decide_record(record, gates=other).verdicts
    # 0.95 of 100: a gate of one look would pass it (p = 0.002), the first of five must not.
    assert verdict.state == "inconclusive"
    assert verdict.alpha < 1e-4


def test_a_record_that_is_scored_again_keeps_its_looks(folder):
    record = run()
    again = evalharness.score(record, "suite.yaml")
    assert looks(again) == looks(record)
    assert decide_record(again).verdicts[0].alpha < 1e-4


def test_without_what_decides_it_says_how_to_have_it(folder):
    Path("suite.yaml").write_text(SUITE, "utf-8")
    with pytest.raises(UsageError, match=r"decide=evalharness\.gate\.decide_looks"):
        evalharness.run("suite.yaml")
    assert not (folder / "reports" / "responses.sqlite3").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{stop_when_decided: true}", "{stop_when_decided: true, mode: batch}", "does not go with mode: batch"),
        ("{stop_when_decided: true}", "{stop_when_decided: soon}", "neither true nor false"),
        ("{stop_when_decided: true}", "{stop_when_decided: {looks: 1}}", "greater than or equal to 2|at least 2"),
        ("gates:\n", "gates:\n  decide_on: point\n", "needs decide_on: interval"),
        ("at_least: 0.8", "at_least: 0.8, tier: warn", "needs a rule to decide"),
    ],
)
def test_what_does_not_go_with_it_is_refused_with_its_place(folder, old, new, message):
    text = SUITE.replace(old, new)
    with pytest.raises(SuiteError, match=message) as caught:
        run(text)
    assert "suite.yaml:" in str(caught.value)


def test_it_can_be_switched_off_from_the_command_line(folder):
    Path("suite.yaml").write_text(SUITE, "utf-8")
    loaded = load_suite("suite.yaml", overrides=["execution.stop_when_decided=false"])
    assert loaded.suite.execution.stop_when_decided is None
    assert load_suite("suite.yaml").suite.execution.stop_when_decided.looks == 5


def test_judges_are_asked_about_the_answers_that_there_are(folder):
    judge = '  judge: {backend: fake, reply: "{\\"reason\\": \\"r\\", \\"score\\": 4}"}\n'
    text = SUITE.replace("datasets:", f"{judge}datasets:").replace(
        "metrics: [exact_match]}",
        "metrics: [exact_match, {llm_judge: {model: judge, rubric: 'Good? {{ answer }}', scale: [1, 5]}}]}",
    )
    record = run(text)
    assert looks(record)["made"] == 1
    assert record.manifest.execution["judging"]["n_requests"] == 100
    assert {result.metric: result.n for result in record.results}["llm_judge"] == 100


JUDGED = """\
version: 1
name: judged
models:
  bot: {backend: fake, reply: "{{ 'good' if prompt.split(' ')[1]|int % 20 else 'bad' }} {{ prompt }}"}
  judge: {backend: fake, reply: '{"reason": "r", "score": {{ 5 if "good" in prompt else 1 }}}'}
datasets:
  d: {path: d.jsonl}
tasks:
  - {id: ask, dataset: d, prompt: "say {{ q[1:] }}", model: bot, metrics: [
      {llm_judge: {model: judge, rubric: "Is it right? {{ answer }}", scale: [1, 5]}}]}
execution: {stop_when_decided: true}
gates:
  rules:
    - {metric: ask.llm_judge, at_least: 4.0}
"""


@pytest.mark.parametrize("cache", ["reuse", "off"])
def test_a_rule_on_a_judges_figure_asks_the_judge_after_every_part(folder, cache):
    progress = _Totals()
    record = run(JUDGED.replace("4.0", "4.6"), cache=cache, progress=progress)
    found = looks(record)
    assert found["made"] > 2
    (rule,) = found["rules"]
    assert (rule["metric"], rule["state"]) == ("llm_judge", "pass")
    n = found["n_requests"]
    assert rule["n"] == n == record.manifest.execution["judging"]["n_requests"]
    # Every verdict was asked for once, whether or not there is a store.
    assert progress.n == 2 * n
    assert record.manifest.execution["judging"]["n_asked"] == n
    score = next(result for result in record.results if result.metric == "llm_judge")
    assert score.n == n
    bad = sum(row.response.text.startswith("bad") for row in record.iter_samples())
    assert score.value == pytest.approx((5 * (n - bad) + bad) / n)
    outcome = decide_record(record)
    assert (outcome.state, outcome.verdicts[0].reason) == ("pass", rule["reason"])


def test_a_judge_that_says_no_stops_the_run_too(folder):
    record = run(JUDGED.replace("4.0", "4.95"))
    assert states(record) != ["pass"]
    assert looks(record)["n_saved"] > 0


PAIRED = """\
version: 1
name: judged
models:
  long: {backend: fake, reply: "{{ prompt }}{% if prompt|length % 2 %} and more{% endif %}"}
  short: {backend: fake, reply: "{{ prompt[:1] }}"}
  judge: {backend: python, function: "judge:judge"}
datasets:
  d: {path: d.jsonl}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}", metrics: [{llm_judge: {model: judge, rubric: Which?, against: short}}]}
execution: {stop_when_decided: true}
gates:
  rules:
    - {metric: ask.llm_judge, at_least: 0.6, model: long}
"""
JUDGE = """\
import json, re

def judge(prompt):
    texts = dict(re.findall(r"<<<begin \\w+ ANSWER ([AB])>>>\\n(.*?)\\n<<<end", prompt[1]["content"], re.S))
    return json.dumps({"reason": "longer", "better": "A" if len(texts["A"]) > len(texts["B"]) else "B"})
"""


def test_judged_pairs_are_looked_at_with_the_model_that_they_are_against(folder):
    Path("judge.py").write_text(JUDGE, "utf-8")
    record = run(PAIRED, allow_code=True)
    (rule,) = looks(record)["rules"]
    assert (rule["model"], rule["state"]) == ("long", "pass")
    # Both models were asked about the samples of the part; each pair of answers was judged in both orders.
    assert looks(record)["n_requests"] == 2 * rule["n"] == record.manifest.execution["judging"]["n_requests"]
    assert looks(record)["n_saved"] > 0


def test_judges_that_no_rule_waits_for_are_asked_once_at_the_end(folder, monkeypatch):
    from evalharness.runner import judging

    calls, whole = [], judging.ask_judges

    async def counted(tasks, judgements, ask, **options):
        calls.append(options)
        return await whole(tasks, judgements, ask, **options)

    monkeypatch.setattr(judging, "ask_judges", counted)
    record = run(JUDGED + "    - {metric: ask.output_chars, at_least: 2}\n")
    assert calls == [{"whole": False}] * looks(record)["made"] + [{}]
    calls.clear()
    run(JUDGED.replace("ask.llm_judge, at_least: 4.0", "ask.output_chars, at_least: 2"))
    assert calls == [{}]


class _Counting:
    def __init__(self):
        self.opened = self.closed = 0

    async def open(self):
        self.opened += 1

    async def close(self):
        self.closed += 1


@pytest.mark.parametrize(("heavy", "opened"), [((), 1), (("a",), 1), (("a", "b"), 3)])
def test_models_stay_open_between_parts_unless_they_share_a_machine(heavy, opened):
    async def parts():
        models = {"a": _Counting(), "b": _Counting()}
        held = held_open(models, heavy=frozenset(heavy))
        for _ in range(3):
            for model in held.values():
                await model.open()
                await model.close()
        await release(held)
        return models["a"]

    model = asyncio.run(parts())
    assert (model.opened, model.closed) == (opened, opened)


def test_a_rule_on_the_point_waits_for_the_end(folder):
    record = run(SUITE + "    - {metric: ask.error_rate, at_most: 0, decide_on: point}\n")
    assert [rule["metric"] for rule in looks(record)["rules"]] == ["exact_match"]
    assert looks(record)["made"] == 1
    outcome = decide_record(record)
    assert [verdict.state for verdict in outcome.verdicts] == ["pass", "pass"]


PROBED = """\
version: 1
name: stops
models:
  bot: {backend: python, function: "shouts:answer"}
datasets:
  d: {path: d.jsonl, id: id}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}
  - {id: robust, probe: robustness, of: ask, perturbations: [{case: upper}]}
execution: {stop_when_decided: {looks: 5}}
gates:
  rules:
    - {metric: robust.exact_match_drop, at_most: 0.1}
    - {metric: robust.flip_rate, at_most: 0.2}
"""


@pytest.mark.parametrize(("share", "state"), [(0.0, "pass"), (0.5, "fail")])
def test_a_probe_is_asked_part_by_part_with_all_variants_of_a_row_together(folder, share, state):
    """A model that half of its shouted questions throw off course is stopped as well as one that minds none."""
    write(400, right=lambda i: True, mind=lambda i: (i * 7919 % 100) / 100 < share)
    Path("shouts.py").write_text(
        "import json, pathlib\n"
        "rows = [json.loads(line) for line in pathlib.Path('d.jsonl').read_text().splitlines()]\n"
        "minds = {r['q'].upper() for r in rows if r['mind']}\n"
        "def answer(prompt):\n"
        "    return 'no' if prompt in minds and prompt.isupper() else 'yes'\n"
    )
    record = run(PROBED, allow_code=True)
    found = looks(record)
    # One rule that fails decides a run, whatever the other would have become.
    assert states(record) == ["pass", "pass"] if state == "pass" else states(record)[0] == "fail"
    assert found["made"] < 5
    assert found["n_saved"] > 0
    asked = {}
    for row in record.iter_samples(task="robust"):
        asked.setdefault(row.sample.cluster, set()).add(row.sample.groups["perturbation"])
    assert set(map(frozenset, asked.values())) == {frozenset({"original", "case_upper"})}
    assert len(asked) < 400
    # The looks saw what the record says, and the gate of the record decides as they did.
    for rule, name in zip(found["rules"], ("exact_match_drop", "flip_rate"), strict=True):
        (figure,) = [r for r in record.results if (r.task, r.metric, r.group) == ("robust", name, None)]
        assert figure.value == pytest.approx(share, abs=0.12)
        assert rule["n"] in (len(asked), 2 * len(asked))
    outcome = decide_record(record)
    assert [verdict.state for verdict in outcome.verdicts] == states(record)
