import dataclasses
import math

import pytest

from evalharness.report.bars import bar, scale_of, strip
from evalharness.report.view import build_view, confusion_of, operations_of


def test_models_and_variants_stand_under_one_task(make_record):
    record = make_record(models=("a", "b"))
    results = [dataclasses.replace(r, task="sentiment@prompt=x") if r.model == "b" else r for r in record.results]
    view = build_view(type(record)(record.folder, dataclasses.replace(record.manifest, results=tuple(results)), {}))
    sentiment = view.tasks[0]
    assert sentiment.id == "sentiment"
    assert sentiment.several
    assert [r.metric for r in sentiment.results][:2] == ["accuracy", "accuracy"]  # to be compared, one under the other


def test_groups_are_worst_first_by_direction(make_record):
    record = make_record()
    (table,) = build_view(record).tasks[0].groups
    assert [name for name, _ in table.rows] == ["de", "en"]
    assert table.gap == pytest.approx(0.3)
    lower = [dataclasses.replace(r, higher_is_better=False) for r in record.results]
    lower.append(dataclasses.replace(lower[1], group="language=xx", value=math.nan))
    view = build_view(type(record)(record.folder, dataclasses.replace(record.manifest, results=tuple(lower)), {}))
    assert [name for name, _ in view.tasks[0].groups[0].rows] == ["en", "de", "xx"]


def test_confusion_matrix_drops_the_empty_rest(make_record):
    (matrix,) = build_view(make_record()).tasks[0].confusions
    assert matrix.golds == matrix.answers == ("neg", "pos")
    assert matrix.counts == ((4.0, 1.0), (2.0, 4.0))


def test_confusion_matrix_of_labels_that_hold_arrows(make_record):
    from evalharness.core.registry import registry
    from evalharness.core.types import Response, Sample

    labels = ("a→b", "→", "c")
    metric = registry("metrics").load("confusion_matrix")().for_task(labels)
    samples = [Sample(str(i), str(i), "p", target=t) for i, t in enumerate(["a→b", "→", "c", "c"])]
    responses = [Response(str(i), answer=a, text=a) for i, a in enumerate(["→", "→", "c", None])]
    totals = metric.sample_stats(samples, responses).sum(axis=0)
    base = make_record().results[0]
    found = confusion_of(dataclasses.replace(base, columns=tuple(metric.columns), totals=tuple(totals)))
    assert found.golds == labels
    assert found.counts[0][:2] == (0.0, 1.0)
    assert sum(map(sum, found.counts)) == 4
    assert len(found.answers) == 4  # one for answers that are no label


def calibrated(base):
    """A result of `ece` over 40 answers of a classifier that is too sure of itself."""
    from evalharness.core.registry import registry
    from evalharness.core.types import Response, Sample

    metric = registry("metrics").load("ece")(bins=4).for_task(("neg", "pos"))
    samples = [Sample(str(i), str(i), "p", target="pos" if i % 5 else "neg") for i in range(40)]
    shares = [0.95 if i % 2 else 0.7 for i in range(40)]
    responses = [Response(str(i), label_probabilities={"neg": 1 - p, "pos": p}) for i, p in enumerate(shares)]
    totals = metric.sample_stats(samples, responses).sum(axis=0)
    changes = {"metric": "ece", "columns": tuple(metric.columns), "totals": tuple(totals), "group": None}
    return dataclasses.replace(base, **changes)


def test_reliability_is_shown_for_calibration_errors(make_record):
    from evalharness.report.html import render_html
    from evalharness.report.markdown import render_markdown

    record = make_record()
    assert build_view(record).tasks[0].reliabilities == ()
    results = (calibrated(record.results[0]), *record.results)
    changed = make_record(run_id="quick-20261121-110000-abcd", results=results)
    (table,) = build_view(changed).tasks[0].reliabilities
    assert [(b.low, b.high, b.n) for b in table.bins] == [(0.5, 0.75, 20.0), (0.75, 1.0, 20.0)]
    assert [round(b.confidence, 3) for b in table.bins] == [0.7, 0.95]
    assert [round(b.accuracy, 3) for b in table.bins] == [0.8, 0.8]
    text = render_markdown(changed)
    assert "Reliability of small in sentiment" in text
    assert "| 0.75 to 1 | 20 | 0.950 | 0.800 |" in text
    page = render_html(changed)
    assert 'aria-label="Reliability (ece).' in page
    assert "confidence 0.950: right 0.800 of 20" in page


@pytest.mark.parametrize("columns", [(), ("n", "sum"), ("n", "a", "b", "c", "d"), ("n", "a→a", "a→b", "x→a", "b→b")])
def test_other_columns_are_no_matrix(make_record, columns):
    base = make_record().results[0]
    assert confusion_of(dataclasses.replace(base, columns=columns, totals=(1.0,) * len(columns))) is None


def test_figures_nobody_asked_for_are_kept_apart(make_record):
    record = make_record()
    suite = {**record.manifest.suite, "tasks": [{"id": "sentiment", "metrics": ["accuracy", {"bleu": {"as": "b"}}]}]}
    view = build_view(type(record)(record.folder, dataclasses.replace(record.manifest, suite=suite), {}))
    assert {r.metric for r in view.tasks[0].results} == {"accuracy"}
    assert operations_of(view).names == ("confusion_matrix", "latency_p95_s")
    assert {r.metric for r in view.tasks[1].results} == {"bleu", "chrf"}  # no list of metrics: all it has are shown
    own = [dataclasses.replace(r, metric="error_rate") for r in record.results if r.metric == "bleu"]
    manifest = dataclasses.replace(record.manifest, suite=suite, results=(*record.results, *own))
    view = build_view(type(record)(record.folder, manifest, {}))
    assert "error_rate" not in {r.metric for r in view.tasks[1].results}  # but what every task has


def test_states_are_counted(make_record):
    view = build_view(make_record())
    assert view.total_states == {"ok": 23, "error": 1}
    assert (view.n_failed, view.n_answers) == (1, 24)


def test_scale_is_the_metrics_bounds_or_what_is_seen(make_record):
    result = make_record().results[0]
    assert scale_of([result]) == (0.0, 1.0)
    seconds = dataclasses.replace(result, bounds=(0.0, math.inf), value=2.0, ci_low=1.0, ci_high=4.0)
    assert scale_of([seconds]) == (0.0, pytest.approx(4.6))
    nothing = dataclasses.replace(result, value=math.nan, ci_low=math.nan, ci_high=math.nan)
    assert scale_of([nothing]) is None
    assert bar(nothing, scale_of([nothing])) == ""
    constant = dataclasses.replace(seconds, value=0.0, ci_low=0.0, ci_high=0.0)
    assert "svg" in bar(constant, scale_of([constant]))


def test_bar_says_in_words_what_it_draws(make_record):
    result = dataclasses.replace(make_record().results[0], value=0.5, ci_low=0.4, ci_high=math.inf)
    drawn = bar(result, scale_of([dataclasses.replace(result, ci_high=0.6)]), limits=[0.45, 7.0, math.nan])
    assert 'aria-label="0.500 on a scale from 0.000 to 1.000, interval 0.400 to ∞, limit 0.450"' in drawn
    assert "style=" not in drawn
    assert "nan" not in drawn
    assert drawn.count('class="limit"') == 1


def test_strip_shows_every_state_and_escapes():
    drawn = strip({"ok": 99_999, "error": 1, '"><script>': 1})
    assert drawn.count("<rect") == 3
    assert "<script>" not in drawn
    assert strip({}) == ""
