from __future__ import annotations

import difflib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.common_runs import common_runs, longest_common_run

TEXTS = st.lists(st.lists(st.integers(-1, 3), max_size=14), max_size=5)


def plain(text, source):
    """By the table of all pairs of places: the twin that is slow and obvious."""
    table = np.zeros((len(text) + 1, len(source) + 1), dtype=int)
    for i, a in enumerate(text):
        for j, b in enumerate(source):
            if a == b and a >= 0:
                table[i + 1, j + 1] = table[i, j] + 1
    return table[1:].max(axis=1, initial=0).tolist()


@given(TEXTS, st.lists(st.integers(-1, 4), max_size=25))
def test_equals_the_plain_table(texts, source):
    found = common_runs(texts, source)
    assert [runs.tolist() for runs in found] == [plain(text, source) for text in texts]


@given(st.text("abc ", max_size=40), st.text("abcd ", max_size=40))
def test_longest_equals_difflib(first, second):
    match = difflib.SequenceMatcher(None, first, second, autojunk=False).find_longest_match()
    assert longest_common_run(list(map(ord, first)), list(map(ord, second))) == match.size


@pytest.mark.parametrize(
    ("texts", "source", "runs"),
    [
        ([], [1, 2], []),
        ([[]], [1, 2], [[]]),
        ([[1, 2]], [], [[0, 0]]),
        ([[7, 8]], [1, 2], [[0, 0]]),
        ([[1, 2, 3]], [9, 1, 2, 3, 9], [[1, 2, 3]]),
        ([[1, 2, -1, 2, 3]], [1, 2, 3], [[1, 2, 0, 1, 2]]),
        # What the second text reads is the end of a longer string of the first, which the source holds.
        ([[5, 1, 2], [1, 2]], [5, 1, 2], [[1, 2, 3], [1, 2]]),
        ([[1, 1, 1]], [1, 1], [[1, 2, 2]]),
    ],
)
def test_cases(texts, source, runs):
    assert [found.tolist() for found in common_runs(texts, source)] == runs


def test_arguments_stay_as_they_were():
    text, source = np.array([1, 2, 3]), np.array([2, 3])
    text.setflags(write=False)
    source.setflags(write=False)
    assert common_runs([text], source)[0].tolist() == [0, 1, 2]


def test_a_long_source_is_read_in_seconds():
    rng = np.random.default_rng(0)
    source = rng.zipf(1.3, 500_000) % 20_000
    texts = [source[i : i + 60] for i in range(0, 500_000, 10_000)]
    begin = time.process_time()
    found = common_runs(texts, source)
    assert time.process_time() - begin < 20
    assert [int(runs.max()) for runs in found] == [60] * 50
