from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from evalharness.stats.bradley_terry import ELO, bradley_terry, separate_groups

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "bradley_terry.json"
WINS = np.array([[0, 7, 9, 10], [3, 0, 6, 8], [1, 4, 0, 7], [0, 2, 3, 0]], dtype=float)


def by_mm(wins, steps=20_000):
    """Hunter 2004: p_i ← W_i / Σ_j n_ij/(p_i + p_j), of geometric mean 1."""
    k = len(wins)
    p = np.ones(k)
    for _ in range(steps):
        p = np.array(
            [
                wins[i].sum() / sum((wins[i, j] + wins[j, i]) / (p[i] + p[j]) for j in range(k) if j != i)
                for i in range(k)
            ]
        )
        p /= math.exp(np.log(p).mean())
    return p


def slope(wins, theta):
    games = wins + wins.T
    return wins.sum(axis=1) - (games / (1 + np.exp(theta - theta[:, None]))).sum(axis=1)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_shared_vectors():
    vectors = json.loads(VECTORS.read_text())
    fit = bradley_terry(vectors["wins_row_beats_col"])
    assert fit.strengths == pytest.approx(vectors["strength_geomean1"], abs=vectors["tolerance"])
    assert fit.elo == pytest.approx(vectors["elo_like_400log10"], abs=1e-4)


def test_reaches_what_mm_reaches():
    assert bradley_terry(WINS).strengths == pytest.approx(by_mm(WINS, 2000), rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_slope_is_zero_there(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 9))
    theta = rng.normal(0, 2, k)
    games = rng.integers(1, 200, (k, k))
    games = np.triu(games, 1) + np.triu(games, 1).T
    up = np.triu(rng.binomial(games, 1 / (1 + np.exp(theta - theta[:, None]))), 1).astype(float)
    wins = up + np.tril(games - up.T, -1) + 0.5 * (games > 0)
    fit = bradley_terry(wins)
    assert np.abs(slope(wins, fit.log_strengths)).max() < 1e-8 * wins.sum()
    assert fit.log_strengths.sum() == pytest.approx(0, abs=1e-10)


def test_two_items():
    fit = bradley_terry([[0, 30], [10, 0]])
    assert fit.log_strengths == pytest.approx([math.log(3) / 2, -math.log(3) / 2], abs=1e-12)
    assert fit.elo[0] - fit.elo[1] == pytest.approx(ELO * math.log(3), abs=1e-9)
    assert fit.probabilities() == pytest.approx(np.array([[0.5, 0.75], [0.25, 0.5]]), abs=1e-12)
    # Var(θ1 − θ2) = 1/(n p (1 − p)), and each lies half of it from the mean.
    assert fit.standard_errors == pytest.approx([math.sqrt(1 / (40 * 0.75 * 0.25)) / 2] * 2, abs=1e-12)


def test_ties_are_half_wins():
    ties = np.array([[0, 4], [4, 0]])
    assert bradley_terry([[0, 3], [1, 0]], ties=ties).log_strengths == pytest.approx(
        bradley_terry([[0, 5], [3, 0]]).log_strengths, abs=1e-12
    )
    assert bradley_terry(np.zeros((2, 2)), ties=ties).log_strengths == pytest.approx([0, 0], abs=1e-12)


def test_wins_against_oneself_do_not_count():
    assert bradley_terry(WINS + np.diag([5, 0, 0, 2])).log_strengths == pytest.approx(
        bradley_terry(WINS).log_strengths, abs=1e-12
    )


def test_arguments_stay_as_they_were():
    wins = WINS.copy()
    wins.setflags(write=False)
    bradley_terry(wins, prior=0.5)
    assert (wins == WINS).all()


def test_far_apart_still_converges():
    fit = bradley_terry([[0, 1e6, 1e6], [1, 0, 1e6], [1, 1, 0]])
    assert np.isfinite(fit.log_strengths).all()
    assert fit.log_strengths[0] - fit.log_strengths[2] > 13


@pytest.mark.parametrize(
    ("wins", "groups"),
    [
        (WINS, [[0, 1, 2, 3]]),
        ([[0, 5], [0, 0]], [[0], [1]]),
        ([[0, 5, 4], [0, 0, 2], [0, 1, 0]], [[0], [1, 2]]),
        ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], [[0, 1], [2, 3]]),
        (np.zeros((3, 3)), [[0], [1], [2]]),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [[0, 1, 2]]),
    ],
)
def test_groups(wins, groups):
    assert separate_groups(wins) == groups
    if len(groups) > 1:
        with pytest.raises(ValueError, match=r"strengths do not exist.*compare them with one another.*prior"):
            bradley_terry(wins)
    else:
        bradley_terry(wins)


def test_a_prior_makes_strengths_of_wins_only():
    fit = bradley_terry([[0, 5, 4], [0, 0, 2], [0, 1, 0]], prior=0.5)
    assert np.isfinite(fit.log_strengths).all()
    assert fit.log_strengths.argmax() == 0
    assert bradley_terry([[0, 5], [0, 0]], prior=0.5).strengths == pytest.approx([math.sqrt(11), 1 / math.sqrt(11)])
    # Less of it leaves more of the difference.
    assert bradley_terry([[0, 5], [0, 0]], prior=0.1).elo[0] > bradley_terry([[0, 5], [0, 0]], prior=1).elo[0]


def test_a_prior_cannot_compare_what_was_not_compared():
    with pytest.raises(ValueError, match=r"between the items \[0, 1\] and \[2, 3\]: compare them with one another$"):
        bradley_terry([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], prior=1)


def test_errors_are_those_of_simulation():
    """The spread of strengths over 600 draws is their error, and the interval holds the truth in 95 %."""
    rng = np.random.default_rng(2)
    theta = np.array([0.8, 0.1, -0.9])
    p = 1 / (1 + np.exp(theta - theta[:, None]))
    found, errors, covered = [], [], []
    for _ in range(600):
        wins = np.zeros((3, 3))
        for i, j in ((0, 1), (0, 2), (1, 2)):
            wins[i, j] = rng.binomial(80, p[i, j])
            wins[j, i] = 80 - wins[i, j]
        fit = bradley_terry(wins)
        low, high = fit.interval()
        found.append(fit.log_strengths)
        errors.append(fit.standard_errors)
        covered.append((low <= theta) & (theta <= high))
    assert np.std(found, axis=0) == pytest.approx(np.mean(errors, axis=0), rel=0.1)
    assert np.mean(covered, axis=0) == pytest.approx(0.95, abs=0.03)


def test_robust_errors_of_independent_comparisons_are_the_plain_ones():
    rng = np.random.default_rng(3)
    units = np.zeros((3000, 3, 3))
    for unit in units:
        i, j = rng.choice(3, 2, replace=False)
        unit[i, j] = 1
    units[:, 0, 2] += 0.0
    fit = bradley_terry(units.sum(axis=0))
    assert fit.robust_covariance(units) == pytest.approx(fit.covariance, rel=0.15, abs=1e-5)


def test_robust_errors_see_comparisons_that_repeat_one_another():
    rng = np.random.default_rng(4)
    units = np.zeros((200, 2, 2))
    first = rng.random(200) < 0.6
    units[first, 0, 1] = units[~first, 1, 0] = 9  # nine raters who all say the same
    fit = bradley_terry(units.sum(axis=0))
    alone = bradley_terry(units.sum(axis=0) / 9)
    robust = fit.robust_errors(units)
    assert robust == pytest.approx(3 * fit.standard_errors, rel=0.02)
    assert robust == pytest.approx(alone.standard_errors, rel=0.02)
    assert np.isnan(fit.robust_covariance(units[:1])).all()


def test_verdicts_that_cancel_out_leave_no_error_and_no_warning():
    """Each unit has b lose to a and beat c as often: its strength does not vary with the units, rounding aside."""
    games = [(0, 1, 110, 23), (1, 2, 110, 23), (0, 2, 95, 31)]
    units = np.zeros((133, 3, 3))
    for one, other, won, lost in games:
        units[:won, one, other] += 1
        units[won : won + lost, other, one] += 1
    assert bradley_terry(units.sum(axis=0)).robust_errors(units)[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bradley_terry([[0, 1]]), "two items or more"),
        (lambda: bradley_terry([[0]]), "two items or more"),
        (lambda: bradley_terry([[0, -1], [1, 0]]), "0 and more"),
        (lambda: bradley_terry([[0, math.nan], [1, 0]]), "finite"),
        (lambda: bradley_terry(WINS, ties=[[0]]), "symmetric"),
        (lambda: bradley_terry(np.ones((2, 2)), ties=[[0, 1], [2, 0]]), "symmetric"),
        (lambda: bradley_terry(WINS, prior=-1), "prior"),
        (lambda: bradley_terry(WINS).interval(confidence=2), "confidence"),
        (lambda: bradley_terry(WINS).robust_covariance(WINS), "units must be"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
