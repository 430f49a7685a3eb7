"""The preset for compressed and fine-tuned models: what is kept, within which margin, and what cannot be told."""

import dataclasses
import math

import pytest

from evalharness.compare.compression import Compressed, CompressionRow, _bytes, _retained, _size
from evalharness.compare.records import compare_records
from evalharness.compare.subjects import FigurePair
from evalharness.core.errors import UsageError

GOLD = "the cat sat on the mat by the door"
OTHER = "something else"


def texts(right):
    return [f"{GOLD} {i}" if good else OTHER for i, good in enumerate(right)]


def answers(n_right, n=60, model="m"):
    return {("qa", model): texts([True] * n_right + [False] * (n - n_right))}


def lines(found, aspect):
    return {row.metric: row for row in found.compression if row.aspect == aspect}


def test_what_is_kept_lost_and_open(make_run):
    base = make_run(answers(60))
    for n_right, margin, said in ((60, 0.1, "kept"), (30, 0.1, "lost"), (57, 0.05, "open"), (57, 0.3, "kept")):
        found = compare_records([make_run(answers(n_right))], base, preset="compression", margin=margin)
        row = lines(found, "retained")["exact_match"]
        assert (row.kept, row.margin) == (said, margin)
        assert row.value == pytest.approx((n_right - 60) / 60)
        assert row.low <= row.value <= row.high


def test_flips_count_both_ways_and_time_is_a_ratio(make_run):
    base = make_run({("qa", "m"): texts([True] * 40 + [False] * 20)})
    found = compare_records([make_run({("qa", "m"): texts([False] * 10 + [True] * 50)})], base, preset="compression")
    row = lines(found, "flips")["exact_match"]
    assert row.value == pytest.approx(30 / 60)
    assert math.isnan(row.low)
    assert not lines(found, "kl")
    assert not lines(found, "size")  # the records do not say how large the models were


def test_without_the_preset_nothing_is_said(make_run):
    base = make_run(answers(60))
    assert compare_records([make_run(answers(30))], base).compression == ()
    for wrong in ({"preset": "compresion"}, {"preset": "compression", "margin": 1.5}):
        with pytest.raises(UsageError, match=r"preset|margin"):
            compare_records([make_run(answers(30))], base, **wrong)


def figure_like(found, **more):
    return dataclasses.replace(found.of("figures")[0], **more)


def test_margins_follow_the_range_or_the_base(make_run):
    found = compare_records([make_run(answers(50))], make_run(answers(60)))
    worse_up = figure_like(found, higher_is_better=False, difference=0.3, low=0.1, high=0.5, baseline=10.0)
    unbounded = _retained("c", worse_up, (0.0, math.inf), 0.02)
    assert (unbounded.margin, unbounded.kept) == (pytest.approx(0.2), "open")
    assert _retained("c", worse_up, (0.0, math.inf), 0.06).kept == "kept"
    assert _retained("c", worse_up, (0.0, math.inf), 0.005).kept == "lost"
    assert _retained("c", worse_up, (0.0, 100.0), 0.02).margin == pytest.approx(2.0)
    nothing = figure_like(found, low=math.nan, high=math.nan)
    assert _retained("c", nothing, (0.0, 1.0), 0.02).kept == "open"


def test_time_is_the_candidates_over_the_bases(make_run):
    metrics = ("exact_match", "latency_mean_s")
    base, slow = (make_run({("qa", "m"): [text] * 60}, metrics=metrics) for text in (OTHER, OTHER * 40))
    (row,) = lines(compare_records([slow], base, preset="compression"), "speed").values()
    assert row.metric == "latency_mean_s"
    assert row.value > 2  # a longer text takes longer there


class _Manifest:
    execution = {  # noqa: RUF012
        "work": {
            "big": {"weights": {"bytes": 1000, "n_parameters": 5}},
            "small": {"weights": {"bytes": 250, "n_parameters": 5}},
            "api": {"batches": []},
        }
    }


class _Record:
    manifest = _Manifest()


def test_the_size_is_the_candidates_over_the_bases(make_run):
    result = make_run(answers(60)).results[0]
    pairs = [FigurePair(dataclasses.replace(result, model="small"), dataclasses.replace(result, model="big"))]
    (row,) = _size(Compressed("c", _Record(), _Record(), pairs, ()))
    assert (row.value, row.n) == (0.25, 250)
    unknown = [FigurePair(dataclasses.replace(result, model="api"), dataclasses.replace(result, model="big"))]
    assert not list(_size(Compressed("c", _Record(), _Record(), unknown, ())))


def test_the_size_is_what_the_record_says():
    assert _bytes(_Record(), "big") == 1000
    assert _bytes(_Record(), "api") == 0
    assert _bytes(_Record(), "nobody") == 0


def test_rows_are_plain_values():
    row = CompressionRow("c", "t", "m", "size", 0.5, math.nan, math.nan, 12)
    assert dataclasses.asdict(row)["kept"] is None
