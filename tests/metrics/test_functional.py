from __future__ import annotations

import pytest

from evalharness.core.errors import UsageError
from evalharness.metrics.bleu import Bleu
from evalharness.metrics.functional import score


def test_texts():
    found = score(Bleu(tokenize="13a"), ["the cat sat on it", "no"], references=[["the cat sat on it"], ["no", "nope"]])
    assert found.value == pytest.approx(100.0)
    assert found.values == pytest.approx([100.0, 100.0])
    assert "tok:13a" in found.signature


def test_labels():
    found = score("f1_macro", ["a", "b", "b"], targets=["a", "b", "c"])
    assert found.value == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert score("f1_macro", ["a"], targets=["a"], labels=["a", "b"]).value == 0.5


def test_clusters_reach_the_interval():
    found = score("accuracy", ["a"] * 4, targets=["a", "b", "a", "b"], clusters=["x", "x", "y", "y"])
    assert found.summary.method == "cluster-wilson"


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (("bleu", "a text"), {"references": [["a"]]}, TypeError, "answers must be a list of texts"),
        (("bleu", ["a"]), {"references": "a"}, TypeError, "one list of texts a sample"),
        (("bleu", ["a"]), {"references": ["a"]}, TypeError, r"references\[0\] must be a list of texts, not str"),
        (("bleu", [3]), {"references": [["a"]]}, TypeError, r"answers\[0\] must be a str, not int"),
        (("bleu", ["a", "b"]), {"references": [["a"]]}, ValueError, "2 answers but 1 references"),
        (("bleu", ["a"]), {}, ValueError, "bleu needs references"),
        (("accuracy", ["a"]), {"targets": "a"}, TypeError, "targets must be a list"),
        (("accuracy", ["a"]), {"references": [["a"]]}, ValueError, "accuracy needs targets"),
        (("rouge", ["a"]), {}, UsageError, "unknown metric 'rouge'"),
        (("word_perplexity", ["a"]), {}, UsageError, "likelihoods"),
    ],
)
def test_refuses(args, options, error, message):
    with pytest.raises(error, match=message):
        score(*args, **options)
