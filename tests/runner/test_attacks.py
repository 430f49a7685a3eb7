"""A task that attacks a classifier, from the suite to the record and its gate: no network, no weights."""

import json
from pathlib import Path

import pytest
import yaml

import evalharness
from evalharness.cli.main import main
from evalharness.compare.records import compare_records
from evalharness.core.types import Response
from evalharness.runner.attacking import attack_sample
from evalharness.runner.forecast import forecast
from evalharness.runner.rescore import score

# A classifier that hangs on one word.
CODE = """
ASKED = []

def label(prompt):
    ASKED.append(prompt)
    if "boom" in prompt:
        raise ValueError("no answer for boom")
    p = 0.9 if "great" in prompt.lower() else 0.2
    return {"neg": 1 - p, "pos": p}
"""
ROWS = [
    {"id": "a", "text": "A great film.", "label": "pos", "lang": "en"},
    {"id": "b", "text": "A dull film.", "label": "neg", "lang": "en"},
    {"id": "c", "text": "Superb film!", "label": "pos", "lang": "de"},
    {"id": "d", "text": "GREAT fun, they said of it.", "label": "pos", "lang": "de"},
]
TRIAGE = {"id": "triage", "dataset": "reviews", "classify": "{{ text }}", "target": "{{ label }}"}
ATTACK = {"id": "attack", "attack": "words", "of": "triage", "synonyms": "synonyms.txt"}
SUITE = {
    "version": 1,
    "name": "attacked",
    "models": {"clf": {"backend": "python", "function": "words:label", "kind": "classify"}},
    "datasets": {"reviews": {"path": "reviews.jsonl", "groups": ["lang"]}},
    "tasks": [{**TRIAGE, "metrics": ["accuracy"]}, ATTACK],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "words.py").write_text(CODE)
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "synonyms.txt").write_text("great, superb, fine  # praise\nfilm, movie\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name="suite.yaml", attack=(), **changes):
    suite = {**SUITE, "tasks": [SUITE["tasks"][0], {**ATTACK, **dict(attack)}], **changes}
    Path(name).write_text(yaml.safe_dump(suite, sort_keys=False))
    return name


def attacks(record):
    return {row.sample.id: row.response.meta["attack"] for row in record.iter_samples(task="attack")}


def figure(record, name, group=None):
    (found,) = [r for r in record.results if (r.task, r.metric, r.group) == ("attack", name, group)]
    return found


def test_a_run_turns_round_what_hangs_on_one_word(folder):
    record = evalharness.run(write(), allow_code=True)
    found = attacks(record)
    assert {name: one["outcome"] for name, one in found.items()} == {
        "a": "fooled",
        "b": "held",
        "c": "wrong before",
        "d": "fooled",
    }
    one = found["a"]
    assert one["changes"] in ([["great", "superb"]], [["great", "fine"]])
    assert one["text"] == f"A {one['changes'][0][1]} film."
    assert (one["answer_before"], one["answer"], one["target"]) == ("pos", "neg", "pos")
    assert one["share_changed"] == pytest.approx(1 / 3)
    assert found["d"]["changes"][0][1].isupper()
    # The text, without "great", without "film" (the rest is grammar), and two substitutes.
    assert one["n_queries"] == 5
    success = figure(record, "attack_success_rate")
    assert (success.value, success.n) == (pytest.approx(2 / 3), 3)
    assert 0 < success.ci_low < 2 / 3 < success.ci_high <= 1
    assert (figure(record, "accuracy_under_attack").value, figure(record, "accuracy_under_attack").n) == (0.25, 4)
    rights = [one["n_queries"] for one in found.values() if one["right"]]
    assert figure(record, "attack_queries").value == pytest.approx(sum(rights) / 3)
    assert figure(record, "attack_words_changed").value == pytest.approx((1 / 3 + 1 / 6) / 2)
    assert figure(record, "attack_success_rate", "lang=de").n == 1
    row = next(iter(record.iter_samples(task="attack")))
    assert row.response.answer == row.response.meta["attack"]["answer"]
    assert json.loads(row.request.sampling.study)["procedure"] == "attack"


def test_what_was_found_comes_from_the_store_until_its_own_words_change(folder):
    first = evalharness.run(write(), allow_code=True)
    again = evalharness.run(write(), allow_code=True)
    assert again.manifest.execution["n_asked"] == 0
    assert attacks(first) == attacks(again)
    Path("synonyms.txt").write_text("great, superb, fine\nfilm, movie\nunheard, unknown\n")
    assert evalharness.run(write(), allow_code=True).manifest.execution["n_asked"] == 0
    Path("synonyms.txt").write_text("great, superb, fine\nfilm, movie\ndull, dreary\n")
    assert evalharness.run(write(), allow_code=True).manifest.execution["n_asked"] == 1


def test_the_budget_and_the_share_of_words_hold(folder):
    few = attacks(evalharness.run(write(attack={"max_queries": 2}), allow_code=True))
    assert few["a"]["outcome"] == "out of queries"
    assert all(one["n_queries"] <= 2 for one in few.values())
    assert not few["a"]["succeeded"]


def test_scoring_again_asks_no_model_and_a_gate_stops_the_release(folder, capsys):
    record = evalharness.run(write(), allow_code=True)
    code = Path("words.py").read_text()
    Path("words.py").write_text(code + "\nraise SystemExit('asked')\n")
    scored = score(record, write("fewer.yaml", attack={"metrics": ["attack_success_rate"]}))
    assert figure(scored, "attack_success_rate").value == figure(record, "attack_success_rate").value
    assert scored.manifest.parent == record.id
    assert compare_records([record], record).attributions == ()
    for limit, code_expected in ((0.01, 1), (1.0, 0)):
        gates = {"rules": [{"metric": "attack.attack_success_rate", "at_most": limit}]}
        assert main(["gate", record.id, "--policy", write("gates.yaml", gates=gates)]) == code_expected


def test_one_text_that_fails_is_a_state_of_its_sample(folder):
    rows = [*ROWS, {"id": "e", "text": "boom now", "label": "pos", "lang": "en"}]
    Path("reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = evalharness.run(write(execution={"on_error": "exclude"}), allow_code=True)
    responses = {row.sample.id: row.response for row in record.iter_samples(task="attack")}
    assert "no answer to the changed text 'boom now'" in responses["e"].error
    assert figure(record, "attack_success_rate").n_failed == 1


def test_the_plan_and_the_report_say_what_is_asked(folder, capsys):
    assert main(["plan", write(attack={"max_queries": 50, "sample": 3}), "--allow-code"]) == 0
    assert "attack on clf attacks 3 texts: up to 150 changed versions" in capsys.readouterr().out
    work = {one.task: one for one in forecast("suite.yaml", allow_code=True).work}
    assert (work["attack"].most_calls, work["triage"].most_calls) == (150, 4)
    assert main(["run", "suite.yaml", "--allow-code"]) == 0
    page = next(Path("reports/runs").glob("*/report.html")).read_text()
    assert "attack_success_rate" in page
    assert "What each word adds" not in page


@pytest.mark.parametrize("ties", ["pos", "neg"])
def test_a_classifier_that_tells_its_answer_alone_or_a_tie_is_read_by_its_answer(ties):
    def plain(texts):
        return [Response(key=text, answer="pos" if "great" in text else "neg") for text in texts]

    def tied(texts):
        return [Response(key=text, answer=ties, label_probabilities={"pos": 0.5, "neg": 0.5}) for text in texts]

    options = {"target": "pos", "row": "r", "seed": 0, "max_queries": 20, "max_candidates": 5, "max_changed": 0.5}
    options["synonyms"] = {"great": ["good"]}
    found = attack_sample(plain, options, "a great day")
    assert (found["succeeded"], found["text"]) == (True, "a good day")
    assert attack_sample(tied, options, "a great day")["right"] == (ties == "pos")


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.real_cache
def test_the_real_classifier_is_turned_round_by_synonyms(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fetch-model", "movie-sentiment-minilm"]) == 0
    Path("synonyms.txt").write_text(
        "good, passable, tolerable\nfunny, silly, laughable\nbad, wicked\nmoving, maudlin, sentimental\n"
        "film, movie, picture\nbrilliant, overdone, showy\ndull, quiet, muted\nperformances, posturing, turns\n"
    )
    rows = [
        {"id": "a", "text": "A good film with brilliant performances.", "label": "positive"},
        {"id": "b", "text": "A dull picture, and a bad one.", "label": "negative"},
        {"id": "c", "text": "Funny and moving.", "label": "positive"},
        {"id": "d", "text": "It is a film.", "label": "negative"},
    ]
    models = {"clf": {"backend": "hf-classifier", "path": "catalog:movie-sentiment-minilm"}}
    suite = {**SUITE, "models": models, "datasets": {"reviews": {"rows": rows}}}
    suite["tasks"] = [SUITE["tasks"][0], {**ATTACK, "max_changed": 1.0}]
    Path("suite.yaml").write_text(yaml.safe_dump(suite))
    record = evalharness.run("suite.yaml")
    found = attacks(record)
    assert record.manifest.complete
    # Measured with this checkpoint: it takes the last text for a good review.
    assert {name: one["outcome"] for name, one in found.items()} == {
        **dict.fromkeys("abc", "fooled"),
        "d": "wrong before",
    }
    # Asked again as an ordinary task, the model says of the changed texts what the search says that it said.
    changed = [{"id": name, "text": one["text"], "label": one["answer"]} for name, one in found.items()]
    again = {**suite, "datasets": {"reviews": {"rows": changed}}, "tasks": SUITE["tasks"][:1]}
    Path("again.yaml").write_text(yaml.safe_dump(again))
    (accuracy,) = [r for r in evalharness.run("again.yaml").results if r.metric == "accuracy"]
    assert accuracy.value == 1.0
    for one in found.values():
        assert one["succeeded"] == (one["right"] and one["answer"] != one["target"])
