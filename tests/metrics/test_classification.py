from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from evalharness.core.errors import UsageError
from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
from evalharness.metrics.averages import F1Binary, F1Macro, F1Micro, F1Weighted
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.classification import Accuracy, ConfusionMatrix, Mcc

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "classification.json"
NAMES = ["a", "b", "c", "d"]
ANSWERS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, None, "rubbish"])), min_size=1, max_size=25
)
SCORERS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}


def for_sklearn(pairs):
    """Gold and answer; whatever is no label is the one word "(other)", which is not among `labels`."""
    return [g for g, _ in pairs], [a if a in NAMES else "(other)" for _, a in pairs]


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
@pytest.mark.parametrize("what", SCORERS)
@given(pairs=ANSWERS)
def test_averages_equal_sklearn(what, average, pairs, make_labelled, figure):
    metric = registry("metrics").load(f"{what}_{average}")().for_task(tuple(NAMES))
    gold, answer = for_sklearn(pairs)
    expected = SCORERS[what](gold, answer, labels=NAMES, average=average, zero_division=0)
    assert figure(metric, *make_labelled(*zip(*pairs, strict=True))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("what", SCORERS)
@given(pairs=st.lists(st.tuples(st.sampled_from("np"), st.sampled_from(["n", "p", None])), min_size=1, max_size=20))
def test_binary_equals_sklearn(what, pairs, make_labelled, figure):
    metric = registry("metrics").load(f"{what}_binary")(positive="p").for_task(("n", "p"))
    gold = [g for g, _ in pairs]
    answer = [a or "(other)" for _, a in pairs]
    expected = SCORERS[what](gold, answer, labels=["p"], average="micro", zero_division=0)
    found = figure(metric, *make_labelled(*zip(*pairs, strict=True)))
    assert found == pytest.approx(expected, abs=1e-12)
    if None not in [a for _, a in pairs] and len({*gold, *answer}) == 2:
        expected = SCORERS[what](gold, answer, pos_label="p", average="binary", zero_division=0)
        assert found == pytest.approx(expected, abs=1e-12)


@given(pairs=ANSWERS)
def test_mcc_equals_sklearn(pairs, make_labelled, figure):
    gold, answer = for_sklearn(pairs)
    found = figure(Mcc().for_task(tuple(NAMES)), *make_labelled(*zip(*pairs, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where there is one class only
        expected = sk.matthews_corrcoef(gold, answer)
    assert found == pytest.approx(expected, abs=1e-12)


@given(pairs=ANSWERS)
def test_accuracy_and_matrix_equal_sklearn(pairs, make_labelled, figure):
    gold, answer = for_sklearn(pairs)
    batch = make_labelled(*zip(*pairs, strict=True))
    assert figure(Accuracy(), *batch) == pytest.approx(sk.accuracy_score(gold, answer), abs=1e-12)
    metric = ConfusionMatrix().for_task(tuple(NAMES))
    totals = metric.sample_stats(*batch).sum(axis=0)
    expected = sk.confusion_matrix(gold, answer, labels=[*NAMES, "(other)"])
    assert metric.matrix(totals).tolist() == expected.tolist()
    assert float(metric.finalize(totals)) == pytest.approx(sk.accuracy_score(gold, answer), abs=1e-12)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_shared_vectors(make_labelled, figure):
    table = json.loads(VECTORS.read_text())
    batch = make_labelled([str(y) for y in table["y"]], [str(p) for p in table["pred"]])
    for name, cls in {"f1_macro": F1Macro, "f1_micro": F1Micro, "f1_weighted": F1Weighted, "mcc": Mcc}.items():
        assert figure(cls().for_task(("0", "1", "2")), *batch) == pytest.approx(table[name], abs=1e-12)


def test_columns_of_the_matrix(make_labelled):
    metric = ConfusionMatrix().for_task(("yes", "no"))
    assert metric.columns[1:] == (
        "yes→yes", "yes→no", "yes→(other)", "no→yes", "no→no", "no→(other)",
        "(other)→yes", "(other)→no", "(other)→(other)",
    )  # fmt: skip
    stats = metric.sample_stats(*make_labelled(["yes", "no", "what"], ["no", None, None]))
    assert [metric.columns[i] for i in stats[:, 1:].argmax(axis=1) + 1] == ["yes→no", "no→(other)", "(other)→(other)"]
    assert metric.finalize(stats).tolist() == [0.0, 0.0, 0.0]


def test_a_large_matrix_is_refused_and_large_label_sets_are_not(make_labelled):
    many = tuple(f"label{i}" for i in range(300))
    with pytest.raises(UsageError, match="90,601 columns"):
        _ = ConfusionMatrix().for_task(many).columns
    assert len(F1Macro().for_task(many).columns) == 901


def test_answers_outside_the_set_are_wrong_and_no_class(make_labelled, figure):
    batch = make_labelled(["a", "b"], ["a", "zzz"])
    assert figure(F1Macro(labels=("a", "b")), *batch) == pytest.approx(0.5)
    assert figure(F1Micro(labels=("a", "b")), *batch) == pytest.approx(2 / 3)


def test_the_task_gives_the_labels_and_the_option_wins():
    assert F1Macro().for_task(("x", "y")).labels == ("x", "y")
    assert F1Macro(labels=("p", "q")).for_task(("x", "y")).labels == ("p", "q")
    with pytest.raises(UsageError, match="needs the label set"):
        _ = F1Macro().columns
    with pytest.raises(MetricOptionError, match="distinct"):
        F1Macro(labels=("a", "a"))
    with pytest.raises(MetricOptionError, match="list of names"):
        F1Macro(labels="ab")


@pytest.mark.parametrize(
    ("labels", "positive"),
    [(("negative", "positive"), "positive"), (("yes", "no"), "yes"), (("False", "True"), "True"), (("0", "1"), "1")],
)
def test_binary_finds_the_positive_label(labels, positive):
    assert F1Binary().for_task(labels).positive == positive


@pytest.mark.parametrize("labels", [("ham", "spam"), ("yes", "true"), ("a", "b", "positive"), ("only",)])
def test_binary_refuses_to_guess(labels):
    with pytest.raises(UsageError, match="which label is the positive one"):
        F1Binary().for_task(labels)


def test_binary_refuses_a_label_that_is_not_there():
    with pytest.raises(UsageError, match=r"'Spam' is none of the task's labels.*did you mean 'spam'"):
        F1Binary(positive="Spam").for_task(("ham", "spam"))
    with pytest.raises(UsageError, match="needs the label set"):
        F1Binary().for_task(())


def test_binary_among_many_labels_is_one_against_the_rest(make_labelled, figure):
    gold, answer = ["a", "b", "c", "a"], ["a", "a", "c", "b"]
    expected = sk.f1_score(gold, answer, labels=["a"], average="macro")
    assert figure(F1Binary(positive="a").for_task(("a", "b", "c")), *make_labelled(gold, answer)) == expected


def test_text_is_its_own_label_where_nothing_was_read(figure):
    sample = Sample(id="x", digest="", prompt="", target="yes")
    assert figure(Accuracy(), [sample], [Response(key="x", text=" yes\n")]) == 1.0
    assert figure(Accuracy(), [sample], [Response(key="x", text="yes", status="unparsed")]) == 0.0
    assert figure(Accuracy(), [sample], [Response(key="x", text="no", answer="yes")]) == 1.0


def test_mcc_of_one_class_is_zero(make_labelled, figure):
    assert figure(Mcc(labels=("a", "b")), *make_labelled(["a", "a"], ["a", "a"])) == 0.0
    assert figure(Mcc(labels=("a", "b")), *make_labelled(["a", "b"], ["b", "a"])) == -1.0


def test_many_classes_fit_in_memory(make_labelled):
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(300)))
    gold, answer = ([str(i) for i in rng.integers(0, 300, 2000)] for _ in range(2))
    stats = F1Macro(labels=names).sample_stats(*make_labelled(gold, answer))
    assert stats.nbytes == 2000 * 901 * 8


SETS = st.sets(st.sampled_from(["x", "y", "z"]))


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
@pytest.mark.parametrize("what", SCORERS)
@given(
    pairs=st.lists(st.tuples(SETS, SETS), min_size=1, max_size=12).filter(
        lambda p: len(set().union(*(g for g, _ in p))) > 1
    )
)
def test_multi_label_equals_sklearn(what, average, pairs, make_labelled, figure):
    golds = [json.dumps(sorted(g, reverse=True)) for g, _ in pairs]  # not in canonical form
    answers = [json.dumps(sorted(a), separators=(",", ":")) for _, a in pairs]
    metric = registry("metrics").load(f"{what}_{average}")().for_task(tuple(sorted(set(golds))))
    names = sorted(set().union(*(g for g, _ in pairs)))
    assert metric.labels == tuple(names)
    hot = [[[name in s for name in names] for s in side] for side in zip(*pairs, strict=True)]
    expected = SCORERS[what](np.array(hot[0]), np.array(hot[1]), average=average, zero_division=0)
    batch = make_labelled(golds, answers)
    assert figure(metric, *batch) == pytest.approx(expected, abs=1e-12)
    assert figure(Accuracy(), *batch) == pytest.approx(np.mean([g == a for g, a in pairs]), abs=1e-12)


def test_a_list_is_no_label_where_gold_is_none(make_labelled, figure):
    batch = make_labelled(["a", "b"], ['["a"]', "b"])
    assert figure(F1Micro(labels=("a", "b")), *batch) == pytest.approx(2 / 3)
    assert figure(Accuracy(), *batch) == 0.5


@pytest.mark.parametrize("answer", [None, "not a list", "[1]", "[", '"x"'])
def test_an_unreadable_list_answers_nothing(answer, make_labelled, figure):
    metric = F1Micro().for_task(('["x"]', '["x","y"]'))
    assert figure(metric, *make_labelled(['["x"]'], [answer])) == 0.0
    assert figure(Accuracy(), *make_labelled(['["x"]'], [answer])) == 0.0


def test_labels_that_stand_in_brackets_stay_single_labels(make_labelled, figure):
    metric = F1Macro(labels=("[A]", '["B"]'))
    assert figure(metric, *make_labelled(["[A]", '["B"]'], ["[A]", '["B"]'])) == 1.0
