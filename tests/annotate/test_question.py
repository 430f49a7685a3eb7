"""Scales, labels and pairs: which key gives which answer, and what is no question."""

from __future__ import annotations

import pytest

from evalharness.annotate.question import label_question, pair_question, scale_question
from evalharness.core.errors import UsageError


@pytest.mark.parametrize(
    ("scale", "codes", "keys"),
    [
        ("1-5", "1 2 3 4 5", "1 2 3 4 5"),
        ("0-3", "0 1 2 3", "0 1 2 3"),
        ("3-6", "3 4 5 6", "3 4 5 6"),
        ("1-10", "1 2 3 4 5 6 7 8 9 10", "1 2 3 4 5 6 7 8 9 0"),
        ("0-10", "0 1 2 3 4 5 6 7 8 9 10", "0 1 2 3 4 5 6 7 8 9 x"),
        ("-2-2", "-2 -1 0 1 2", "1 2 3 4 5"),
        (" -1 .. +1 ", "-1 0 1", "1 2 3"),
        ("90-100", "90 91 92 93 94 95 96 97 98 99 100", "1 2 3 4 5 6 7 8 9 0 x"),
    ],
)
def test_a_scale(scale: str, codes: str, keys: str) -> None:
    question = scale_question(scale)
    assert [choice.code for choice in question.choices] == codes.split()
    assert [choice.key for choice in question.choices] == keys.split()
    assert (question.choices[0].hint, question.choices[-1].hint) == ("worst", "best")
    assert question.kind == "scale"


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ("5", "is no scale: write its least and its greatest whole number, as in 1-5"),
        ("5-1", "is no scale"),
        ("3-3", "is no scale"),
        ("1-2.5", "is no scale"),
        ("", "is no scale"),
        ("0-100", "has 101 points, and there is a key for 11 at most"),
        ("0-999999999", "has 1,000,000,000 points"),
    ],
)
def test_what_is_no_scale(scale: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scale_question(scale)


def test_labels() -> None:
    question = label_question(" good, not so good ,bad")
    assert [(c.key, c.code) for c in question.choices] == [("1", "good"), ("2", "not so good"), ("3", "bad")]
    assert question.codes == {"good", "not so good", "bad"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("good", "two labels or more"),
        ("good,,bad", "two labels or more"),
        ("good,bad,good", "'good' stands there twice"),
        (",".join("abcdefghijk"), "11 labels, and there is a key for 10"),
    ],
)
def test_what_are_no_labels(labels: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        label_question(labels)


def test_a_pair_is_answered_from_left_to_right() -> None:
    assert [(c.key, c.code) for c in pair_question().choices] == [("1", "a"), ("2", "tie"), ("3", "b")]


def test_the_words_of_a_question() -> None:
    assert scale_question("1-5", "  Is it\n true? ").asked == "Is it true?"
    assert scale_question("1-5", " ").asked == "How good is this answer?"
    assert label_question("a,b").asked == "Which label fits this answer?"
    assert pair_question().asked == "Which answer is better?"
