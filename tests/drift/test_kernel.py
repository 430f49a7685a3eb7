import numpy as np
import pytest

from evalharness.drift.base import Features, Rows
from evalharness.drift.defaults import make_test
from evalharness.stats.fourier import fourier_features, fourier_matrix


def _unbiased_mmd(x, y, width):
    """Gretton et al. 2012, equation 3, in full matrices."""

    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=2) / (2 * width * width))

    n, m = len(x), len(y)
    xx, yy = kernel(x, x), kernel(y, y)
    inside = (xx.sum() - n) / (n * (n - 1)) + (yy.sum() - m) / (m * (m - 1))
    return inside - 2 * kernel(x, y).mean()


def test_the_effect_is_the_unbiased_mmd():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 8)), rng.normal(0.4, 1, size=(200, 8))
    found = make_test("mmd", {"features": 4096}).compare(Rows(x), Rows(y), seed=0)
    plain = _unbiased_mmd(x, y, found.detail["bandwidth"])
    assert found.effect**2 == pytest.approx(plain, rel=0.1)
    assert found.p_value < 1e-4


def _features(values, matrix, rng):
    z = fourier_features(values, matrix)
    groups = rng.integers(0, 64, len(values))
    sums = np.zeros((64, z.shape[1]))
    np.add.at(sums, groups, z)
    return Features(sums, np.bincount(groups, minlength=64).astype(float))


def test_a_state_finds_what_rows_find():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(400, 8)), rng.normal(0.17, 1, size=(300, 8))
    exact = make_test("mmd").compare(Rows(x), Rows(y), seed=0)
    matrix = fourier_matrix(8, 512, exact.detail["bandwidth"], seed=2)
    state = make_test("mmd").compare(_features(x, matrix, rng), _features(y, matrix, rng), seed=0)
    assert np.log(state.p_value) == pytest.approx(np.log(exact.p_value), rel=0.5)
    assert state.effect == pytest.approx(exact.effect, rel=0.35)


def test_the_law_of_a_state_holds_in_many_dimensions():
    rng = np.random.default_rng(3)
    matrix = fourier_matrix(20, 128, 6.0, seed=0)
    p = []
    for _ in range(150):
        windows = (_features(rng.normal(size=(n, 20)), matrix, rng) for n in (500, 200))
        p.append(make_test("mmd").compare(*windows, seed=0).p_value)
    p = np.array(p)
    assert (p <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 / 150)
    assert 0.38 < p.mean() < 0.62


def test_a_twentieth_of_rows_from_elsewhere_is_about_the_threshold():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(4000, 16)), rng.normal(size=(4000, 16))
    y[:200] = 3.0 + 0.2 * rng.normal(size=(200, 16))
    found = make_test("mmd").compare(Rows(x), Rows(y), seed=0)
    assert 0.03 < found.effect < 0.06
    assert found.p_value < 1e-4


def test_states_must_share_their_features():
    with pytest.raises(ValueError, match="same random features; got 4 and 6"):
        make_test("mmd").compare(Features(np.ones((3, 4)), np.ones(3)), Features(np.ones((3, 6)), np.ones(3)), seed=0)


def test_the_classifier_learns_directions_and_scales():
    rng = np.random.default_rng(5)
    test = make_test("classifier")
    x, y = rng.normal(size=(600, 12)), rng.normal(size=(500, 12))
    assert test.compare(Rows(x), Rows(y), seed=0).p_value > 0.01
    along = y + 0.25
    wider = y * 1.4
    for moved in (along, wider):
        found = test.compare(Rows(x), Rows(moved), seed=0)
        assert found.p_value < 1e-3
        assert found.effect > 0.05
        assert found.statistic == pytest.approx(found.effect + 0.5)


def test_the_classifiers_auc_is_that_of_its_scores_on_rows_it_has_not_seen():
    rng = np.random.default_rng(6)
    # Noise alone in many columns: a model that is judged on what it learnt from would look clever.
    x, y = rng.normal(size=(60, 80)), rng.normal(size=(60, 80))
    effects = [make_test("classifier").compare(Rows(x), Rows(y), seed=s).effect for s in range(20)]
    assert abs(np.mean(effects)) < 0.06
