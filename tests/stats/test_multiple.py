from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from evalharness.stats.multiple import benjamini_hochberg, benjamini_yekutieli, holm

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "multiple.json"
KERNELS = {"holm": holm, "fdr_bh": benjamini_hochberg, "fdr_by": benjamini_yekutieli}


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
@pytest.mark.parametrize("name", KERNELS)
def test_agrees_with_the_shared_vectors(name):
    table = json.loads(VECTORS.read_text())
    assert KERNELS[name](table["p"]) == pytest.approx(table[name], abs=1e-12)


@pytest.mark.parametrize("name", KERNELS)
@given(p=st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), min_size=1, max_size=30))
def test_equals_statsmodels(name, p):
    assert KERNELS[name](p) == pytest.approx(multipletests(p, method=name)[1], abs=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_a_missing_p_value_counts_as_no_test(name):
    p = np.array([0.03, math.nan, 0.01, math.nan, 0.2])
    found = KERNELS[name](p)
    assert np.isnan(found[[1, 3]]).all()
    assert found[[0, 2, 4]] == pytest.approx(KERNELS[name](p[[0, 2, 4]]))
    assert np.isnan(KERNELS[name]([math.nan])).all()
    assert KERNELS[name]([]).shape == (0,)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("bad", [[[0.1]], [1.2], [-0.1]])
def test_refuses(name, bad):
    with pytest.raises(ValueError, match="p-values must"):
        KERNELS[name](bad)
