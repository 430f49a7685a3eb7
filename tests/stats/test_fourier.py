import numpy as np
import pytest

from evalharness.stats.fourier import fourier_features, fourier_matrix, median_distance


def test_products_are_the_gaussian_kernel():
    values = np.random.default_rng(0).normal(size=(20, 5))
    z = fourier_features(values, fourier_matrix(5, 20_000, 2.0, seed=1))
    distances = ((values[:, None] - values[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(z @ z.T, np.exp(-distances / 8), atol=0.04)
    np.testing.assert_allclose((z * z).sum(axis=1), 1.0)


def test_the_matrix_is_fixed_by_its_seed():
    np.testing.assert_array_equal(fourier_matrix(3, 8, 1.0, seed=5), fourier_matrix(3, 8, 1.0, seed=5))
    for features, bandwidth in ((7, 1.0), (8, 0.0), (8, float("nan"))):
        with pytest.raises(ValueError, match="must be"):
            fourier_matrix(3, features, bandwidth, seed=0)


def test_median_distance():
    values = np.random.default_rng(0).normal(size=(300, 4))
    gaps = np.linalg.norm(values[:, None] - values[None], axis=2)[np.triu_indices(300, 1)]
    assert median_distance(values, seed=1) == pytest.approx(np.median(gaps), rel=0.05)
    assert median_distance(np.ones((5, 2)), seed=0) == 1.0
    assert median_distance(np.ones((1, 2)), seed=0) == 1.0
