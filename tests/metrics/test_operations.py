from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.core.types import STATUSES, Response, Sample
from evalharness.metrics.curves import Auroc
from evalharness.metrics.interval import summarize
from evalharness.metrics.operations import (
    CostMean,
    CostTotal,
    InputTokens,
    LatencyMean,
    LatencyP50,
    LatencyP95,
    OutputChars,
    OutputTokens,
    TtftP50,
    TtftP95,
)
from evalharness.metrics.states import ErrorRate, RefusalRate, TruncatedRate, UnparsedRate
from evalharness.stats.order_statistics import clustered_order_statistic


def responses(**columns):
    n = len(next(iter(columns.values())))
    made = [Response(key=str(i), **{name: values[i] for name, values in columns.items()}) for i in range(n)]
    return [Sample(id=str(i), digest="", prompt="") for i in range(n)], made


def test_latency_equals_numpy():
    times = np.random.default_rng(0).gamma(2, size=500).tolist()
    batch = responses(latency_s=[*times, None])
    for metric, expected in (
        (LatencyMean(), np.mean(times)),
        (LatencyP50(), np.median(times)),
        (LatencyP95(), np.quantile(times, 0.95)),
    ):
        found = summarize(metric, metric.sample_stats(*batch))
        assert found.value == pytest.approx(expected, rel=1e-12)
        assert found.low < expected < found.high
    assert summarize(LatencyP95(), LatencyP95().sample_stats(*batch)).method == "order-statistics"


def test_latency_in_clusters_counts_for_fewer():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(80), 5)
    times = np.exp(rng.normal(size=80)[codes] + 0.2 * rng.normal(size=400)).tolist()
    names = [str(code) for code in codes]
    for metric in (LatencyP50(), LatencyP95()):
        stats = metric.sample_stats(*responses(latency_s=times))
        alone, clustered = summarize(metric, stats), summarize(metric, stats, clusters=names)
        assert (alone.method, clustered.method) == ("order-statistics", "cluster-order-statistics")
        assert clustered.low < alone.low < alone.value < alone.high < clustered.high
        assert {clustered.low, alone.low, alone.high} < set(times)
        tested = clustered_order_statistic(np.array(times), codes, metric.q)
        assert clustered[1:3] == (tested.lower(0.025), tested.upper(0.025))
    few = summarize(LatencyP95(), stats[:30], clusters=names[:30])
    assert few.high == math.inf  # six clusters tell no upper end
    assert summarize(LatencyP95(), stats[:5], clusters=names[:5]).method == "none"


def test_unknown_times_measure_nothing():
    for metric in (LatencyMean(), LatencyP50(), LatencyP95()):
        stats = metric.sample_stats(*responses(latency_s=[None, math.nan]))
        assert not stats.any()
        assert math.isnan(summarize(metric, stats).value)


def test_time_to_first_token_is_that_of_streamed_answers():
    times = np.random.default_rng(2).gamma(2, size=500).tolist()
    odd = [{}, {"ttft_s": None}, {"ttft_s": "0.1"}, {"ttft_s": True}, {"ttft_s": math.nan}]
    batch = responses(meta=[{"ttft_s": time} for time in times] + odd)
    for metric, q in ((TtftP50(), 0.5), (TtftP95(), 0.95)):
        found = summarize(metric, metric.sample_stats(*batch))
        assert found.value == pytest.approx(np.quantile(times, q), rel=1e-12)
        assert found.low < found.value < found.high
        assert math.isnan(summarize(metric, metric.sample_stats(*responses(latency_s=[1.0]))).value)


def test_counts(figure):
    batch = responses(text=["abc", "北京", None], input_tokens=[3, 4, 5], output_tokens=[1, None, 2])
    assert figure(InputTokens(), *batch) == 4.0
    assert figure(OutputTokens(), *batch) == 1.5
    assert figure(OutputChars(), *batch) == 2.5


def test_states(figure):
    batch = responses(status=[*STATUSES, "ok", "error"])
    assert figure(ErrorRate(), *batch) == 3 / 8  # error twice, judge_failed once
    assert figure(RefusalRate(), *batch) == figure(TruncatedRate(), *batch) == figure(UnparsedRate(), *batch) == 1 / 8


def test_only_states_see_failures():
    assert all(m().counts_states for m in (ErrorRate, RefusalRate, TruncatedRate, UnparsedRate))
    assert not any(m.counts_states for m in (LatencyMean(), OutputTokens()))


def test_orders_of_clusters_keep_memory_bounded(monkeypatch):
    """Weights of 5 clusters spread over 3,000 samples: chunks follow the samples, not the clusters."""
    monkeypatch.setattr("evalharness.stats.bootstrap._CHUNK_CELLS", 6000)
    seen = []

    class Watched(Auroc):
        def finalize_rows(self, stats, weights=None):
            seen.append(1 if weights is None else len(weights))
            return Auroc.finalize_rows(self, stats, weights)

    rng = np.random.default_rng(0)
    gold, score = rng.random(3000) < 0.5, rng.random(3000)
    stats = np.stack([np.ones(3000), ~gold, gold, 1 - score, score], axis=1).astype(float)
    metric = Watched(labels=("no", "yes"), positive="yes")
    summarize(metric, stats, clusters=[str(i % 5) for i in range(3000)], n_resamples=20)
    assert max(seen) == 2
    assert sum(seen) == 21


def test_costs(figure):
    batch = responses(meta=[{"cost_usd": 0.5}, {"cost_usd": 0}, {}, {"cost_usd": 1.0}])
    assert figure(CostMean(), *batch) == 0.5
    assert figure(CostTotal(), *batch) == 1.5
    for metric in (CostMean(), CostTotal()):
        assert math.isnan(figure(metric, *responses(meta=[{}, {"cost_usd": True}])))


def test_the_repeats_of_a_sample_cost_their_sum():
    metric = CostTotal()
    rows = metric.sample_stats(*responses(meta=[{"cost_usd": 1.0}, {"cost_usd": 2.0}, {"cost_usd": 4.0}]))
    merged = metric.merge_repeats(rows, np.array([0, 0, 1]))
    assert merged.tolist() == [[1, 3], [1, 4]]
    assert float(metric.finalize(merged.sum(axis=0))) == 7
