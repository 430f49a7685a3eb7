from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.pass_at_k import pass_all_k, pass_at_k

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "pass_at_k.json"


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_shared_vectors():
    table = json.loads(VECTORS.read_text())
    for case in table["cases"]:
        assert pass_at_k(case["n"], case["c"], case["k"]) == pytest.approx(case["v"], abs=table["tolerance"])


@given(n=st.integers(1, 300), data=st.data())
def test_equal_the_binomials(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    total = math.comb(n, k)
    assert pass_at_k(n, c, k) == pytest.approx(float(1 - Fraction(math.comb(n - c, k), total)), abs=1e-12)
    assert pass_all_k(n, c, k) == pytest.approx(float(Fraction(math.comb(c, k), total)), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_are_shares_of_all_draws(k):
    right = [True, False, True, False, False]
    draws = list(combinations(right, k))
    assert pass_at_k(5, 2, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)
    assert pass_all_k(5, 2, k) == pytest.approx(sum(map(all, draws)) / len(draws), abs=1e-12)


def test_too_few_answers():
    assert math.isnan(pass_at_k(3, 1, 4))
    assert math.isnan(pass_all_k(3, 1, 4))
    for bad in ((3, 4, 1), (3, -1, 1), (3, 1, 0)):
        with pytest.raises(ValueError, match="need 0 ≤ c ≤ n"):
            pass_at_k(*bad)
