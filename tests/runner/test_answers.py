import math
import re

import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.runner.answers import best_choice, extracted, reader_for


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
