"""lm-eval's aggregations as functions of totals, beside lm-eval's own."""

import math

import numpy as np
import pytest

from evalharness.core.types import MetricResult, Response, Sample
from evalharness.metrics.aggregations import Members, UnfitItems, aggregation_named, aggregation_of
from evalharness.metrics.interval import summarize
from evalharness.metrics.lm_eval import LmEvalFigure, OpaqueFigure, figure_from_record, recorded_figure

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

rng = np.random.default_rng(0)
WORDS = ["the", "cat", "sat", "on", "a", "mat", "near", "one", "dog", "with", "two", "red", "hats"]


def sentence(n):
    return " ".join(rng.choice(WORDS, n))


ITEMS = {
    "mean": [0.5, 1, True, np.float64(0.25), 0],
    "nanmean": [0.5, math.nan, 1.0, 3.0],
    "perplexity": list(-rng.random(30) * 5),
    "weighted_perplexity": [(-float(x), n) for x, n in zip(rng.random(30) * 50, range(1, 31), strict=True)],
    "bits_per_byte": [(-float(x), n) for x, n in zip(rng.random(30) * 50, range(1, 31), strict=True)],
    "f1": [(int(g), np.int64(p)) for g, p in rng.integers(0, 2, (40, 2))],
    "matthews_corrcoef": [(int(g), np.int64(p)) for g, p in rng.integers(0, 4, (40, 2))],
    "brier_score": [(int(g), p / p.sum()) for g, p in zip(rng.integers(0, 3, 20), rng.random((20, 3)), strict=True)],
    "bleu": [(sentence(9), sentence(8)) for _ in range(25)],
    "chrf": [(sentence(9), sentence(8)) for _ in range(25)],
    "chrf++": [[sentence(9), [sentence(8)]] for _ in range(25)],
    "ter": [([sentence(9), sentence(5)][: 1 + i % 2], sentence(8)) for i in range(25)],
}


@pytest.mark.parametrize("name", ITEMS)
def test_the_figure_is_lm_evals(name):
    import lm_eval.api.metrics  # noqa: F401 - registers them
    from lm_eval.api.registry import get_aggregation

    items = ITEMS[name]
    found = aggregation_of(name, items)
    rows = found.rows(items)
    assert rows.shape == (len(items), len(found.columns))
    value = float(found.finalize(rows.sum(axis=0)))
    assert value == pytest.approx(float(get_aggregation(name)(items)), abs=1e-9)
    low, high = found.bounds
    assert low <= value <= high
    again = aggregation_named(found.name)
    assert float(again.finalize(rows.sum(axis=0))) == value
    shards = found.finalize(np.stack([rows[:7].sum(axis=0) + rows[7:].sum(axis=0), rows.sum(axis=0)]))
    assert shards == pytest.approx([value, value], abs=1e-9)
    assert found.finalize(np.zeros(len(found.columns))) == pytest.approx(math.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("f1", [(0, 2)]), ("f1", [(0, "x")]), ("mean", ["a"]), ("mean", [(1, 2)]), ("bleu", [(1, 2)]),
        ("weighted_perplexity", [1.0]), ("brier_score", [(3, [0.5, 0.5])]), ("brier_score", [([0], [0.5, 0.5])]),
    ],
)  # fmt: skip
def test_items_of_another_kind_are_not_summed(name, items):
    with pytest.raises(UnfitItems):
        aggregation_of(name, items).rows(items)


def test_unknown_aggregations_and_labels_are_not_summed():
    assert aggregation_of("median", [1, 2]) is None
    assert aggregation_of("", [1]) is None
    assert aggregation_of("matthews_corrcoef", [(-100, 1)]) is None
    assert aggregation_named("median") is None
    assert aggregation_named("sized(mean,median)") is None


def test_one_class_alone_has_f1_and_mcc_of_zero():
    for name in ("f1", "matthews_corrcoef"):
        found = aggregation_of(name, [(0, 0), (0, 0)])
        assert found.finalize(found.rows([(0, 0), (0, 0)]).sum(axis=0)) == 0.0


def test_edits_without_reference_words_are_all_wrong():
    found = aggregation_of("ter", [("", "a b")])
    assert found.finalize(found.rows([("", "a b")]).sum(axis=0)) == 100.0


@pytest.mark.parametrize("by_size", [True, False])
def test_members_are_averaged(by_size):
    parts = ["mean", "perplexity", "f1"]
    members = Members(tuple(aggregation_of(name, ITEMS[name]) for name in parts), by_size)
    rows = members.joined([m.rows(ITEMS[name]) for m, name in zip(members.members, parts, strict=True)])
    values = [float(m.finalize(m.rows(ITEMS[n]).sum(axis=0))) for m, n in zip(members.members, parts, strict=True)]
    weights = [len(ITEMS[name]) if by_size else 1 for name in parts]
    assert float(members.finalize(rows.sum(axis=0))) == pytest.approx(np.average(values, weights=weights))
    again = aggregation_named(members.name)
    assert again == members or again.columns == members.columns
    assert float(again.finalize(rows.sum(axis=0))) == pytest.approx(np.average(values, weights=weights))


def table(rows):
    return {str(i): row for i, row in enumerate(rows)}


def batch(n):
    return [Sample(str(i), "", "") for i in range(n)], [Response("")] * n


def test_a_figure_hands_its_rows_over_and_comes_back_from_a_record():
    aggregation = aggregation_of("mean", [1, 0, 1])
    figure = LmEvalFigure(
        name="acc",
        subject="task:t",
        aggregation=aggregation,
        higher_is_better=True,
        table=table(aggregation.rows([1, 0, 1])),
    )
    rows = figure.sample_stats(*batch(4))
    assert rows.tolist() == [[1, 1], [1, 0], [1, 1], [0, 0]]
    found = summarize(figure, rows[:3])
    assert found.method == "wilson"
    result = MetricResult(
        "t", "m", "acc", found.value, found.low, found.high, found.method, 0.95, 3, 0, True, figure.bounds,
        figure.signature, columns=figure.columns,
    )  # fmt: skip
    again = figure_from_record(result)
    assert again.signature == figure.signature
    assert again.bounds == (0.0, 1.0)


def test_an_opaque_figure_is_resampled_as_a_whole():
    items = [float(x) for x in range(40)]
    figure = OpaqueFigure(
        name="middle", subject="task:t", function=lambda xs: sorted(xs)[len(xs) // 2], function_name="median",
        items=items, higher_is_better=True, table={str(i): np.array([1.0, i]) for i in range(40)},
    )  # fmt: skip
    rows = figure.sample_stats(*batch(40))
    found = summarize(figure, rows)
    assert found.value == 20.0
    assert found.method == "percentile"
    assert found.low < 20 < found.high
    assert figure.finalize(rows).tolist() == items
    result = MetricResult(
        "t", "m", "middle", 20.0, 1, 2, "percentile", 0.95, 40, 0, True, figure.bounds, figure.signature,
        columns=figure.columns,
    )  # fmt: skip
    assert figure_from_record(result) is None
    assert recorded_figure(result).columns == figure.columns


def test_a_function_that_fails_gives_no_number():
    def broken(items):
        raise ZeroDivisionError

    figure = OpaqueFigure(
        name="x", subject="", function=broken, function_name="broken", items=["a"], higher_is_better=True,
        table={"0": np.array([1.0, 0])},
    )  # fmt: skip
    found = summarize(figure, figure.sample_stats(*batch(1)))
    assert math.isnan(found.value)
    assert found.method == "none"
