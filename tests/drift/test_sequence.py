from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.integrate import quad

from evalharness.core.errors import UsageError
from evalharness.drift.sequence import WindowSequence, alpha_of_run_length, threshold_of_run_length
from evalharness.stats.e_values import e_value, shiryaev_roberts


@pytest.mark.parametrize("p", [1.0, 0.9999, 0.99995, 0.5, 0.05, 1e-3, 1e-8])
def test_e_values_are_the_mean_of_the_power_calibrators(p):
    wanted = quad(lambda kappa: kappa * p ** (kappa - 1), 0, 1)[0]
    assert e_value([p])[0] == pytest.approx(wanted, rel=1e-6)


def test_an_e_value_is_one_on_average():
    # The integral over uniform p-values; near 0 by u = 1/-log p.
    head = quad(lambda p: float(e_value([p])[0]), 1e-6, 1)[0]
    tail = quad(lambda x: float(e_value([math.exp(-x)])[0]) * math.exp(-x), -math.log(1e-6), 600)[0]
    assert head + tail == pytest.approx(1.0, abs=0.003)  # what lies beyond p = exp(-600) is 1/600
    assert head + tail < 1


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1])
def test_no_p_value(p):
    with pytest.raises(ValueError, match="must lie above 0"):
        e_value([p])


def test_a_window_that_says_nothing_counts_one():
    assert e_value([math.nan])[0] == 1.0


def test_the_detector_is_the_sum_of_products():
    e = [0.5, 3.0, 2.0, 0.7]
    log = -math.inf
    for t, value in enumerate(e, start=1):
        log = shiryaev_roberts(log, value)
        assert math.exp(log) == pytest.approx(sum(math.prod(e[j:t]) for j in range(t)))
    assert shiryaev_roberts(3.0, 0.0) == -math.inf
    with pytest.raises(ValueError, match="cannot be negative"):
        shiryaev_roberts(0.0, -1.0)


def run(chance, n_windows, columns, *, run_length, change=None, strength=0.3):
    """The window of the first ring; 0 where none rings. p-values are one-sided normal ones."""
    sequence = WindowSequence(run_length)
    for t in range(1, n_windows + 1):
        p = chance.random(columns)
        if change is not None and t > change:
            p[0] = p[0] ** (1 / strength)
        sequence, rung = sequence.step({f"c{i}": float(max(v, 1e-12)) for i, v in enumerate(p)})
        if rung:
            return t, rung
    return 0, ()


@pytest.mark.parametrize("columns", [1, 20])
def test_without_drift_it_rings_no_sooner_than_it_says(columns):
    """Within t windows with a chance of t/(4N) at most."""
    chance = np.random.default_rng(5)
    rung = sum(run(chance, 60, columns, run_length=30)[0] > 0 for _ in range(400))
    assert rung / 400 <= 60 / 120 + 3 * math.sqrt(0.25 / 400)
    assert rung / 400 < 0.5


def test_a_small_change_that_stays_is_found_and_named():
    chance = np.random.default_rng(6)
    found = [run(chance, 200, 5, run_length=365, change=50) for _ in range(40)]
    delays = [t - 50 for t, _ in found if t > 50]
    assert len(delays) >= 36
    assert np.median(delays) < 40
    assert all(names[0] == "c0" or "c0" in names for t, names in found if t > 50)


def test_what_has_rung_starts_anew():
    sequence, rung = WindowSequence(10).step({"a": 1e-12, "b": 0.9})
    assert rung == ("a",)
    assert sequence.windows == 0
    assert sequence.evidence == 0.0


def test_a_column_that_comes_later_stands_where_silence_stands():
    sequence = WindowSequence(1000)
    for _ in range(5):
        sequence, _ = sequence.step({"a": math.nan})
    assert math.exp(sequence.logs["a"]) == pytest.approx(5)
    sequence, _ = sequence.step({"a": math.nan, "b": math.nan})
    assert sequence.logs["a"] == pytest.approx(sequence.logs["b"])
    sequence, _ = sequence.step({"b": 0.5})
    assert math.exp(sequence.logs["a"]) == pytest.approx(7), "a column that is missing says nothing"


def test_it_is_kept_as_json():
    sequence, _ = WindowSequence(50).step({"a": 0.01, "b": 0.5})
    again = WindowSequence.from_dict(json.loads(json.dumps(sequence.to_dict())))
    assert again == sequence
    fresh = WindowSequence(50, 0, {"a": -math.inf})
    assert WindowSequence.from_dict(json.loads(json.dumps(fresh.to_dict()))) == fresh
    with pytest.raises(ValueError, match="not the state"):
        WindowSequence.from_dict({"logs": {}})


def test_levels():
    assert alpha_of_run_length(365) == pytest.approx(1 / 1460)
    assert threshold_of_run_length(365) == 1460
    for wrong in (0, 1, math.nan, math.inf):
        with pytest.raises(UsageError, match="run_length"):
            alpha_of_run_length(wrong)
    assert WindowSequence(30).step({})[1] == ()
