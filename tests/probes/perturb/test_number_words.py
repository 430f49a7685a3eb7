from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.probes.perturb.number_words import LARGEST, number_in_words, read_number


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety-nine"),
        (100, "one hundred"),
        (1_000, "one thousand"),
        (1_342, "one thousand three hundred forty-two"),
        (2_000_017, "two million seventeen"),
        (LARGEST, "nine hundred ninety-nine billion nine hundred ninety-nine million nine hundred ninety-nine thousand "
                  "nine hundred ninety-nine"),
    ],
)  # fmt: skip
def test_cases(number, words):
    assert number_in_words(number) == words
    assert read_number(words) == number


@given(st.integers(0, LARGEST))
def test_there_and_back(number):
    assert read_number(number_in_words(number)) == number
    assert read_number(number_in_words(number).upper().replace("hundred ", "hundred and ")) == number


@pytest.mark.parametrize(
    "text", ["one two three", "twenty twelve", "hundred", "many", "thousand million", "two thousand thousand"]
)
def test_no_number(text):
    assert read_number(text) is None


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_out_of_range(number):
    with pytest.raises(ValueError, match="number must be from 0"):
        number_in_words(number)
