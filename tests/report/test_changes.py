"""What a run's report says of its baseline, in HTML and Markdown, and where the two cannot be compared."""

from dataclasses import replace

import pytest

from evalharness.report.changes import changes_of
from evalharness.report.html import render_html
from evalharness.report.markdown import render_markdown

from .test_compare import FIGURE, comparison


@pytest.fixture
def pair(make_record, tmp_path, monkeypatch):
    """Two records, and a comparison of them in which one figure got worse."""
    monkeypatch.setattr("evalharness.report.changes.compare_records", lambda *_, **__: comparison())
    return make_record(), make_record(run_id="quick-before", folder=tmp_path / "before")


def test_the_figures_and_the_samples_that_changed(pair):
    now, before = pair
    found = changes_of(now, before)
    assert [row["row"].metric for row in found.tables[0]["rows"]] == ["accuracy"]
    assert found.changed[0]["samples"][0]["change"] == "right to wrong"
    assert found.command == f"evalharness compare {before.id} {now.id} --format html"
    page = render_html(now, baseline=before)
    assert page.index("Against the baseline") < page.index('id="results"')
    assert "right to wrong" in page
    assert "−0.050" in page
    text = render_markdown(now, baseline=before)
    assert "## Against the baseline" in text
    assert "❌ worse" in text


def test_figures_that_did_not_change_are_folded(pair, monkeypatch):
    now, before = pair
    same = replace(FIGURE, metric="f1_macro", finding="no difference shown", difference=0.0)
    both = comparison(FIGURE, same)
    monkeypatch.setattr("evalharness.report.changes.compare_records", lambda *_, **__: both)
    found = changes_of(now, before)
    shown = [row["row"].of.finding for table in found.tables for row in table["rows"]]
    folded = [row["row"].of.finding for table in found.same for row in table["rows"]]
    assert shown
    assert set(shown) <= {"better", "worse", "changed sides"}
    assert folded
    assert not set(folded) & {"better", "worse", "changed sides"}
    assert found.same_title == f"{len(folded)} figure{'s' * (len(folded) > 1)} without a difference shown"
    assert "1 worse" in found.summary
    page = render_html(now, baseline=before)
    assert '<details class="unchanged"><summary>' in page
    assert page.index("without a difference shown") < page.index("Samples that changed")


def test_runs_that_cannot_be_compared_are_said_not_raised(make_record, tmp_path):
    now, before = make_record(), make_record(run_id="b", folder=tmp_path / "before", odd="other texts")
    found = changes_of(now, before)
    assert found.why_not
    assert found.comparison is None
    assert found.tables == ()
    assert "is not compared with" in render_html(now, baseline=before)
    assert "is not compared with" in render_markdown(now, baseline=before)


def test_without_a_baseline_nothing_is_said(make_record):
    assert 'id="changes"' not in render_html(make_record())
