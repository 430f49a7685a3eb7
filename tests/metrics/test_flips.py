"""Pairs counted by hand, and by a plain double loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from evalharness.core.types import Response, Sample
from evalharness.metrics.flips import FlipRate
from evalharness.metrics.interval import summarize
from evalharness.runner.scoring import Answered, Figure, score_task


def asked(row, level, answer, *, status="ok", content=None, choices=(), fields=None, cluster=None):
    sample = Sample(
        id=f"{row}#{level}",
        digest=content or f"{row}/{level}",
        prompt="",
        groups={"perturbation": level},
        cluster=cluster or row,
        choices=choices,
        fields=fields or {},
    )
    return sample, Response(key=sample.id, status=status, text=answer, answer=answer if status == "ok" else None)


def share(metric, pairs):
    return float(metric.finalize_rows(metric.sample_stats(*zip(*pairs, strict=True))))


FOUR = [
    asked("a", "original", "yes"),
    asked("a", "typos", "yes"),
    asked("a", "case", "no"),
    asked("b", "original", "no"),
    asked("b", "typos", "yes"),
    asked("b", "case", "maybe"),
]


def test_pairs_by_hand():
    assert share(FlipRate(), FOUR) == 3 / 4
    assert share(FlipRate(levels=("typos",)), FOUR) == 1 / 2
    assert share(FlipRate(levels=("case",)), FOUR) == 1.0
    assert math.isnan(share(FlipRate(levels=("none",)), FOUR))
    assert math.isnan(share(FlipRate(), FOUR[:1]))
    assert math.isnan(share(FlipRate(), FOUR[1:3])), "without an original there is no pair"
    assert math.isnan(share(FlipRate(column="gender"), FOUR))


def test_questions_that_are_the_same_are_no_pairs():
    rows = [*FOUR, asked("b", "whitespace", "no", content="b/original")]
    assert share(FlipRate(), rows) == 3 / 4


@pytest.mark.parametrize(
    ("before", "after", "flipped"),
    [
        (("x", "ok"), ("x", "ok"), 0.0),
        (("x", "ok"), (" x\n", "ok"), 0.0),
        (("x", "ok"), ("X", "ok"), 1.0),
        (("x", "ok"), ("sorry", "refusal"), 1.0),
        (("sorry", "refusal"), ("no, never", "refusal"), 0.0),
        ((None, "unparsed"), (None, "unparsed"), 0.0),
        (("x", "ok"), (None, "unparsed"), 1.0),
        (("sorry", "refusal"), (None, "unparsed"), 1.0),
    ],
)
def test_what_counts_as_another_answer(before, after, flipped):
    pairs = [asked("a", "original", before[0], status=before[1]), asked("a", "v", after[0], status=after[1])]
    assert share(FlipRate(), pairs) == flipped


def test_normalization():
    pairs = [asked("a", "original", "The cat."), asked("a", "v", "cat")]
    assert share(FlipRate(), pairs) == 1.0
    assert share(FlipRate(normalize="squad"), pairs) == 0.0


def test_the_option_counts_and_not_its_letter():
    letters = ("A", "B", "C")
    original = asked("a", "original", "B", choices=letters)
    moved = {"option_order": [2, 0, 1]}  # what stood at B stands at C
    assert share(FlipRate(), [original, asked("a", "order", "C", choices=letters, fields=moved)]) == 0.0
    assert share(FlipRate(), [original, asked("a", "order", "B", choices=letters, fields=moved)]) == 1.0
    assert share(FlipRate(), [original, asked("a", "labels", "2", choices=("1", "2", "3"))]) == 0.0
    assert share(FlipRate(), [original, asked("a", "labels", "3", choices=("1", "2", "3"))]) == 1.0


def test_better_is_what_is_expected():
    assert not FlipRate().higher_is_better
    assert FlipRate(expect="change").higher_is_better


def test_repeats_vote():
    metric = FlipRate()
    rows = metric.sample_stats(*zip(*[asked("a", "original", x) for x in ("no", "yes", "yes")], strict=True))
    rows = np.concatenate(
        [rows, metric.sample_stats(*zip(*[asked("a", "v", x) for x in ("yes", "no", "yes")], strict=True))]
    )
    merged = metric.merge_repeats(rows, np.repeat([0, 1], 3))
    assert merged.shape == (2, 5)
    assert float(metric.finalize_rows(merged)) == 0.0


def test_options_that_are_wrong():
    with pytest.raises(ValueError, match="must not name the reference"):
        FlipRate(levels=("original", "typos"))
    with pytest.raises(ValueError, match="at least one"):
        FlipRate(levels=())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ovwx"), st.sampled_from("abc")), max_size=40))
def test_a_double_loop_counts_the_same(drawn):
    rows = {(row, level): answer for row, level, answer in drawn}
    pairs = [asked(str(row), {"o": "original"}.get(level, level), answer) for (row, level), answer in rows.items()]
    flips = [rows[key] != rows[key[0], "o"] for key in rows if key[1] != "o" and (key[0], "o") in rows]
    metric = FlipRate()
    stats = metric.sample_stats([s for s, _ in pairs], [r for _, r in pairs])
    found = float(metric.finalize_rows(stats))
    assert metric.n_measured(stats) == len(flips)
    assert found == pytest.approx(np.mean(flips)) if flips else math.isnan(found)


def test_one_variant_a_row_has_wilsons_interval():
    """Clusters of one pair each: Wilson's interval but for the t quantile in the place of z."""
    rng = np.random.default_rng(0)
    n = 4000
    pairs = [
        asked(str(i), level, a) for i in range(n) for level, a in (("original", "x"), ("v", rng.choice(["x", "y"])))
    ]
    metric = FlipRate()
    stats = metric.sample_stats(*zip(*pairs, strict=True))
    found = summarize(metric, stats, clusters=[s.cluster for s, _ in pairs])
    flipped = round(found.value * n)
    assert found.method == "cluster-wilson"
    assert (found.low, found.high) == pytest.approx(proportion_confint(flipped, n, method="wilson"), abs=2e-4)


def test_variants_that_flip_together_are_little_evidence():
    alike, apart = [], []
    for i in range(40):
        alike += [asked(str(i), "original", "x"), *(asked(str(i), f"v{k}", "y" if i % 2 else "x") for k in range(4))]
        apart += [
            asked(str(i), "original", "x"),
            *(asked(str(i), f"v{k}", "y" if (i + k) % 2 else "x") for k in range(4)),
        ]
    widths = []
    for pairs in (alike, apart):
        stats = FlipRate().sample_stats(*zip(*pairs, strict=True))
        found = summarize(FlipRate(), stats, clusters=[s.cluster for s, _ in pairs])
        assert found.value == 0.5
        widths.append(found.high - found.low)
    assert widths[0] > 1.7 * widths[1]


def test_no_flip_at_all_has_an_upper_bound():
    pairs = [asked(str(i), level, "x") for i in range(50) for level in ("original", "v")]
    found = summarize(
        FlipRate(), FlipRate().sample_stats(*zip(*pairs, strict=True)), clusters=[s.cluster for s, _ in pairs]
    )
    assert found.value == found.low == 0.0
    assert 0.03 < found.high < 0.12


def test_each_perturbation_has_its_own_in_the_groups():
    figure = Figure("flip_rate", FlipRate())
    made = score_task(
        "t", "m", [Answered(s, r) for s, r in FOUR], [figure], count_as="failure", confidence=0.95, seed=0,
        groups=["perturbation"],
    )  # fmt: skip
    results = {result.group: result for result in made.figures[0][1]}
    assert results[None].value == 0.75
    assert results[None].n == 4
    assert results["perturbation=typos"].value == 0.5
    assert results["perturbation=case"].value == 1.0
    assert results["perturbation=case"].n == 2
    assert math.isnan(results["perturbation=original"].value)


def test_a_failed_answer_is_no_pair():
    pairs = [*FOUR, asked("c", "original", None, status="error"), asked("c", "typos", "yes")]
    figure = Figure("flip_rate", FlipRate())
    made = score_task("t", "m", [Answered(s, r) for s, r in pairs], [figure], count_as="wrong", confidence=0.95, seed=0)
    assert made.figures[0][1][0].value == 0.75
    assert made.figures[0][1][0].n_failed == 1
