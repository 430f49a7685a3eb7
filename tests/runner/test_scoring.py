import math

import numpy as np
import pytest
from scipy.stats import binomtest

from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
from evalharness.runner.scoring import Answered, Figure, score_task


def figure(name, **options):
    return Figure(name, registry("metrics").load(name)(**options).for_task(("yes", "no")))


def item(i, answer, *, target="yes", status="ok", repeat=0, group=None, cluster=None):
    sample = Sample(
        id=f"s{i}",
        digest=f"d{i}",
        prompt="?",
        target=target,
        references=(target,),
        groups={"language": group} if group else {},
        cluster=cluster,
    )
    text = None if status == "error" else answer
    response = Response(key=f"k{i}.{repeat}", status=status, text=text, answer=text, latency_s=1.0 + i)
    return Answered(sample, response, repeat)


def results(answered, name="accuracy", *, count_as="failure", groups=()):
    scored = score_task("t", "m", answered, [figure(name)], count_as=count_as, confidence=0.95, seed=0, groups=groups)
    ((stats, figures),) = scored.figures
    return stats, figures


def test_the_figure_is_the_mean_with_its_interval_and_totals():
    _, (only,) = results([item(0, "yes"), item(1, "no"), item(2, "yes"), item(3, "yes")])
    assert (only.value, only.n, only.n_failed, only.group) == (0.75, 4, 0, None)
    expected = binomtest(3, 4).proportion_ci(0.95, method="wilson")
    assert (only.ci_low, only.ci_high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert only.totals == (4.0, 3.0)
    assert only.signature


def test_failed_samples_are_left_out_and_counted():
    _, (only,) = results([item(0, "yes"), item(1, "", status="error")])
    assert (only.value, only.n, only.n_failed) == (1.0, 1, 1)


def test_failed_samples_count_as_wrong_where_the_suite_says_so():
    _, (only,) = results([item(0, "yes"), item(1, "", status="error")], count_as="wrong")
    assert (only.value, only.n, only.n_failed) == (0.5, 2, 1)


def test_a_failed_sample_is_never_counted_as_a_fast_one():
    answered = [item(0, "yes"), item(5, "", status="error")]
    _, (only,) = results(answered, "latency_mean_s", count_as="wrong")
    assert (only.value, only.n) == (1.0, 1)


def test_refusals_and_truncated_answers_are_answers():
    _, (only,) = results([item(0, "yes", status="truncated"), item(1, "sorry", status="refusal")])
    assert (only.value, only.n, only.n_failed) == (0.5, 2, 0)


def test_the_error_rate_sees_the_errors():
    _, (only,) = results([item(0, "yes"), item(1, "", status="error")], "error_rate")
    assert only.value == 0.5


def test_repeats_are_averaged_within_their_sample():
    answered = [item(0, "yes"), item(0, "no", repeat=1), item(1, "yes"), item(1, "yes", repeat=1)]
    stats, (only,) = results(answered)
    assert only.n == 2
    assert only.value == 0.75
    assert stats.values.tolist() == [0.5, 1.0]
    assert only.totals == (2.0, 1.5)
    assert [i for block in stats.blocks() for i in block.ids] == ["s0", "s1"]


def test_a_metric_of_repeats_sees_all_answers_to_a_sample_together():
    answered = [item(0, a, repeat=i) for i, a in enumerate(["yes", "no", "no"])]
    answered += [item(1, a, repeat=i) for i, a in enumerate(["yes", "yes", "yes"])]
    scored = score_task(
        "t",
        "m",
        answered,
        [figure("pass_at_k", k=2), figure("pass_hat_k", k=2), figure("repeat_agreement"), figure("accuracy")],
        count_as="failure",
        confidence=0.95,
        seed=0,
    )
    found = {results[0].metric: results[0] for _, results in scored.figures}
    assert {name: r.value for name, r in found.items()} == pytest.approx(
        {"pass_at_k": (2 / 3 + 1) / 2, "pass_hat_k": 0.5, "repeat_agreement": 2 / 3, "accuracy": 2 / 3}
    )
    assert {r.n for r in found.values()} == {2}
    (stats, _), *_ = scored.figures
    assert stats.values.tolist() == pytest.approx([2 / 3, 1.0])


def test_intervals_of_repeats_draw_samples_and_not_answers():
    def width(n_repeats):
        answered = [item(i, "yes" if i % 2 else "no", repeat=r) for i in range(40) for r in range(n_repeats)]
        scored = score_task("t", "m", answered, [figure("pass_at_k")], count_as="failure", confidence=0.95, seed=0)
        ((_, (only,)),) = scored.figures
        return only.ci_high - only.ci_low

    assert width(8) == pytest.approx(width(1))


@pytest.mark.parametrize(("count_as", "expected", "n"), [("failure", 1.0, 1), ("wrong", 0.75, 2)])
def test_failed_repeats(count_as, expected, n):
    """Three of four calls for sample 1 failed: one answer is too few for k = 2, unless failures are wrong answers."""
    answered = [item(0, "yes", repeat=r) for r in range(4)]
    answered += [item(1, "yes", status="ok" if r == 0 else "error", repeat=r) for r in range(4)]
    scored = score_task("t", "m", answered, [figure("pass_at_k", k=2)], count_as=count_as, confidence=0.95, seed=0)
    ((stats, (only,)),) = scored.figures
    assert only.value == pytest.approx(expected)
    assert only.totals[0] == n
    assert len(stats.rows.array()) == 2


def test_a_sample_with_more_repeats_weighs_no_more_than_another():
    answered = [item(0, "no", repeat=i) for i in range(3)] + [item(1, "yes")]
    _, (only,) = results(answered)
    assert (only.value, only.n) == (0.5, 2)


def test_each_group_value_gets_a_figure_and_missing_values_none():
    answered = [item(0, "yes", group="de"), item(1, "no", group="de"), item(2, "yes", group="fr"), item(3, "yes")]
    _, figures = results(answered, groups=["language"])
    assert [(f.group, f.value, f.n) for f in figures] == [
        (None, 0.75, 4),
        ("language=de", 0.5, 2),
        ("language=fr", 1.0, 1),
    ]


def test_a_group_that_only_failed_is_shown_with_nan():
    answered = [item(0, "yes", group="de"), item(1, "", group="fr", status="error")]
    _, figures = results(answered, groups=["language"])
    french = next(f for f in figures if f.group == "language=fr")
    assert math.isnan(french.value)
    assert (french.n, french.n_failed) == (0, 1)


def test_nothing_scored_is_nan_not_zero():
    _, (only,) = results([item(0, "", status="error")])
    assert math.isnan(only.value)
    assert math.isnan(only.ci_low)


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(0)
    alone, together = [], []
    for cluster in range(20):
        right = "yes" if rng.random() < 0.5 else "no"
        for k in range(10):
            alone.append(item(cluster * 10 + k, right))
            together.append(item(cluster * 10 + k, right, cluster=str(cluster)))
    _, (a,) = results(alone)
    _, (t,) = results(together)
    assert a.value == t.value
    assert t.ci_high - t.ci_low > 2 * (a.ci_high - a.ci_low)
    assert "cluster" in t.ci_method


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_answers_looked_at_a_few_at_a_time_give_the_same_figures(chunk, monkeypatch):
    rng = np.random.default_rng(1)
    answered = [
        item(i, rng.choice(["yes", "no"]), status=rng.choice(["ok", "ok", "error"]), repeat=r, group="ab"[i % 2])
        for i in range(20)
        for r in range(1 + i % 3)
    ]
    whole_stats, whole = results(answered, "f1_macro", count_as="wrong", groups=["language"])
    monkeypatch.setattr("evalharness.runner.scoring._CHUNK", chunk)
    stats, figures = results(answered, "f1_macro", count_as="wrong", groups=["language"])
    assert figures == whole
    assert np.array_equal(stats.stats, whole_stats.stats)
    assert [i for b in stats.blocks() for i in b.ids] == [i for b in whole_stats.blocks() for i in b.ids]


def test_figures_that_score_the_same_samples_share_what_says_which():
    answered = [item(0, "yes"), item(1, "", status="error"), item(2, "no")]
    figures = [figure("accuracy"), figure("error_rate"), figure("latency_mean_s")]
    made = score_task("t", "m", answered, figures, count_as="failure", confidence=0.95, seed=0).figures
    kept = {stats.figure.name: stats.kept for stats, _ in made}
    assert kept["accuracy"] is kept["latency_mean_s"]
    assert kept["accuracy"].tolist() == [True, False, True]
    assert kept["error_rate"].tolist() == [True, True, True]


@pytest.mark.parametrize("name", ["accuracy", "exact_match", "bleu"])
def test_samples_with_nothing_to_measure_are_no_part_of_n(name):
    bare = Sample(id="s9", digest="d9", prompt="?")
    answered = [item(0, "yes"), item(1, "no"), Answered(bare, Response(key="k9", text="yes", answer="yes"), 0)]
    _, (only,) = results(answered, name)
    assert (only.n, only.n_failed, only.totals[0]) == (2, 0, 2.0)


def test_a_metric_without_a_column_n_speaks_of_all_samples():
    class Length:
        name, version, signature, columns = "length", "1", "length", ("characters",)
        higher_is_better, bounds, interval, counts_states = True, (0.0, math.inf), "mean", False
        needs, kinds, scores_blank = frozenset(), frozenset({"generate"}), True

        def sample_stats(self, samples, responses):
            return np.array([[len(r.text or "")] for r in responses], dtype=float)

        def finalize(self, totals):
            return np.asarray(totals)[..., 0]

    answered = [item(0, "yes"), item(1, "")]
    scored = score_task("t", "m", answered, [Figure("length", Length())], count_as="failure", confidence=0.95, seed=0)
    ((_, (only,)),) = scored.figures
    assert only.n == 2
