"""Which figure of a monitor is drawn before anybody has chosen one."""

from __future__ import annotations

import pytest

from evalharness.dashboard.pages.monitors import _wanted

KNOWN = [
    ("responses", "n"),
    ("latency_s", "p95"),
    ("scores.triage.accuracy", "scored"),
    ("scores.triage.accuracy", "value"),
]
EVERYTHING = {".".join(pair) for pair in KNOWN}
RULE = {"alerts": {"rules": [{"figure": "responses.n", "at_least": 10}]}}


@pytest.mark.parametrize(
    ("asked", "definition", "told", "wanted"),
    [
        ("latency_s.p95", RULE, EVERYTHING, ("latency_s", "p95")),
        ("", RULE, EVERYTHING, ("responses", "n")),
        ("", {}, EVERYTHING, ("scores.triage.accuracy", "value")),
        ("gone", {}, EVERYTHING - {"scores.triage.accuracy.value"}, ("latency_s", "p95")),
        # A latency that nobody knows is an empty chart.
        ("", {}, {"responses.n"}, ("responses", "n")),
        ("", {}, set(), ("responses", "n")),
    ],
)
def test_the_figure_that_says_most(asked, definition, told, wanted):
    assert _wanted(KNOWN, asked, definition, told) == wanted


def test_of_no_figures_there_is_none():
    assert _wanted([], "", {}, set()) is None
