from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.lcs import lcs_indices, lcs_length, lcs_union

TOKENS = st.lists(st.sampled_from("abcd"), max_size=40)


def table(first, second):
    """The plain dynamic programme: t[i][j] of first[:i] and second[:j]."""
    t = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, x in enumerate(first, 1):
        for j, y in enumerate(second, 1):
            t[i][j] = t[i - 1][j - 1] + 1 if x == y else max(t[i - 1][j], t[i][j - 1])
    return t


@given(TOKENS, TOKENS)
def test_length_is_the_tables(first, second):
    assert lcs_length(first, second) == table(first, second)[-1][-1]


@given(TOKENS, TOKENS)
def test_indices_are_rouge_scores(first, second):
    from rouge_score.rouge_scorer import lcs_ind

    assert lcs_indices(first, second) == lcs_ind(first, second)


@given(TOKENS, TOKENS)
def test_indices_are_a_common_subsequence_of_that_length(first, second):
    indices = lcs_indices(first, second)
    assert indices == sorted(set(indices))
    assert len(indices) == lcs_length(first, second)
    rest = iter(second)
    assert all(first[i] in rest for i in indices)


@given(TOKENS, st.lists(TOKENS, max_size=4))
def test_the_union_is_of_each_by_itself(first, others):
    assert lcs_union(first, others) == sorted({i for other in others for i in lcs_indices(first, other)})


def test_longer_than_a_machine_word():
    first, second = [i % 7 for i in range(300)], [i % 5 for i in range(280)]
    assert lcs_length(first, second) == table(first, second)[-1][-1]


def test_empty():
    assert lcs_length([], ["a"]) == lcs_length(["a"], []) == 0
    assert lcs_indices([], []) == []
