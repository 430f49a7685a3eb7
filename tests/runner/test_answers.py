import math
import re

import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.runner.answers import best_choice, extracted, named_choice, reader_for


def ll(*totals, tokens=1):
    return tuple(LogLikelihood(t, tokens) for t in totals)


def sample(**kwargs):
    return Sample(id="s", digest="d", prompt="p", **kwargs)


def test_the_likeliest_choice_wins_and_the_first_of_equals():
    assert best_choice(("a", "b", "c"), ll(-3.0, -1.0, -1.0)) == "b"
    assert best_choice(("a", "b"), ll(-1.0, -1.0)) == "a"


def test_length_normalisation_divides_by_tokens_or_by_bytes_of_the_choice():
    choices = ("no", "certainly not")
    found = (LogLikelihood(-2.0, 1), LogLikelihood(-3.0, 3))
    assert best_choice(choices, found) == "no"
    assert best_choice(choices, found, normalize="tokens") == "certainly not"
    assert best_choice(choices, found, normalize="bytes") == "certainly not"  # -3/13 > -2/2
    assert best_choice(("é", "ab"), ll(-2.0, -2.1), normalize="bytes") == "é"  # both have two bytes


def test_a_nan_is_never_chosen_and_only_nans_choose_nothing():
    assert best_choice(("a", "b"), ll(math.nan, -9.0)) == "b"
    assert best_choice(("a", "b"), ll(math.nan, math.nan)) is None


def test_a_missing_likelihood_is_our_fault_and_is_not_passed_over():
    with pytest.raises(ValueError, match="zip"):
        best_choice(("a", "b"), ll(-1.0))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"answer is (\w+)", "so the answer is B.", "B"),
        (r"\d+", "it is 42 or 43", "42"),
        (r"(x)|(y)", "y", None),
        (r"\d+", "none", None),
    ],
)
def test_extract_takes_the_first_group_else_the_match(pattern, text, expected):
    assert extracted(re.compile(pattern), text) == expected


def test_nothing_extracted_is_a_state_of_its_own():
    read = reader_for(choices=False, extract=r"\d+")
    assert read(sample(), Response("k", text="none")).status == "unparsed"
    assert read(sample(), Response("k", text="none", status="refusal")).status == "refusal"
    parsed = read(sample(), Response("k", text="it is 7", status="truncated"))
    assert (parsed.answer, parsed.status) == ("7", "truncated")


def test_the_answer_of_free_text_is_the_stripped_text_and_a_classifiers_own_is_kept():
    read = reader_for(choices=False)
    assert read(sample(), Response("k", text=" yes\n")).answer == "yes"
    assert read(sample(), Response("k", text="yes", answer="positive")).answer == "positive"


def test_failed_responses_pass_through_unread():
    failed = Response("k", status="error", error="boom")
    assert reader_for(choices=True)(sample(choices=("a",)), failed) is failed


@pytest.mark.parametrize(
    ("choices", "text", "expected"),
    [
        (("A", "B", "C"), "B", "B"),
        (("A", "B", "C"), " (b).\n", "B"),
        (("A", "B", "C"), "**C**", "C"),
        (("A", "B", "C"), "The answer is B", "B"),
        (("A", "B", "C"), "The answer is (B), since it is warm.", "B"),
        (("A", "B", "C"), "A dog barks.", None),  # a word, not a choice
        (("A", "B", "C"), "A) is wrong, so B.", None),  # two are named
        (("A", "B", "C"), "B is right", None),
        (("A", "B", "C"), "D", None),
        (("A", "B", "C"), "", None),
        (("yes", "no"), "Yes, of course.", "yes"),
        (("yes", "no"), "nobody knows", None),
        (("sure", "not sure"), "I am not sure.", "not sure"),
        (("sure", "not sure"), "Sure!", "sure"),
        (("sure", "not sure"), "sure or not sure", None),
        (("-1", "1"), "It is -1", "-1"),
        (("12", "1"), "It is 12", "12"),
        (("1.5", "5"), "It is 1.5 m", "1.5"),
        (("积极", "消极"), "这条评论是积极的", "积极"),
        (("x", "x"), "x", "x"),
        (("", "y"), "", None),
        (("", " "), "x", None),
    ],
)
def test_a_choice_is_named_where_it_is_the_only_one(choices, text, expected):
    assert named_choice(choices, text) == expected


def test_choices_by_generation_are_read_from_the_text_or_from_what_extract_finds():
    asked = sample(choices=("A", "B"))
    read = reader_for(choices=True, by_generation=True)
    assert read(asked, Response("k", text="B.")).answer == "B"
    assert read(asked, Response("k", text="I cannot say")).status == "unparsed"
    assert read(asked, Response("k", text="I cannot say", status="refusal")).status == "refusal"
    read = reader_for(choices=True, by_generation=True, extract=r"answer: (\w)")
    assert read(asked, Response("k", text="not B, answer: a")).answer == "A"
    assert read(asked, Response("k", text="B")).status == "unparsed"
    assert read(asked, Response("k", text="answer: D")).status == "unparsed"
