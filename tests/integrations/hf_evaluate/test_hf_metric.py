"""Modules of evaluate as metrics: the figure is what evaluate itself computes."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from evalharness.core.errors import NotComparableError, UsageError
from evalharness.core.types import Response, Sample
from evalharness.integrations.hf_evaluate.hf_metric import EvaluateMetric
from evalharness.integrations.hf_evaluate.library import import_evaluate
from evalharness.metrics.functional import score
from evalharness.metrics.interval import summarize

pytestmark = pytest.mark.slow

EXACT = "return {'exact': sum(p == r for p, r in zip(predictions, references)) / len(predictions)}"
SHARE_OF_KINDS = "return {'kinds': len(set(predictions)) / len(predictions), 'n': len(predictions)}"
MANY = 'datasets.Sequence(datasets.Value("string"))'
INTS = 'datasets.Value("int32")'


def loaded(folder, **options):
    return EvaluateMetric(path=f"./{folder.name}", **options).for_run(base=folder.parent, allow_code=True)


def test_equal_to_evaluates_own(script, tmp_path):
    evaluate = import_evaluate(purpose="this test")
    folder = script("exact", EXACT)
    answers = ["a", "b", "c", "naïve 🙂", ""]
    golds = ["a", "x", "c", "naïve 🙂", "y"]
    theirs = evaluate.load(str(folder), cache_dir=str(tmp_path)).compute(predictions=answers, references=golds)
    found = score(loaded(folder), answers, references=[[gold] for gold in golds])
    assert found.value == theirs["exact"] == 0.6
    assert found.values.tolist() == [1, 0, 1, 1, 0]
    assert found.summary.method == "percentile"
    assert found.summary.low < 0.6 < found.summary.high


def test_a_figure_of_the_corpus(script):
    """One that is no mean: resamples call the module anew."""
    metric = loaded(script("kinds", SHARE_OF_KINDS), key="kinds")
    found = score(metric, ["a", "a", "b", "c"], references=[["x"]] * 4)
    assert found.value == 0.75
    assert found.values.tolist() == [1, 1, 1, 1]
    assert found.summary.high <= 1.0
    rows = metric.sample_stats([Sample(id="1", digest="", prompt="", references=("x",))], [Response(key="1", text="a")])
    weights = np.array([[0.0], [1.0], [4.0]])
    assert metric.finalize_rows(rows, weights).tolist()[1:] == [1.0, 0.25]
    assert math.isnan(metric.finalize_rows(rows, weights)[0])


def test_resamples(script):
    rows = [["x"]] * 8
    metric = loaded(script("exact", EXACT), resamples=0)
    assert score(metric, list("xxxxaaaa"), references=rows).summary.method == "none"
    metric = loaded(script("exact", EXACT), over="samples")
    found = score(metric, list("xxxxaaaa"), references=rows)
    assert (found.value, found.summary.method) == (0.5, "percentile")


def test_over_samples_is_a_mean_whose_rows_suffice(script):
    metric = loaded(script("exact", EXACT), over="samples")
    samples = [Sample(id=str(i), digest="", prompt="", references=(g,)) for i, g in enumerate("abcd")]
    rows = metric.sample_stats(samples, [Response(key=str(i), text=a) for i, a in enumerate("abxx")])
    assert rows.tolist() == [[1, 1], [1, 1], [1, 0], [1, 0]]
    again = EvaluateMetric(path="exact", over="samples").as_recorded(metric.signature)
    assert again.signature == metric.signature
    assert again.finalize(rows.sum(axis=0)) == 0.5
    assert again.finalize_rows(rows) == 0.5


def test_a_corpus_figure_is_not_made_of_recorded_numbers(script):
    metric = loaded(script("exact", EXACT))
    samples = [Sample(id=str(i), digest="", prompt="", references=("a",)) for i in range(2)]
    rows = metric.sample_stats(samples, [Response(key=str(i), text=a) for i, a in enumerate("ab")])
    again = EvaluateMetric(path="exact").as_recorded(metric.signature)
    with pytest.raises(NotComparableError, match="over: samples"):
        again.finalize_rows(rows)


def test_repeats(script):
    metric = loaded(script("exact", EXACT))
    samples = [Sample(id=str(i // 3), digest="", prompt="", references=("a",)) for i in range(6)]
    rows = metric.sample_stats(samples, [Response(key=str(i), text=a) for i, a in enumerate("aabbbb")])
    merged = metric.merge_repeats(rows, np.repeat([0, 1], 3))
    assert metric.finalize(merged).tolist() == pytest.approx([2 / 3, 0])
    assert float(metric.finalize_rows(merged)) == pytest.approx(1 / 3)
    assert summarize(metric, merged).method == "percentile"


@pytest.mark.parametrize(
    ("references", "body", "value"),
    [
        (MANY, "return {'any': sum(p in r for p, r in zip(predictions, references))}", 2),
        (f"{MANY}, 'sources': {MANY[18:-1]}", "return {'n': sum(map(len, references))}", None),
    ],
)
def test_several_references(script, references, body, value):
    metric = loaded(script("several", body, references=references, arguments="predictions, references, **more"))
    if value is None:
        assert score(metric, ["a"], references=[["a", "b"]]).value == 2
        return
    assert score(metric, ["a", "b", "c"], references=[["x", "a"], ["b"], ["d", "e"]]).value == value
    one = loaded(script("exact", EXACT))
    with pytest.raises(UsageError, match="takes one reference a sample, and there are 2"):
        score(one, ["a"], references=[["x", "a"]])


def test_labels_become_their_numbers(script):
    body = "return {'seen': sum(10 ** i * (p + 1) for i, p in enumerate(predictions)), 'golds': sum(references)}"
    folder = script("labels", body, predictions=INTS, references=INTS)
    options = {"against": "target", "key": "seen"}
    assert score(loaded(folder, **options), ["neg", "pos", "?"], targets=["neg", "pos", "pos"]).value == 21
    other = loaded(folder, **options, labels=("pos", "neg"))
    assert score(other, ["neg", "pos", "?"], targets=["neg", "pos", "pos"]).value == 12
    assert loaded(folder, against="target").needs == {"target"}


def test_numbers_are_read_from_the_text(script):
    body = "return {'error': sum(abs(p - r) for p, r in zip(predictions, references)), 'n': len(predictions)}"
    floats = 'datasets.Value("float32")'
    folder = script("numbers", body, predictions=floats, references=floats)
    answers, golds = ["1.5", " 2 ", "many", "nan"], [["1"], ["4"], ["1"], ["1"]]
    assert score(loaded(folder, key="error"), answers, references=golds).value == 2.5
    assert score(loaded(folder, key="n"), answers, references=golds).value == 2


def test_a_measurement_needs_no_reference(script):
    body = "return {'length': [len(text) for text in data]}"
    folder = script(
        "length", body, predictions=None, references=None, data='datasets.Value("string")', arguments="data"
    )
    metric = loaded(folder, against="nothing")
    assert metric.needs == frozenset()
    assert score(metric, ["abc", "a"]).value == 2.0


def test_arguments_and_nested_keys(script):
    body = "return {'by': {power: sum(len(p) ** power for p in predictions)}, 'other': 1}"
    folder = script("powers", body, arguments="predictions, references, power='1'")
    folder.joinpath("powers.py").write_text(
        folder.joinpath("powers.py").read_text().replace("** power", "** int(power)")
    )
    metric = loaded(folder, key="by.3", arguments={"power": "3"})
    assert score(metric, ["ab", "c"], references=[["x"], ["y"]]).value == 9
    assert "power" in metric.signature


def test_the_signature_is_of_the_code_and_not_of_the_place(script, tmp_path):
    folder = script("exact", EXACT)
    before = loaded(folder).signature
    elsewhere = tmp_path / "deeper" / "exact"
    elsewhere.mkdir(parents=True)
    elsewhere.joinpath("exact.py").write_text(folder.joinpath("exact.py").read_text())
    assert EvaluateMetric(path=str(elsewhere)).for_run(base=tmp_path, allow_code=True).signature == before
    script("exact", EXACT + "  # changed")
    assert loaded(folder).signature != before
    assert "|name:exact|" in before
    assert "|evaluate:0." in before


def test_what_one_sample_alone_cannot_have_is_nan(script):
    body = """
    if len(predictions) < 2:
        raise ValueError("two at least")
    return {'n': len(predictions)}
    """
    metric = loaded(script("pairs", body))
    found = score(metric, ["a", "b"], references=[["x"], ["y"]])
    assert found.value == 2
    assert np.isnan(found.values).all()
    with pytest.raises(UsageError, match="pairs: compute failed: ValueError: two at least"):
        score(metric, ["a"], references=[["x"]])


@pytest.mark.parametrize(
    ("body", "options", "words"),
    [
        ("return {'a': 1, 'b': 2}", {}, "returns 'a', 'b'; say which one is the figure with the option key"),
        ("return {'a': 1, 'b': 2}", {"key": "c"}, "returns no 'c'; it returns: 'a', 'b'"),
        ("return {'a': 'text', 'b': 1}", {"key": "a"}, "'a' of the module 'made' is no number but str"),
        ("return {'a': 'text'}", {}, "say which one"),
    ],
)
def test_what_is_returned_must_have_the_figure(script, body, options, words):
    with pytest.raises(UsageError, match="evaluate: ") as caught:
        score(loaded(script("outputs", body), **options), ["a"], references=[["a"]])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"predictions": MANY}, "takes lists as predictions"),
        ({"references": 'datasets.Value("bool")'}, "of type bool"),
        ({"weights": 'datasets.Value("float32")'}, "needs the input 'weights'"),
    ],
)
def test_inputs_that_we_do_not_have(script, features, words):
    folder = script("inputs", "return {'n': 1}", arguments="**inputs", **features)
    with pytest.raises(UsageError, match=words):
        score(loaded(folder), ["a"], references=[["a"]])


def test_code_is_not_run_unasked(script):
    folder = script("exact", EXACT)
    folder.joinpath("exact.py").write_text("raise SystemError('it ran')")
    with pytest.raises(UsageError, match="pass --allow-code"):
        EvaluateMetric(path=str(folder)).for_run(base=folder, allow_code=False)
    with pytest.raises(UsageError, match="SystemError: it ran"):
        EvaluateMetric(path=str(folder)).for_run(base=folder, allow_code=True)
    with pytest.raises(UsageError, match="pass --allow-code"):
        score(EvaluateMetric(path=str(folder)), ["a"], references=[["a"]])
    unloaded, sample = EvaluateMetric(path=str(folder)), Sample(id="x", digest="", prompt="", references=("a",))
    rows = unloaded.sample_stats([sample], [Response(key="x", text="a")])
    with pytest.raises(UsageError, match="not loaded"):
        unloaded.finalize_rows(rows)


def test_no_such_script(script, tmp_path):
    script("exact", EXACT)
    with pytest.raises(UsageError, match="did you mean 'exact'"):
        EvaluateMetric(path="./exakt").for_run(base=tmp_path, allow_code=True)
    (tmp_path / "exact" / "exact.py").rename(tmp_path / "exact" / "other.py")
    with pytest.raises(UsageError, match=r"needs a script NAME\.py; it has: other\.py"):
        EvaluateMetric(path="./exact").for_run(base=tmp_path, allow_code=True)
    with pytest.raises(UsageError, match="has no revision 'v1'"):
        EvaluateMetric(path="./exact/other.py", revision="v1").for_run(base=tmp_path, allow_code=True)


def test_a_script_without_a_metric(tmp_path):
    folder = tmp_path / "nothing"
    folder.mkdir()
    (folder / "nothing.py").write_text("def exact(answer, gold):\n    return answer == gold\n")
    with pytest.raises(UsageError, match=r"holds no metric: a script needs a class that derives from evaluate\.Metric"):
        loaded(folder)


def test_the_hub_is_not_reached(tmp_path, monkeypatch):
    evaluate = import_evaluate(purpose="this test")

    def unreachable(*args, **options):
        raise FileNotFoundError("Couldn't find a module script")

    monkeypatch.setattr(evaluate, "load", unreachable)
    with pytest.raises(UsageError, match="the hub has no such module or cannot be reached; give the path of a local"):
        EvaluateMetric(path="no-such-org/no-such-metric").for_run(base=tmp_path, allow_code=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": " "}, "name a folder"),
        ({"path": "x", "lowest": 1.0, "highest": 0.0}, "lowest must be below highest"),
        ({"path": "x", "resamples": -1}, "resamples must be"),
        ({"path": "x", "labels": ("a", "a")}, "no label may stand twice"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(UsageError, match=words):
        EvaluateMetric(**options)


def test_evaluate_is_imported_without_what_its_evaluators_need():
    code = """
import sys
from evalharness.integrations.hf_evaluate.library import import_evaluate
package = import_evaluate(purpose="a test")
import evaluate
assert evaluate is package
assert not {"torch", "transformers", "tensorflow"} & set(sys.modules)
assert evaluate.Metric.__module__ == "evaluate.module"
try:
    evaluate.no_such_name
except AttributeError:
    print("ok")
assert callable(evaluate.evaluator) and evaluate.Metric is evaluate.module.Metric
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "ok\n", done.stderr
