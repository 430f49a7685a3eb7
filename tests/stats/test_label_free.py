"""Quality without labels: what calibrated probabilities say, and when nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from evalharness.stats.label_free import FIGURES, Fitness, Reference, estimates, fit_calibrator, fitness_of

FIT = Fitness(0.0, 0.0, 0.8, 0.7, 1.0, raw_is_better=False)


def drawn(n: int, rng: np.random.Generator, *, shift: float = 0.3, overconfident: float = 1.6, flipped: float = 0.0):
    """Stated probability, predicted positive, truth, and stated probability of the positive class."""
    logit = rng.normal(shift, 1.2, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-logit))
    truth ^= rng.random(n) < flipped
    stated = 1 / (1 + np.exp(-overconfident * logit))
    positive = stated >= 0.5
    return np.where(positive, stated, 1 - stated), positive, truth, stated


def reference(n: int, rng: np.random.Generator, **options) -> Reference:
    p, positive, truth, _ = drawn(n, rng, **options)
    return Reference(p, positive == truth, np.arange(n))


def everything(n: int) -> dict[str, np.ndarray]:
    return {"": np.ones(n, dtype=bool)}


def test_the_calibrator_is_isotonic_regression_drawn_to_the_mean_by_a_row_a_block():
    rng = np.random.default_rng(1)
    p = rng.choice(np.linspace(0.5, 1, 40), 400)
    right = (rng.random(400) < p).astype(float)
    theirs = IsotonicRegression().fit(p, right).predict(p)
    ours = fit_calibrator(p, right)(p)
    for value in np.unique(theirs):
        block = theirs == value
        assert ours[block] == pytest.approx((value * block.sum() + right.mean()) / (block.sum() + 1))
    weights = rng.integers(0, 3, 400).astype(float)
    repeated = np.repeat(np.arange(400), weights.astype(int))
    assert fit_calibrator(p, right, weights)(p) == pytest.approx(fit_calibrator(p[repeated], right[repeated])(p))


def test_figures_of_certain_outcomes_are_those_of_scikit_learn():
    _, positive, truth, stated = drawn(300, np.random.default_rng(2))
    right = (positive == truth).astype(float)
    assert FIGURES["accuracy"](right, positive, stated) == right.mean()
    assert FIGURES["f1"](right, positive, stated) == pytest.approx(f1_score(truth, positive))
    assert FIGURES["auroc"](right, positive, stated) == pytest.approx(roc_auc_score(truth, stated))
    assert FIGURES["brier"](right, positive, stated) == pytest.approx(brier_score_loss(truth, stated))


def test_a_shift_of_the_inputs_is_followed_and_intervals_cover():
    """60 pairs of windows: no bias beyond four standard errors, and at least 50 of 60 intervals hold the figure."""
    errors: dict[str, list[float]] = {}
    held: dict[str, int] = {}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        learned = reference(1500, rng)
        p, positive, truth, stated = drawn(600, rng, shift=1.2)
        found = estimates(learned, p, positive, fitness=FIT, groups=everything(600), n_draws=100, seed=seed)
        for (_, name), (value, bounds) in found.items():
            real = FIGURES[name]((positive == truth).astype(float), positive, stated)
            errors.setdefault(name, []).append(value - real)
            held[name] = held.get(name, 0) + (bounds.low <= real <= bounds.high)
    for name, found in errors.items():
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(60), name
        assert held[name] >= 50, name


def test_a_change_of_the_labels_themselves_is_not_seen():
    """Stated in the docs: half of the labels turn at random, and the estimate stays."""
    rng = np.random.default_rng(3)
    learned = reference(2000, rng)
    p, positive, truth, _ = drawn(2000, rng, flipped=0.5)
    value, _ = estimates(learned, p, None, fitness=FIT, groups=everything(2000), n_draws=20)["", "accuracy"]
    assert value - (positive == truth).mean() > 0.15


def test_raw_probabilities_that_are_right_are_kept():
    rng = np.random.default_rng(4)
    fitness = fitness_of(reference(3000, rng, overconfident=1.0))
    assert fitness.raw_is_better
    assert fitness.error < 0.01
    assert not fitness_of(reference(3000, rng, overconfident=3.0)).raw_is_better


def test_probabilities_that_say_nothing_have_no_area():
    rng = np.random.default_rng(5)
    fitness = fitness_of(Reference(rng.random(1000), rng.random(1000) < 0.8, np.arange(1000)))
    assert fitness.area_low < 0.5
    good = fitness_of(reference(1000, rng))
    assert 0.5 < good.area_low < good.area


def test_two_periods_in_one_reference_are_badly_calibrated_by_cluster():
    """What is right depends on the day, not on the probability: held-out days are off."""
    rng = np.random.default_rng(6)
    day = np.repeat(np.arange(5), 400)
    right = rng.random(2000) < np.where(day == 0, 0.2, 0.95)
    fitness = fitness_of(Reference(rng.uniform(0.6, 1.0, 2000), right, day))
    alone = fitness_of(Reference(rng.uniform(0.6, 1.0, 2000), right, np.arange(2000)))
    assert fitness.design > 50 > 1.5 > alone.design


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(7)
    learned = reference(1500, rng)
    p, positive, *_ = drawn(300, rng)
    one = estimates(learned, p, positive, fitness=FIT, groups=everything(300), n_draws=100)
    four = estimates(learned, p, positive, fitness=FIT._replace(design=4.0), groups=everything(300), n_draws=100)
    for key, (value, narrow) in one.items():
        assert four[key][0] == value
        assert four[key][1].high - four[key][1].low == pytest.approx(2 * (narrow.high - narrow.low), rel=0.2)


def test_groups_are_told_apart():
    rng = np.random.default_rng(8)
    learned = reference(1500, rng)
    p, positive, *_ = drawn(400, rng)
    sure = p > np.median(p)
    found = estimates(learned, p, positive, fitness=FIT, groups={"sure": sure, "not": ~sure}, n_draws=20)
    assert found["sure", "accuracy"][0] > found["not", "accuracy"][0] + 0.1
