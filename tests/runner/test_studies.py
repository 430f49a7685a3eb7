"""A task that explains another one, from the suite to the record, its gate and comparison: no network, no weights."""

import json
import math
import time
from pathlib import Path

import pytest
import yaml

import evalharness
from evalharness.cli.main import main
from evalharness.compare.records import compare_records
from evalharness.core.types import Request, Sampling
from evalharness.runner.estimate import model_calls
from evalharness.runner.forecast import forecast
from evalharness.runner.rescore import score

# A classifier that adds up its words; "she" counts for one model and not for the other.
CODE = """
import math
import time
CALLS = []
WEIGHTS = {"great": 2.0, "bad": -2.0, "dull": -1.0}

def label(prompt, she=0.0):
    CALLS.append(prompt)
    if "boom" in prompt:
        raise ValueError("no answer for boom")
    weights = {**WEIGHTS, "she": she}
    score = sum(weights.get(word.strip(".,!").lower(), 0.0) for word in prompt.split())
    p = 1 / (1 + math.exp(-score))
    return {"neg": 1 - p, "pos": p}

def likely(prompt, continuations):
    n = prompt.lower().count("paris")
    return [-1.0 - (i == 0) * (0.5 - 0.25 * n) for i, _ in enumerate(continuations)]
"""
ROWS = [
    {"id": "a", "text": "She wrote a great film.", "label": "pos", "lang": "en"},
    {"id": "b", "text": "A bad and dull plot, she said.", "label": "neg", "lang": "en"},
    {"id": "c", "text": "Great, great fun!", "label": "pos", "lang": "de"},
    {"id": "d", "text": "Dull as she is.", "label": "neg", "lang": "de"},
]
SUITE = {
    "version": 1,
    "name": "why",
    "models": {"clf": {"backend": "python", "function": "words:label", "kind": "classify"}},
    "datasets": {"reviews": {"path": "reviews.jsonl", "groups": ["lang"]}},
    "tasks": [
        {
            "id": "triage",
            "dataset": "reviews",
            "classify": "{{ text }}",
            "target": "{{ label }}",
            "metrics": ["accuracy"],
        },
        {
            "id": "why",
            "explain": "exact",
            "of": "triage",
            "metrics": ["efficiency_gap", "identity_mass", "comprehensiveness"],
        },
    ],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "words.py").write_text(CODE)
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(suite=SUITE, name="suite.yaml", **changes):
    Path(name).write_text(yaml.safe_dump({**suite, **changes}, sort_keys=False, allow_unicode=True))
    return name


def with_task(**changes):
    return {**SUITE, "tasks": [SUITE["tasks"][0], {**SUITE["tasks"][1], **changes}]}


def explanations(record, task="why"):
    return {row.sample.id: row.response.meta["explanation"] for row in record.iter_samples(task=task)}


def figure(record, name, group=None):
    (found,) = [r for r in record.results if (r.task, r.metric, r.group) == ("why", name, group)]
    return found


def test_a_run_explains_the_samples_of_another_task(folder):
    record = evalharness.run(write(), allow_code=True)
    found = explanations(record)
    assert set(found) == {"a", "b", "c", "d"}
    one = found["a"]
    assert [one["text"][start:end] for _, start, end in one["tokens"]] == ["She", "wrote", "a", "great", "film", "."]
    assert one["outputs"] == [one["explained"]] == [one["predicted"]] == ["pos"]
    values = {text: row[0] for (text, _, _), row in zip(one["tokens"], one["values"], strict=True)}
    # An additive score: all of the output is the one word's, and none is anybody else's.
    assert values["great"] == pytest.approx(1 / (1 + math.exp(-2)) - 0.5, abs=1e-9)
    assert all(abs(value) < 1e-9 for word, value in values.items() if word != "great")
    assert figure(record, "efficiency_gap").value < 1e-9
    assert figure(record, "identity_mass").value < 1e-9
    assert figure(record, "identity_mass").n == 3  # one text has no such word
    assert figure(record, "comprehensiveness").value > 0.1
    assert figure(record, "comprehensiveness", "lang=de").n == 2
    (entry,) = [t for t in record.manifest.tasks if t.id == "why"]
    assert (entry.kind, entry.n_samples) == ("study", 4)
    row = next(iter(record.iter_samples(task="why")))
    assert json.loads(row.request.sampling.study)["method"] == "exact"
    assert row.response.answer == "pos"


def test_explanations_come_from_the_store_the_second_time(folder):
    first = evalharness.run(write(), allow_code=True)
    again = evalharness.run(write(), allow_code=True)
    assert again.manifest.execution["n_asked"] == 0
    assert explanations(first) == explanations(again)


def test_scoring_again_asks_no_model(folder):
    record = evalharness.run(write(), allow_code=True)
    scored = score(record, write(with_task(metrics=[{"identity_mass": {"words": ["great"]}}]), name="more.yaml"))
    assert 0.5 < figure(scored, "identity_mass").value < 1
    assert figure(record, "identity_mass").value < 1e-9
    assert scored.manifest.parent == record.id


def test_one_text_that_fails_is_a_state_of_its_sample(folder):
    rows = [*ROWS, {"id": "e", "text": "boom now", "label": "pos", "lang": "en"}]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = write(execution={"on_error": "exclude"})
    record = evalharness.run(suite, allow_code=True)
    responses = {row.sample.id: row.response for row in record.iter_samples(task="why")}
    assert responses["e"].status == "error"
    assert "no answer to the masked text" in responses["e"].error
    assert "no answer for boom" in responses["e"].error
    assert all(responses[name].status == "ok" for name in "abcd")
    assert figure(record, "efficiency_gap").n_failed == 1


def test_a_blank_text_is_an_error_that_says_so(folder):
    (folder / "reviews.jsonl").write_text(json.dumps({"id": "e", "text": "  ", "label": "pos", "lang": "en"}) + "\n")
    record = evalharness.run(write(execution={"on_error": "exclude"}), allow_code=True)
    (row,) = record.iter_samples(task="why")
    assert row.response.error == "the text has no words to explain"


@pytest.mark.parametrize("method", ["shap", "permutation", "occlusion", "lime"])
def test_every_method_that_reads_texts_finds_the_word(folder, method):
    record = evalharness.run(write(with_task(explain=method, max_evals=120)), allow_code=True)
    one = explanations(record)["a"]
    best = max(zip(one["values"], one["tokens"], strict=True))
    assert best[1][0] == "great"
    assert one["method"] == method
    stability = [one["quality"]["seed_stability"] for one in explanations(record).values()]
    # LIME alone depends on what it draws here: orders taken there and back are exact for so little interaction.
    assert (min(stability) < 0.999) == (method == "lime")
    chance = [one["quality"]["seed_stability_random"] for one in explanations(record).values()]
    assert max(map(abs, chance)) < 0.3


def test_the_target_or_a_label_can_be_explained(folder):
    record = evalharness.run(write(with_task(output="neg")), allow_code=True)
    assert {one["explained"] for one in explanations(record).values()} == {"neg"}
    assert {one["predicted"] for one in explanations(record).values()} == {"neg", "pos"}
    every = explanations(evalharness.run(write(with_task(output="all", quality=False)), allow_code=True))
    assert every["a"]["outputs"] == ["neg", "pos"]
    assert every["a"]["quality"] is None
    targets = explanations(evalharness.run(write(with_task(output="target")), allow_code=True))
    assert {name: one["explained"] for name, one in targets.items()} == {r["id"]: r["label"] for r in ROWS}


def test_a_model_without_that_label_is_an_error_of_the_sample(folder):
    record = evalharness.run(write(with_task(output="positive"), execution={"on_error": "exclude"}), allow_code=True)
    row = next(iter(record.iter_samples(task="why")))
    assert "no output 'positive'" in row.response.error


def test_a_sample_is_drawn_by_the_seed_and_what_the_rows_hold(folder):
    ids = set(explanations(evalharness.run(write(with_task(sample=2)), allow_code=True)))
    assert len(ids) == 2
    # Another row in the data draws none of the others out of its place.
    rows = [{"id": "z", "text": "new", "label": "pos", "lang": "en"}, *ROWS]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = set(explanations(evalharness.run(write(with_task(sample=2)), allow_code=True)))
    assert more <= ids | {"z"}
    others = {
        frozenset(explanations(evalharness.run(write(with_task(sample=2, seed=seed)), allow_code=True)))
        for seed in range(6)
    }
    assert len(others) > 1


def test_limit_and_matrix(folder):
    suite = {**with_task(), "matrix": {"why.explain": ["exact", "occlusion"]}}
    record = evalharness.run(write(suite), allow_code=True, limit=2)
    assert {t.id for t in record.manifest.tasks} == {"triage", "why@explain=exact", "why@explain=occlusion"}
    assert len(explanations(record, "why@explain=exact")) == 2


def test_it_runs_by_default_on_the_models_of_the_task_that_it_explains(folder):
    models = {**SUITE["models"], "text": {"backend": "fake"}}
    triage = {**SUITE["tasks"][0], "model": "clf"}
    record = evalharness.run(write({**SUITE, "models": models, "tasks": [SUITE["tasks"][1], triage]}), allow_code=True)
    assert {(t.id, t.model) for t in record.manifest.tasks} == {("why", "clf"), ("triage", "clf")}


def test_an_answer_of_a_model_that_tells_likelihoods(folder):
    suite = {
        "version": 1,
        "name": "why",
        "models": {"lm": {"backend": "python", "function": "words:likely", "kind": "loglikelihood"}},
        "datasets": {"facts": {"rows": [{"id": "a", "q": "Is Paris big?", "gold": "yes"}]}},
        "tasks": [
            {"id": "pick", "dataset": "facts", "prompt": "{{ q }}", "choices": ["yes", "no"], "target": "{{ gold }}"},
            {"id": "choice", "explain": "exact", "of": "pick"},
        ],
    }
    record = evalharness.run(write(suite), allow_code=True)
    one = explanations(record, "choice")["a"]
    # ln p is −1.5 or, with the word, −1.25 of "yes", and −1 of "no".
    assert one["explained"] == "no"
    with_word, without = 1 / (1 + math.exp(-0.25)), 1 / (1 + math.exp(-0.5))
    values = {text: row[0] for (text, _, _), row in zip(one["tokens"], one["values"], strict=True)}
    assert values["Paris"] == pytest.approx(with_word - without, abs=1e-9)
    assert one["meta"]["output"] == "probability"


def test_an_answer_by_its_log_odds_and_against_another_one(folder):
    Path("words.py").write_text(
        "def likely(prompt, continuations):\n"
        "    return [-2.0 + prompt.count('Paris') - 0.5 * (said == ' no') for said in continuations]\n"
    )
    suite = {
        "version": 1,
        "name": "why",
        "models": {"lm": {"backend": "python", "function": "words:likely", "kind": "loglikelihood"}},
        "datasets": {"facts": {"rows": [{"id": "a", "q": "Is Paris big?", "gold": "yes"}]}},
        "tasks": [
            {"id": "ask", "dataset": "facts", "prompt": "{{ q }}", "choices": ["yes", "no"], "target": "{{ gold }}"},
            {"id": "odds", "explain": "exact", "of": "free", "mask": ""},
            {"id": "margin", "explain": "exact", "of": "free", "answer": "{{ gold }}", "against": "no"},
            {"id": "free", "dataset": "facts", "prompt": "{{ q }}", "reference": "{{ gold }}", "model": "text"},
        ],
    }
    suite["models"]["text"] = {"backend": "fake"}
    for task in suite["tasks"][1:3]:
        task["model"] = "lm"
    record = evalharness.run(write(suite), allow_code=True)
    odds = explanations(record, "odds")["a"]
    values = {text: row[0] for (text, _, _), row in zip(odds["tokens"], odds["values"], strict=True)}

    def log_odds(likelihood):
        p = math.exp(likelihood)
        return math.log(p / (1 - p))

    assert odds["outputs"] == ["yes"]
    assert odds["meta"]["mask"] == "remove"
    assert odds["full_values"] == [pytest.approx(log_odds(-1.0))]
    assert values["Paris"] == pytest.approx(log_odds(-1.0) - log_odds(-2.0))
    margin = explanations(record, "margin")["a"]
    assert margin["outputs"] == ["yes rather than no"]
    assert margin["full_values"] == margin["base_values"] == [pytest.approx(0.5)]


def test_the_plan_tells_how_many_texts_a_model_is_asked_about(folder, capsys):
    assert main(["plan", write(with_task(explain="shap", max_evals=50)), "--allow-code"]) == 0
    said = capsys.readouterr().out
    assert "why on clf explains 4 texts: up to " in said
    work = {one.task: one for one in forecast("suite.yaml", allow_code=True).work}
    assert work["triage"].most_calls == 4
    assert work["why"].most_calls >= 4 * 50


@pytest.mark.parametrize(
    ("study", "calls"),
    [
        ({"method": "shap", "max_evals": 90}, 90),
        ({"method": "occlusion", "max_evals": 90}, 5),
        ({"method": "exact", "max_evals": 90}, 8),
        ({"method": "shap", "max_evals": 90, "quality": True}, 90 + 8 * 4),
        ({"method": "lime", "max_evals": 90, "quality": True}, 2 * 90 + 8 * 4),
        ({"method": "permutation", "max_evals": 90, "quality": True, "randomisation": True}, 3 * 90 + 8 * 4),
        ({"method": "attention", "max_evals": 90}, 3),
        ({"method": "integrated_gradients", "max_evals": 90}, 2 + 32),
        ({"method": "integrated_gradients", "max_evals": 90, "options": {"steps": 8}}, 2 + 8),
    ],
)
def test_model_calls(study, calls):
    for text in ("one two three", "电影好", "one, two"):
        request = Request("k", "m", "study", "s", text, sampling=Sampling(study=json.dumps(study)))
        assert model_calls(request) == calls
    assert model_calls(Request("k", "m", "classify", "s", "one")) == 1


def test_a_release_that_leans_more_on_names_is_stopped_by_its_gate(folder):
    many = [{"id": f"r{i}", "text": f"She wrote a great film {i}.", "label": "pos", "lang": "en"} for i in range(24)]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))
    model = SUITE["models"]["clf"]
    suites = {}
    for name, she in (("old", 0.0), ("new", 1.0)):
        models = {"clf": {**model, "options": {"she": she}}}
        suites[name] = evalharness.run(write({**SUITE, "models": models}), allow_code=True, name=name)
    gates = {
        "baseline": suites["old"].id,
        "rules": [{"metric": "why.identity_mass", "non_inferior": {"margin": 0.15}}],
    }
    Path("gates.yaml").write_text(yaml.safe_dump({**SUITE, "gates": gates}))
    assert main(["gate", suites["new"].id, "--policy", "gates.yaml"]) == 1
    assert main(["gate", suites["old"].id, "--policy", "gates.yaml"]) == 0
    found = compare_records([suites["new"]], suites["old"])
    (drift,) = found.attributions
    assert drift.n == 24
    assert drift.mass_baseline == pytest.approx(0, abs=1e-9)
    assert drift.mass > 0.2
    assert drift.mass_low > 0
    assert drift.mass_p < 0.01
    assert drift.words[0].word in ("she", "great")
    assert drift.spearman < 1


def test_texts_that_say_nothing_are_no_pairs(folder, capsys):
    many = [
        {"id": f"r{i}", "text": f"{('She', 'It')[i % 2]} wrote {'a great ' * (i % 3)}film {i}.", "label": "pos"}
        for i in range(24)
    ]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))
    suite = {**SUITE, "datasets": {"reviews": {"path": "reviews.jsonl"}}}
    records = []
    for she in (0.2, 0.3):
        models = {"clf": {**SUITE["models"]["clf"], "options": {"she": she}}}
        records.append(evalharness.run(write({**suite, "models": models}), allow_code=True))
    old, new = records
    assert figure(new, "identity_mass").n == 12
    compared = next(one for one in compare_records([new], old).figures if one.metric == "identity_mass")
    assert compared.n_paired == 12
    assert compared.wins + compared.losses + compared.ties == 12
    rules = [{"metric": "why.identity_mass", "non_inferior": {"margin": 0.3}}]
    Path("gates.yaml").write_text(yaml.safe_dump({**suite, "gates": {"baseline": old.id, "rules": rules}}))
    capsys.readouterr()
    assert main(["gate", new.id, "--policy", "gates.yaml", "--json"]) == 0
    assert "(n = 12 paired" in capsys.readouterr().out


def test_a_backend_without_any_answer_is_told(folder):
    Path("words.py").write_text("def label(prompt, **options):\n    raise ValueError('never')\n")
    record = evalharness.run(write(), allow_code=True)
    assert not record.manifest.complete
    assert all(row.response.status == "error" for row in record.iter_samples(task="why"))


@pytest.mark.model
@pytest.mark.parametrize("method", ["shap", "integrated_gradients", "attention"])
def test_a_model_that_runs_here_is_explained_in_its_own_tokens(folder, networks, method):
    models = {"clf": {"backend": "hf-classifier", "path": str(networks(labels=("neg", "pos")))}}
    suite = with_task(explain=method, max_evals=40, metrics=["efficiency_gap"], sample=2, quality=method == "shap")
    record = evalharness.run(write({**suite, "models": models}))
    found = explanations(record)
    assert len(found) == 2
    for one in found.values():
        assert [one["text"][start:end] for _, start, end in one["tokens"]] == [text for text, _, _ in one["tokens"]]
        assert one["meta"]["players"] == "words"
        assert one["outputs"] == [one["predicted"]]
    if method == "shap":
        assert figure(record, "efficiency_gap").value < 1e-6
        assert found[next(iter(found))]["quality"]["seed_stability"] == 1.0
    assert record.manifest.execution["work"]["clf"]["weights"]


def test_options_reach_the_method_and_are_part_of_what_runs_agree_on(folder):
    text = "She wrote a great film, and it is a bad and dull plot, she said, all the same."
    (folder / "reviews.jsonl").write_text(json.dumps({"id": "a", "text": text, "label": "pos", "lang": "en"}) + "\n")
    records = [
        evalharness.run(
            write(with_task(explain="shap", max_evals=3000, quality=False, options=options)), allow_code=True
        )
        for options in ({}, {"tolerance": 0.03}, {"tolerance": 0.5})
    ]
    asked = [explanations(record)["a"]["n_evaluations"] for record in records]
    assert asked[0] > asked[1] > asked[2]
    identities = [{t.id: t.identity for t in record.manifest.tasks}["why"]["kind"] for record in records]
    assert len(set(identities)) == 3
    study = json.loads(next(iter(records[1].iter_samples(task="why"))).request.sampling.study)
    assert study["options"] == {"tolerance": 0.03}
    # Without any, nothing is said of them: records from before there were options can still be compared.
    assert "options" not in json.loads(next(iter(records[0].iter_samples(task="why"))).request.sampling.study)


def test_options_count_in_how_often_a_model_is_asked():
    options = {"method": "exact", "max_evals": 500, "quality": False}
    for more, expected in [({}, 4096), ({"options": {"max_players": 14}}, 2**14)]:
        study = json.dumps(options | more)
        request = Request("k", "m", "study", "s", "word " * 20, sampling=Sampling(study=study))
        assert model_calls(request) == expected


@pytest.mark.parametrize(
    ("method", "options", "at", "said"),
    [
        ("shap", {"tolerence": 0.1}, ".tolerence", "shap has no option 'tolerence'; did you mean 'tolerance'?"),
        ("lime", {"tolerance": 0.1}, ".tolerance", "lime has no option 'tolerance'; it takes kernel_width, ridge"),
        ("occlusion", {"steps": 3}, ".steps", "occlusion has no option 'steps'; it takes none"),
        ("shap", {"tolerance": -1}, ".tolerance", "tolerance must be a number of at least 0; got -1"),
        ("shap", {"tolerance": None}, ".tolerance", "tolerance has no value"),
        ("shap", {"max_evals": 5}, ".max_evals", "max_evals is a key of the task itself"),
        ("shap", {"engine": "shap", "tolerance": 0.1}, "", "the shap library has no tolerance"),
    ],
)
def test_wrong_options_are_told_before_anything_is_asked(folder, capsys, method, options, at, said):
    from evalharness.core.errors import SuiteError

    suite = write(with_task(explain=method, options=options))
    with pytest.raises(SuiteError) as caught:
        evalharness.run(suite, allow_code=True)
    (problem,) = caught.value.problems
    assert problem.path == f"tasks[1].options{at}"
    assert said in problem.message
    assert problem.place.line > 1
    assert main(["validate", suite]) == 2
    assert said in capsys.readouterr().err


RANDOMISED = {"explain": "shap", "max_evals": 60, "quality": {"randomisation": True}}


@pytest.mark.model
def test_a_model_is_explained_with_random_layers_too(folder, networks):
    suite = with_task(**RANDOMISED)
    del suite["tasks"][1]["metrics"]
    suite["models"] = {"clf": {"backend": "hf-classifier", "path": str(networks(labels=("neg", "pos")))}}
    record = evalharness.run(write(suite))
    likeness = {name: one["quality"]["randomisation_similarity"] for name, one in explanations(record).items()}
    assert all(-1 <= value < 0.999 for value in likeness.values())
    found, over = (figure(record, f"randomisation_similarity{end}") for end in ("", "_over_random"))
    assert found.value == pytest.approx(sum(likeness.values()) / 4)
    assert found.n == 4
    assert -1 <= found.ci_low < found.value < found.ci_high <= 1
    assert abs(found.value - over.value) < 0.3
    # Of either sign: what a gate reads, since −1 would pass an at_most.
    absolute, above = (figure(record, f"randomisation_similarity_absolute{end}") for end in ("", "_over_random"))
    assert absolute.value == pytest.approx(sum(map(abs, likeness.values())) / 4)
    by_chance = [one["quality"]["randomisation_similarity_absolute_random"] for one in explanations(record).values()]
    assert all(0.1 < value < 1 for value in by_chance)
    assert above.value == pytest.approx(absolute.value - sum(by_chance) / 4)
    # The answers are those of the model as it is, also of a task that runs behind, and of a run without the check.
    plain = with_task(explain="shap", max_evals=60, metrics=["efficiency_gap"])
    other = evalharness.run(write({**plain, "models": suite["models"]}), cache="off")
    for name, one in explanations(other).items():
        assert one["values"] == explanations(record)[name]["values"]
        assert "randomisation_similarity" not in one["quality"]
    identities = [{t.id: t.identity for t in r.manifest.tasks}["why"] for r in (record, other)]
    assert identities[0]["kind"] != identities[1]["kind"]


@pytest.mark.model
def test_a_random_model_that_cannot_be_explained_leaves_the_model_as_it_was(folder, networks, monkeypatch):
    from evalharness.core.games import GameError
    from evalharness.runner import explaining

    def fails(*given, **more):
        raise GameError("not this one")

    models = {"clf": {"backend": "hf-classifier", "path": str(networks(labels=("neg", "pos")))}}
    after = {**SUITE["tasks"][0], "id": "after", "classify": "It is: {{ text }}"}
    triage, why = with_task(**RANDOMISED, metrics=["efficiency_gap"])["tasks"]
    tasks = [triage, why, after]
    monkeypatch.setattr(explaining, "_randomisation", fails)
    record = evalharness.run(write(models=models, tasks=tasks, execution={"on_error": "exclude"}), cache="off")
    assert {row.response.error for row in record.iter_samples(task="why")} == {"not this one"}
    again = evalharness.run(write(models=models, tasks=[triage, after]), cache="off")
    for task in ("triage", "after"):
        answers = [row.response.label_probabilities for row in record.iter_samples(task=task)]
        assert answers == [row.response.label_probabilities for row in again.iter_samples(task=task)]


def test_a_model_without_weights_cannot_forget(folder):
    from evalharness.core.errors import SuiteError

    with pytest.raises(SuiteError) as caught:
        evalharness.run(write(with_task(**RANDOMISED)), allow_code=True)
    (problem,) = caught.value.problems
    assert problem.path == "tasks[1].quality.randomisation"
    assert "the model 'clf' (backend python) has none that can be drawn here" in problem.message


def test_nothing_is_asked_for_a_run_that_was_stopped(folder):
    from evalharness.core.games import GameError
    from evalharness.runner.studies import _Asker, _Used

    asker = _Asker(None, Request("0" * 64, "m", "study", "s", "one"), "classify", None, _Used(), stopped=True)
    with pytest.raises(GameError, match="stopped"):
        asker(["one"])


def test_a_run_that_is_stopped_in_the_middle_of_a_text_ends(folder):
    import asyncio

    from evalharness.models.fake import FakeModel
    from evalharness.runner.studies import study

    class Slow(FakeModel):
        async def answer(self, request):
            await asyncio.sleep(30)
            return await super().answer(request)

    async def main_():
        options = {"method": "exact", "asks": "classify", "output": "predicted", "seed": 0, "max_evals": 9}
        request = Request("0" * 64, "m", "study", "s", "one two", sampling=Sampling(study=json.dumps(options)))
        task = asyncio.create_task(study(Slow("m", reply="pos"), request))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = time.monotonic()
    asyncio.run(main_())
    assert time.monotonic() - started < 10
