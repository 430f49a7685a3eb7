"""Our metrics as modules of evaluate: the figure is that of our own function."""

from __future__ import annotations

import math
import pickle

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.registry import registry
from evalharness.integrations.hf_evaluate import module
from evalharness.integrations.hf_evaluate.library import import_evaluate
from evalharness.metrics.bleu import Bleu
from evalharness.metrics.functional import score

ANSWERS = ["the cat sat on the mat .", "a dog", "naïve café 🙂"]
GOLDS = [["the cat is on the mat .", "a cat sat on the mat ."], ["the dog", "a dog"], ["naive café", "naïve café"]]


@pytest.mark.parametrize("name", ["bleu", "chrf", "rougeL", "exact_match", "token_f1", "contains", "nltk_bleu"])
def test_metrics_of_texts(name):
    found = module(name).compute(predictions=ANSWERS, references=GOLDS)
    assert found == {name: score(name, ANSWERS, references=GOLDS).value}
    single = [golds[0] for golds in GOLDS]
    assert module(name).compute(predictions=ANSWERS, references=single) == {
        name: score(name, ANSWERS, references=[[gold] for gold in single]).value
    }


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "mcc"])
def test_metrics_of_labels(name):
    answers, golds = ["a", "b", "b", "c"], ["a", "b", "c", "c"]
    found = module(name).compute(predictions=answers, references=golds)
    assert found == {name: score(name, answers, targets=golds).value}


def test_options():
    found = module("bleu", tokenize="char", lowercase=True).compute(predictions=ANSWERS, references=GOLDS)
    assert found["bleu"] == score(Bleu(tokenize="char", lowercase=True), ANSWERS, references=GOLDS).value
    with pytest.raises(UsageError, match="metric 'bleu': tokenize"):
        module("bleu", tokenize="none such")
    with pytest.raises(UsageError, match="did you mean 'bleu'"):
        module("blue")


def test_labels_may_be_numbers():
    predictions, references = [0, 1, 1, 2], [0, 1, 0, 1]
    texts = [str(number) for number in predictions]
    made = module("f1_macro")
    expected = score("f1_macro", texts, targets=[str(number) for number in references]).value
    assert made.compute(predictions=predictions, references=references) == {"f1_macro": expected}
    assert made.compute(predictions=texts, references=["0", "1", "0", "1"]) == {"f1_macro": expected}
    made = module("accuracy")
    made.add(prediction=1, reference=1)
    made.add(prediction=0, reference=1)
    assert made.compute() == {"accuracy": 0.5}
    together = import_evaluate(purpose="this test").combine([module("accuracy"), module("f1_macro")])
    assert together.compute(predictions=predictions, references=references)["f1_macro"] == expected


def test_nothing_to_measure():
    assert math.isnan(module("accuracy").compute(predictions=[], references=[])["accuracy"])
    assert math.isnan(module("bleu").compute(predictions=[], references=[])["bleu"])


def test_it_can_be_pickled():
    made = pickle.loads(pickle.dumps(module("bleu", tokenize="char")))
    assert made.compute(predictions=ANSWERS, references=GOLDS) == module("bleu", tokenize="char").compute(
        predictions=ANSWERS, references=GOLDS
    )


def test_code_is_not_run_by_a_module():
    with pytest.raises(UsageError, match="code_execution runs Python code"):
        module("code_execution")


@pytest.mark.parametrize(
    "name",
    [
        "latency_p95_s",
        "word_perplexity",
        "error_rate",
        "output_chars",
        "bbq_bias",
        "pro_anti_gap",
        "over_refusal_rate",
        "balanced_refusal",
        "maj_at_k",
    ],
)
def test_what_answers_do_not_show_is_refused(name):
    with pytest.raises(UsageError, match="run it in a suite"):
        module(name)


def test_it_is_a_module_of_evaluate():
    evaluate = import_evaluate(purpose="this test")
    made = module("token_f1")
    assert isinstance(made, evaluate.Metric)
    assert isinstance(made, evaluate.EvaluationModule)
    assert made.name == "token_f1"
    assert made.module_type == "metric"
    assert made.description.startswith(registry("metrics").describe("token_f1").splitlines()[0])
    assert "Rajpurkar" in made.citation
    assert "references" in made.inputs_description
    made.add(prediction="a dog", reference=["a dog"])
    made.add_batch(predictions=["a cat"], references=[["a dog"]])
    assert made.compute() == {"token_f1": score("token_f1", ["a dog", "a cat"], references=[["a dog"]] * 2).value}


def test_two_modules_together():
    evaluate = import_evaluate(purpose="this test")
    both = evaluate.combine([module("exact_match"), module("contains")])
    found = both.compute(predictions=["a b", "c"], references=["a", "c"])
    assert found == {"exact_match": 0.5, "contains": 1.0}
