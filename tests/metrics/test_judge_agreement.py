"""Figures of a judge against people: by the kernels' twins, and by what every metric must hold."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from evalharness.core.protocols import Metric
from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError, RowsMetric
from evalharness.metrics.interval import sample_values, summarize
from evalharness.metrics.judge_agreement import (
    JudgeAlpha,
    JudgeCorrelation,
    JudgeKappa,
    JudgeRankCorrelation,
    JudgeWeightedKappa,
    judge_figures,
)
from evalharness.metrics.judge_means import JudgeMean, JudgePpiMean
from evalharness.metrics.judged import judged_of
from evalharness.stats.agreement import krippendorff_alpha

NAN = math.nan
NAMES = [
    "faithful",
    "faithful_raw",
    "faithful_kappa",
    "faithful_weighted_kappa",
    "faithful_alpha",
    "faithful_correlation",
    "faithful_rank_correlation",
]
POINTS = (1.0, 2.0, 3.0, 4.0, 5.0)


def answer(value, human=(), verdicts=(), figure="faithful", **more):
    said = [{"judge": "j", "repeat": 0, "value": v, "status": "ok", "key": "k"} for v in verdicts]
    return Response(
        key="k", text="…", meta={"judged": {figure: {"value": value, "human": list(human), "verdicts": said, **more}}}
    )


def batch_of(pairs):
    responses = [answer(value, human) for value, human in pairs]
    return [Sample(id=str(i), digest="", prompt="") for i in range(len(pairs))], responses


def make_pairs(n=40, rated=25, seed=0):
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(n):
        judge = int(rng.integers(1, 6))
        human = [int(np.clip(judge + rng.integers(-1, 2), 1, 5)) for _ in range(1 + i % 2)] if i < rated else []
        pairs.append((float(judge), human))
    return pairs


PAIRS = [*make_pairs(), (None, [3]), (None, []), (2.5, [4])]
FIGURES = judge_figures("faithful", bounds=(1, 5), points=range(1, 6), calibrated=True)
CLASSES = judge_figures("faithful", bounds=(1, 5), points=range(1, 6), ordered=False, calibrated=True)
EVERY = [*FIGURES.values(), CLASSES["faithful_kappa"], CLASSES["faithful_alpha"]]
JUDGED = np.array([value for value, human in PAIRS if value is not None and human])
HUMAN = np.array([np.mean(human) for value, human in PAIRS if value is not None and human])


def value_of(metric, rows):
    if isinstance(metric, RowsMetric):
        return float(metric.finalize_rows(rows))
    return float(metric.finalize(rows.sum(axis=0)))


@pytest.fixture(params=EVERY, ids=lambda m: f"{m.name}{'' if getattr(m, 'ordered', True) else '-classes'}")
def metric(request):
    return request.param


@pytest.fixture
def stats(metric):
    found = metric.sample_stats(*batch_of(PAIRS))
    found.setflags(write=False)
    return found


def figure_of(metric, pairs):
    return value_of(metric, metric.sample_stats(*batch_of(pairs)))


# ── the figures ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_which_figures_there_are():
    assert list(FIGURES) == NAMES
    assert list(CLASSES) == ["faithful", "faithful_raw", "faithful_kappa", "faithful_alpha"]
    assert list(judge_figures("f", bounds=(0, 1))) == ["f"]
    assert type(judge_figures("f", bounds=(0, 1))["f"]) is JudgeMean
    free = judge_figures("f", bounds=(0, 1), points=np.linspace(0, 1, 101), calibrated=True)
    assert "f_kappa" not in free
    assert "f_alpha" in free


def test_the_mean_of_people_corrects_the_judge():
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 5, 500)
    pairs = [(float(y + 1), [int(y)] if i < 60 else []) for i, y in enumerate(truth)]
    assert figure_of(FIGURES["faithful_raw"], pairs) == pytest.approx(truth.mean() + 1)
    assert figure_of(FIGURES["faithful"], pairs) == pytest.approx(truth.mean(), abs=0.02)
    corrected, raw = (
        summarize(FIGURES[name], FIGURES[name].sample_stats(*batch_of(pairs))) for name in ("faithful", "faithful_raw")
    )
    assert corrected.low < truth.mean() < corrected.high < raw.low
    people = np.std(truth[:60], ddof=1) / math.sqrt(60) * 2 * 1.96
    assert corrected.high - corrected.low < 0.75 * people


@pytest.mark.parametrize("n", [20, 60])
def test_the_interval_that_a_run_reports_covers(n):
    """Nominal 95 %, over 200 draws of n rated answers among 400, of a judge that is too kind now and then."""
    rng = np.random.default_rng(2)
    metric = JudgePpiMean(figure="faithful", lowest=0, highest=1)
    held = 0
    for _ in range(200):
        y = rng.random(400) < 0.7
        judged = np.where(rng.random(400) < 0.85, y, True).astype(float)
        pairs = [(f, [float(h)] if i < n else []) for i, (f, h) in enumerate(zip(judged, y, strict=True))]
        found = summarize(metric, metric.sample_stats(*batch_of(pairs)))
        assert found.method == "ppi-t"
        held += found.low <= 0.7 <= found.high
    assert held / 200 >= 0.93


def test_in_clusters_the_interval_is_the_jackknifes():
    metric = FIGURES["faithful"]
    rows = metric.sample_stats(*batch_of(PAIRS))
    assert summarize(metric, rows, clusters=[f"c{i // 2}" for i in range(len(rows))]).method == (
        "cluster-jackknife-score-t"
    )


def test_the_corrected_mean_stays_on_the_scale():
    metric = JudgePpiMean(figure="faithful", lowest=0, highest=1)
    pairs = [(0.0, [1]), (0.0, [1]), (0.5, [1]), (1.0, [1]), (1.0, [1]), (0.0, [0]), *[(1.0, [])] * 50]
    found = summarize(metric, metric.sample_stats(*batch_of(pairs)))
    assert 0 <= found.low <= found.value <= found.high <= 1


def lost(n):
    return [Response(key="k", status="error", text="")] * n


def test_a_failed_answer_that_counts_as_wrong_is_worth_the_lower_end():
    """Whatever λ is: it needs no judge and no rater."""
    metric, raw = FIGURES["faithful"], FIGURES["faithful_raw"]
    assert metric.scores_blank
    assert raw.scores_blank
    samples, responses = batch_of(PAIRS)
    came = metric.sample_stats(samples, responses)
    both = metric.sample_stats([*samples, *samples[:9]], [*responses, *lost(9)])
    n = came[:, 0].sum()
    assert value_of(metric, both) == pytest.approx((n * value_of(metric, came) + 9 * 1.0) / (n + 9), abs=1e-12)
    assert sample_values(metric, both)[-9:].tolist() == [1.0] * 9
    assert value_of(metric, metric.sample_stats(samples[:3], lost(3))) == 1.0
    assert raw.values(samples[:2], [responses[0], *lost(1)]) == [PAIRS[0][0], 1.0]
    found, before = summarize(metric, both), summarize(metric, came)
    assert found.low < found.value < found.high
    p, width = 9 / (n + 9), before.high - before.low
    spread = 1.959964 * (before.value - 1) * math.sqrt(p * (1 - p) / (n + 9))
    assert found.high - found.low == pytest.approx(2 * math.hypot((1 - p) * width / 2, spread), abs=1e-6)
    for name in NAMES[2:]:
        assert not FIGURES[name].scores_blank


def test_n_is_the_number_of_pairs():
    """A mean is of the answers that have a verdict, a kappa of those that have ratings, too."""
    from evalharness.runner.scoring import Answered, Figure, score_task

    samples, responses = batch_of(PAIRS)
    answered = [Answered(s, r) for s, r in zip(samples, responses, strict=True)]
    scored = score_task(
        "t", "m", answered, [Figure(*pair) for pair in FIGURES.items()], count_as="failure", confidence=0.95, seed=0
    )
    n = {results[0].metric: results[0].n for _, results in scored.figures}
    assert {n[name] for name in NAMES[2:]} == {26}
    assert n["faithful"] == n["faithful_raw"] == sum(value is not None for value, _ in PAIRS) == len(PAIRS) - 2


def test_without_ratings_there_is_no_corrected_mean():
    pairs = [(3.0, []), (4.0, [])]
    assert math.isnan(figure_of(FIGURES["faithful"], pairs))
    assert figure_of(FIGURES["faithful_raw"], pairs) == 3.5


def test_the_figure_of_a_sample_is_what_the_judge_says():
    rows = FIGURES["faithful"].sample_stats(*batch_of([(3.0, []), (4.0, [1]), (None, [2])]))
    assert sample_values(FIGURES["faithful"], rows).tolist()[:2] == [3.0, 4.0]
    assert math.isnan(sample_values(FIGURES["faithful"], rows)[2])


def test_kappas_are_those_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    pairs = [(value, human[:1]) for value, human in make_pairs(rated=40)]
    judged, human = [int(v) for v, _ in pairs], [h[0] for _, h in pairs]
    assert figure_of(FIGURES["faithful_kappa"], pairs) == pytest.approx(sk.cohen_kappa_score(judged, human), abs=1e-12)
    assert figure_of(CLASSES["faithful_kappa"], pairs) == pytest.approx(sk.cohen_kappa_score(judged, human), abs=1e-12)
    for weights in ("quadratic", "linear"):
        metric = JudgeWeightedKappa(figure="faithful", points=POINTS, weights=weights)
        expected = sk.cohen_kappa_score(judged, human, weights=weights)
        assert figure_of(metric, pairs) == pytest.approx(expected, abs=1e-12)
    assert FIGURES["faithful_weighted_kappa"].weights == "quadratic"


def test_alpha_is_krippendorffs():
    assert figure_of(FIGURES["faithful_alpha"], PAIRS) == pytest.approx(
        krippendorff_alpha([JUDGED, HUMAN], level="interval"), abs=1e-12
    )
    single = [(value, human[:1]) for value, human in make_pairs(rated=40)]
    ratings = np.array([[v for v, _ in single], [h[0] for _, h in single]])
    assert figure_of(CLASSES["faithful_alpha"], single) == pytest.approx(
        krippendorff_alpha(ratings, level="nominal"), abs=1e-12
    )


def test_correlations_are_those_of_scipy():
    assert figure_of(FIGURES["faithful_correlation"], PAIRS) == pytest.approx(
        scipy_stats.pearsonr(JUDGED, HUMAN).statistic, abs=1e-12
    )
    assert figure_of(FIGURES["faithful_rank_correlation"], PAIRS) == pytest.approx(
        scipy_stats.spearmanr(JUDGED, HUMAN).statistic, abs=1e-12
    )


def test_a_scale_far_from_zero_keeps_its_digits():
    figures = judge_figures("faithful", bounds=(1e8, 1e8 + 4), calibrated=True)
    pairs = [(value + 1e8 - 1, [h + 1e8 - 1 for h in human]) for value, human in PAIRS if value is not None]
    expected = scipy_stats.pearsonr(JUDGED, HUMAN).statistic
    assert figure_of(figures["faithful_correlation"], pairs) == pytest.approx(expected, abs=1e-9)


def test_a_judge_that_is_too_kind_correlates_and_does_not_agree():
    pairs = [(float(h + 2), [h]) for h in (1, 2, 3) * 5]
    assert figure_of(FIGURES["faithful_correlation"], pairs) == pytest.approx(1)
    assert figure_of(FIGURES["faithful_rank_correlation"], pairs) == pytest.approx(1)
    assert figure_of(FIGURES["faithful_kappa"], pairs) < 0
    assert figure_of(FIGURES["faithful_alpha"], pairs) < 0


def test_a_value_between_two_points_counts_half_for_each():
    metric = FIGURES["faithful_kappa"]
    table = metric.table(metric.sample_stats(*batch_of([(2.5, [4]), (2.4, [4, 5])])))
    assert table[0, 1, 3] == table[0, 2, 3] == 0.5
    assert table[1, 1, 3] == table[1, 1, 4] == 0.5
    assert table.sum(axis=(1, 2)).tolist() == [1, 1]


def test_classes_without_an_order_are_never_averaged():
    """Verdicts 1 and 3 are not the class 2."""
    metric = CLASSES["faithful_kappa"]
    samples = [Sample(id="0", digest="", prompt="")]
    table = metric.table(metric.sample_stats(samples, [answer(2.0, [1, 3, 3], verdicts=[1, 3])]))[0]
    assert table[:, 1].sum() == table[1].sum() == 0
    assert table[0, 0] == pytest.approx(1 / 6)
    assert table[2, 2] == pytest.approx(2 / 6)


def test_undefined_is_nan():
    """One value for everything: agreement by chance is certain, and nothing varies."""
    for name in NAMES[2:]:
        assert math.isnan(figure_of(FIGURES[name], [(3.0, [3])] * 5)), name
        assert math.isnan(figure_of(FIGURES[name], [(3.0, []), (4.0, [])])), name


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"judged": None},
        {"judged": {"other": {"value": 3, "human": [2]}}},
        {"judged": {"faithful": {"value": None, "human": [2]}}},
        {"judged": {"faithful": {"value": True, "human": [True]}}},
        {"judged": {"faithful": {"value": "3", "human": "34"}}},
        {"judged": {"faithful": {"value": NAN, "human": [NAN]}}},
        {"judged": {"faithful": [3, 4]}},
    ],
)
def test_what_is_no_judgement_measures_nothing(metric, meta):
    sample = Sample(id="0", digest="", prompt="")
    assert not metric.sample_stats([sample], [Response(key="k", text="…", meta=meta)]).any()


def test_a_verdict_that_failed_is_no_verdict():
    response = answer(3.0, [3])
    verdicts = [{"value": 3, "status": "ok"}, {"value": 5, "status": "judge_failed"}, "odd"]
    response.meta["judged"]["faithful"]["verdicts"] = verdicts
    assert judged_of(response, "faithful").verdicts == (3.0,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JudgeMean(figure="f", lowest=1, highest=1), "ends of the judge's scale"),
        (lambda: JudgePpiMean(figure="f", lowest=0, highest=math.inf), "ends of the judge's scale"),
        (lambda: JudgeKappa(figure="f", points=(1.0,)), "points of the scale"),
        (lambda: JudgeKappa(figure="f", points=(2.0, 1.0)), "ascending"),
        (lambda: JudgeKappa(figure="f", points=tuple(map(float, range(65)))), "64 at most"),
        (lambda: JudgeAlpha(figure="f", level="nominal"), "judge_alpha needs the points"),
        (lambda: JudgeWeightedKappa(figure="f", points=(1.0, 2.0), ordered=False), "in an order"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(MetricOptionError, match=message):
        make()


# ── what every metric holds ───────────────────────────────────────────────────────────────────────────────────────


def same(first, second):
    return np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_holds_the_protocol(metric):
    assert isinstance(metric, Metric)
    assert metric == copy.deepcopy(metric) == pickle.loads(pickle.dumps(metric))
    assert metric.columns[0] == "n"
    assert len(set(metric.columns)) == len(metric.columns)
    assert metric.for_task(("a", "b")) is metric
    assert metric.bounds[0] < metric.bounds[1]


def test_docstring(metric):
    text = type(metric).__doc__
    assert re.search(r"^ {8}\S", text, re.MULTILINE)
    documented = re.findall(r"^ {8}(\w+): ", text.partition("Options:")[2].partition("Source:")[0], re.MULTILINE)
    assert documented == [f.name for f in dataclasses.fields(metric)]


def test_the_signature_tells_options_apart(metric):
    changes = {"figure": "other", "identity": "x", "lowest": 0.0, "highest": 9.0, "points": (1.0, 2.0), "middle": 7.0}
    for field in dataclasses.fields(metric):
        if field.name in changes:
            changed = dataclasses.replace(metric, **{field.name: changes[field.name]})
            assert changed.signature != metric.signature, field.name


def test_shape_and_rows(metric, stats):
    assert stats.shape == (len(PAIRS), len(metric.columns))
    assert stats.dtype == np.float64
    assert set(np.unique(stats[:, 0])) == {0.0, 1.0}
    assert not stats[stats[:, 0] == 0].any()
    assert metric.sample_stats([], []).shape == (0, len(metric.columns))


def test_shards_merge_and_order_does_not_matter(metric, stats):
    samples, responses = batch_of(PAIRS)
    parts = [metric.sample_stats(samples[a:b], responses[a:b]) for a, b in ((0, 7), (7, None))]
    same(np.concatenate(parts), stats)
    order = np.random.default_rng(0).permutation(len(stats))
    same(value_of(metric, stats[order]), value_of(metric, stats))


def test_finalize_is_vectorised(metric, stats):
    weights = np.random.default_rng(0).integers(0, 3, size=(2, 5, len(stats))).astype(float)
    weights.setflags(write=False)
    if isinstance(metric, RowsMetric):
        found = metric.finalize_rows(stats, weights)
        alone = [[float(metric.finalize_rows(np.repeat(stats, w.astype(int), axis=0))) for w in row] for row in weights]
        assert np.isnan(metric.finalize(stats)).all()
        assert np.isnan(metric.finalize_rows(stats, np.zeros((1, len(stats))))).all()
    else:
        found = metric.finalize(weights @ stats)
        alone = [[float(metric.finalize(w @ stats)) for w in row] for row in weights]
        assert np.isnan(metric.finalize(np.zeros((2, len(metric.columns))))).all()
        assert np.shape(metric.finalize(stats[0])) == ()
    assert found.shape == (2, 5)
    same(found, alone)


def test_summary(metric, stats):
    found = summarize(metric, stats, seed=3)
    assert found == summarize(metric, stats, seed=3)
    assert metric.bounds[0] <= found.low <= found.value <= found.high <= metric.bounds[1]
    assert found.method in ("score-t", "jackknife-score-t", "percentile", "ppi-t")
    clustered = summarize(metric, stats, clusters=[f"c{i % 9}" for i in range(len(stats))], seed=3)
    same(clustered.value, found.value)
    assert "cluster" in clustered.method


def test_means_over_repeats_are_rows_too(metric, stats):
    rows = (stats[0:40:2] + stats[1:40:2]) / 2
    found = summarize(metric, rows, seed=0)
    assert metric.bounds[0] <= found.low <= found.high <= metric.bounds[1]


def test_wrong_types_are_refused(metric):
    with pytest.raises(TypeError, match="samples"):
        metric.sample_stats("text", [])
    with pytest.raises(ValueError, match="responses"):
        metric.sample_stats([Sample(id="", digest="", prompt="")], [])


def test_all_are_tested():
    assert {type(m) for m in EVERY} == {
        JudgeMean,
        JudgePpiMean,
        JudgeKappa,
        JudgeWeightedKappa,
        JudgeAlpha,
        JudgeCorrelation,
        JudgeRankCorrelation,
    }
