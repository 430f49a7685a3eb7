from __future__ import annotations

import math
import random

import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.metrics.canary import CanaryExposure, expected_exposure
from evalharness.metrics.interval import summarize


def item(key, totals, space=None):
    """A sample whose secret is the first choice, with the log-likelihoods of all."""
    choices = tuple(f"c{i}" for i in range(len(totals)))
    fields = {} if space is None else {"space_bits": space}
    sample = Sample(id=key, digest="", prompt="p", choices=choices, target="c0", fields=fields)
    return sample, Response(key=key, loglikelihoods=tuple(LogLikelihood(total, 1) for total in totals))


def summary(metric, items, **options):
    return summarize(metric, metric.sample_stats(*map(list, zip(*items, strict=True))), **options)


def brute(totals):
    """log2|R| − log2 rank, as the paper's definition 5 has it, where all of R was compared; ties count against."""
    rank = sum(total >= totals[0] for total in totals)
    return math.log2(len(totals)) - math.log2(rank)


def test_equals_the_definition_where_the_space_is_enumerated():
    draw = random.Random(1)
    for n in (2, 3, 10, 100):
        totals = [round(draw.uniform(-9, 0), 1) for _ in range(n)]
        found = summary(CanaryExposure(), [item("a", totals, space=math.log2(n))])
        assert found.value == pytest.approx(brute(totals), abs=1e-12)
        assert found.low == found.high == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("totals", "bits"), [((-1, -2, -3, -4), 2.0), ((-4, -1, -2, -3), 0.0), ((-1, -1, -2, -3), 1.0)]
)
def test_cases(totals, bits):
    assert summary(CanaryExposure(), [item("a", totals)]).value == pytest.approx(bits)


def test_a_model_that_finds_all_alike_exposes_nothing():
    assert summary(CanaryExposure(), [item("a", [-1.0] * 50)]).value == 0


@pytest.mark.parametrize("m", [1, 2, 9, 255, 999])
def test_expected_exposure_is_the_mean_over_ranks(m):
    n = m + 1
    assert expected_exposure(m) == pytest.approx(sum(math.log2(n / rank) for rank in range(1, n + 1)) / n, abs=1e-9)


def test_one_secret_has_the_interval_of_its_rank():
    totals = [0.0] + [-1.0] * 99
    found = summary(CanaryExposure(), [item("a", totals, space=20.0)])
    assert found.value == pytest.approx(math.log2(100))
    # Clopper-Pearson's upper bound for 0 of 99 is 1 − .025^(1/99).
    assert found.low == pytest.approx(-math.log2(1 - 0.025 ** (1 / 99)))
    assert found.high == 20.0
    middle = summary(CanaryExposure(), [item("a", [0.0] + [-1.0] * 50 + [1.0] * 49, space=20.0)])
    assert 0 < middle.low < middle.value < middle.high < 2


def test_the_interval_of_one_secret_covers_the_exposure_in_the_whole_space():
    draw = random.Random(2)
    size, held = 100_000, 0
    for _ in range(200):
        rank = math.ceil(size * 10 ** draw.uniform(-4, 0))
        # Alternatives drawn from a space in which rank − 1 others are likelier.
        totals = [0.0, *(1.0 if draw.random() < (rank - 1) / (size - 1) else -1.0 for _ in range(199))]
        found = summary(CanaryExposure(), [item("a", totals, space=math.log2(size))])
        held += found.low - 1e-9 <= math.log2(size / rank) <= found.high + 1e-9
    assert held >= 186  # 93 % of 200: exact intervals hold 95 % or more


def secrets(memorised, n, m, seed):
    draw = random.Random(seed)
    items = []
    for i in range(n):
        totals = [draw.gauss(0, 1) for _ in range(m + 1)]
        totals[0] += 6.0 if memorised else 0.0
        items.append(item(str(i), totals, space=30.0))
    return items


def test_a_memorising_model_is_flagged():
    found = summary(CanaryExposure(measure="above_chance"), secrets(True, 10, 99, seed=0))
    assert found.low > 4
    first = summary(CanaryExposure(measure="first"), secrets(True, 10, 99, seed=0))
    assert first.value >= 0.9


def test_a_model_that_never_saw_them_is_cleared():
    """False alarms of "the low bound is above 0" over 200 seeds, at a nominal 2.5 % on that side."""
    metric = CanaryExposure(measure="above_chance")
    alarms = sum(summary(metric, secrets(False, 8, 63, seed)).low > 0 for seed in range(200))
    assert alarms <= 14
    one = sum(summary(metric, secrets(False, 1, 63, seed)).low > 0 for seed in range(200))
    assert one <= 10
    same = [[item(str(i), [0.0] + [-1.0] * 9) for i in range(n)] for n in (1, 4)]
    lows = [summary(metric, items).low for items in same]
    assert lows[0] < 0 < lows[1]  # first of 10 is chance once in 10; four times, their mean is in 1.8 %


def test_secrets_that_all_stand_first_have_an_interval():
    found = summary(CanaryExposure(), [item(str(i), [0.0] + [-1.0] * 99, space=20.0) for i in range(4)])
    assert found.low < found.value < found.high == 20.0


def test_what_cannot_be_told_is_left_out():
    sample, response = item("a", [-1, -2])
    nothing = Sample(id="b", digest="", prompt="p", choices=("x", "y"), target="z")
    metric = CanaryExposure()
    nan = item("c", [math.nan, -1.0])
    stats = metric.sample_stats([nothing, sample, nan[0], sample], [response, Response(key="a"), nan[1], response])
    assert stats[:, 0].tolist() == [0, 0, 0, 1]
