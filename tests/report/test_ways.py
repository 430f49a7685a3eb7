"""Which way a figure is better: a bias score is best in between, and no page says that lower is."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest

from evalharness.core.nulls import NULLS
from evalharness.core.registry import registry
from evalharness.metrics import BUILTIN
from evalharness.report.console import print_summary
from evalharness.report.html import render_html
from evalharness.report.markdown import render_markdown
from evalharness.report.samples import bundle_samples
from evalharness.report.terminal import make_console
from evalharness.report.ways import TWO_SIDED, best_between, way_of

from .test_probes import RESULT, manifest, task

HALF = {"findings": {"accuracy": {"null": 0.5, "margin": 0.05}}}


@pytest.mark.parametrize(
    ("best", "more", "sign"),
    [
        (0.0, {}, "→ 0"),
        (0.5, {"bounds": (0.0, 1.0)}, "→ 0.5"),
        (50.0, {"bounds": (0.0, 100.0)}, "→ 50"),
        (0.0, {"bounds": (0.0, 1.0)}, "↓"),  # a gap that is never below 0
        (1.0, {"bounds": (0.0, 1.0), "higher_is_better": True}, "↑"),
        (None, {}, "↓"),
        (None, {"higher_is_better": True}, "↑"),
    ],
)
def test_the_sign_of_a_figure(best: float | None, more: dict[str, Any], sign: str) -> None:
    assert way_of(replace(RESULT, **more), best) == sign


def test_the_best_values_of_a_suite() -> None:
    plain = {"id": "pairs", "metrics": ["exact_match", {"crows_pairs": {"as": "stereotyped"}}, "python", {"x:y": {}}]}
    one_sided = task("leaks", findings={"rate": {"null": 0.0, "margin": 0.0, "one_sided": True}})
    assert best_between(manifest(plain, task("probe", **HALF), one_sided, {"id": "empty"})) == {
        ("pairs", "stereotyped"): 0.5,
        ("probe", "accuracy"): 0.5,
    }


def test_every_two_sided_metric_is_looked_up() -> None:
    said = {name: getattr(registry("metrics").load(name), "probe_finding", None) for name in BUILTIN}
    certain = {name for name, null in said.items() if isinstance(null, str) and not NULLS[null][1]}
    assert certain == TWO_SIDED - {"by_group"}


def test_no_page_says_that_lower_is_better(make_record: Any) -> None:
    suite = {"version": 1, "name": "quick", "tasks": [task("sentiment", **HALF)]}
    record = make_record(manifest={"suite": suite})
    page = render_html(record)
    row = re.search(r'<tr role="row" class="first">\s*<th[^>]*><bdi>accuracy</bdi>.*?</tr>', page, re.S)
    assert row is not None
    assert '<span class="way" title="0.5 is best">→ 0.5</span>' in row[0]
    assert "→ names the value that is best." in page
    assert "| accuracy → 0.5 |" in render_markdown(record)
    out = io.StringIO()
    print_summary(record, console=make_console(out, width=140))
    assert re.search(r"accuracy +small +→ 0\.5 ", out.getvalue())
    assert "→ names the value that is best." not in render_html(make_record(run_id="other"))


def test_no_sample_alone_is_better(make_record: Any) -> None:
    suite = {"version": 1, "name": "quick", "tasks": [task("sentiment", **HALF)]}
    part = bundle_samples(make_record(manifest={"suite": suite})).metrics[0]
    assert dict(zip(part["names"], part["up"], strict=True))["accuracy"] is None
