from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.match import Contains, ExactMatch, Regex, TokenF1

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "squad_v1_cases.json"
TEXT = st.lists(
    st.sampled_from(["the", "A", "cat", "an", "dog!", "42.", "é", "—", "", "\u3000", "New York"]), max_size=8
).map(" ".join)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_official_squad_cases(make_pairs, figure):
    table = json.loads(VECTORS.read_text())
    for case in table["cases"]:
        pairs = make_pairs([case["prediction"]], [case["golds"]])
        assert figure(ExactMatch(), *pairs) == pytest.approx(case["em"], abs=table["tolerance"]), case
        assert figure(TokenF1(), *pairs) == pytest.approx(case["f1"], abs=table["tolerance"]), case


def squad_f1(answer, gold, *, version):
    """The official scripts' compute_f1, in their words (SQuAD v1.1 evaluate-v1.1.py, v2.0 evaluate-v2.0.py)."""
    from collections import Counter

    def words(text):
        kept = "".join(c for c in text.lower() if c not in set(string.punctuation))
        import re

        return re.sub(r"\b(a|an|the)\b", " ", kept).split()

    a, g = words(answer), words(gold)
    same = sum((Counter(a) & Counter(g)).values())
    if version == "v2.0" and (not a or not g):
        return int(a == g)
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(a), 1.0 * same / len(g)
    return (2 * precision * recall) / (precision + recall)


@pytest.mark.parametrize("version", ["v1.1", "v2.0"])
@given(answer=TEXT, golds=st.lists(TEXT, min_size=1, max_size=3))
def test_token_f1_equals_the_scripts(version, answer, golds, make_pairs, figure):
    expected = max(squad_f1(answer, gold, version=version) for gold in golds)
    assert figure(TokenF1(squad=version), *make_pairs([answer], [golds])) == pytest.approx(expected, abs=1e-12)


def test_both_empty_differ_by_version(make_pairs, figure):
    pairs = make_pairs(["the"], [["a"]])
    assert figure(ExactMatch(), *pairs) == 1.0
    assert figure(TokenF1(), *pairs) == 0.0
    assert figure(TokenF1(squad="v2.0"), *pairs) == 1.0


def test_unicode_words(make_pairs, figure):
    pairs = make_pairs(["北京"], [["北京市"]])
    assert figure(TokenF1(), *pairs) == 0.0
    assert figure(TokenF1(words="unicode"), *pairs) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("normalize", "answer", "gold", "expected"),
    [
        ("squad", " The  Cat! ", "cat", 1),
        ("strip", " cat\n", "cat ", 1),
        ("strip", "Cat", "cat", 0),
        ("none", "cat ", "cat", 0),
        ("none", "cat", "cat", 1),
    ],
)
def test_normalisation(normalize, answer, gold, expected, make_pairs, figure):
    assert figure(ExactMatch(normalize=normalize), *make_pairs([answer], [[gold]])) == expected


def test_the_answer_wins_over_the_text(figure):
    sample = Sample(id="x", digest="", prompt="", references=("42",))
    read = Response(key="x", text="I think it is 42 or so", answer="42")
    assert figure(ExactMatch(), [sample], [read]) == 1.0
    unparsed = Response(key="x", text="42", answer=None, status="unparsed")
    assert figure(ExactMatch(), [sample], [unparsed]) == 0.0


def test_contains(make_pairs, figure):
    pairs = make_pairs(["The capital is Paris."], [["paris", "capital"]])
    assert figure(Contains(), *pairs) == 1.0
    assert figure(Contains(which="all"), *pairs) == 0.0
    assert figure(Contains(which="all", ignore_case=True), *pairs) == 1.0
    assert figure(Contains(ignore_case=True), *make_pairs(["STRASSE"], [["straße"]])) == 1.0


def test_regex(make_pairs, figure):
    pairs = make_pairs(["Answer: 42"], [[r"^\d+$", r"\d+"]])
    assert figure(Regex(), *pairs) == 1.0
    assert figure(Regex(full=True), *pairs) == 0.0
    assert figure(Regex(pattern="answer"), *pairs) == 0.0
    assert figure(Regex(pattern="answer", ignore_case=True), *pairs) == 1.0


def test_a_fixed_pattern_needs_no_references(figure):
    metric = Regex(pattern=r"\d")
    assert metric.needs == frozenset()
    assert Regex().needs == {"references"}
    assert figure(metric, [Sample(id="x", digest="", prompt="")], [Response(key="x", text="7")]) == 1.0
    failed = Response(key="x", text="", status="error")
    assert figure(Regex(pattern=".*"), [Sample(id="x", digest="", prompt="")], [failed]) == 0.0


def test_bad_patterns(make_pairs):
    with pytest.raises(MetricOptionError, match=r"'\(' is no regular expression"):
        Regex(pattern="(")
    with pytest.raises(UsageError, match=r"sample '0': its reference '\['"):
        Regex().sample_stats(*make_pairs(["x"], [["["]]))


def test_none_compares_texts_as_they_came():
    samples = [Sample(id=str(i), digest="", prompt="", references=("4\n",)) for i in range(3)]
    # As the runner hands them on: the text, and the answer without white space at its ends, or what was read out of it.
    responses = [
        Response(key="0", text="4\n", answer="4"),
        Response(key="1", text="4", answer="4"),
        Response(key="2", text="It is 4\n", answer="4"),
    ]
    assert ExactMatch(normalize="none").values(samples, responses) == [1.0, 0.0, 0.0]
    assert ExactMatch(normalize="strip").values(samples, responses) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["exact_match", "contains", "numeric_match", "edit_similarity", "wer", "cer", "ter"])
def test_what_could_not_be_read_meets_no_empty_reference(name, figure):
    sample = Sample(id="x", digest="", prompt="", references=("",))
    metric = registry("metrics").load(name)()
    unread = figure(metric, [sample], [Response(key="x", text="Well …", status="unparsed")])
    empty = figure(metric, [sample], [Response(key="x", text="", answer="")])
    assert (unread, empty) == ((0.0, 1.0) if metric.higher_is_better else (100.0 if name == "ter" else 1.0, 0.0))
