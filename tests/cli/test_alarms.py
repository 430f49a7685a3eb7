import math

import pytest

from evalharness.cli import alarms
from evalharness.cli.alarms import Alarm, _worse
from evalharness.core.types import MetricResult
from evalharness.suite.schema import Rule


def figure(value, low=math.nan, high=math.nan, *, higher_is_better=True):
    return MetricResult("t", "m", "acc", value, low, high, "", 0.95, 50, 0, higher_is_better, (0, 1), "")


@pytest.mark.parametrize(
    ("condition", "value", "higher_is_better", "expected"),
    [
        ({"at_least": 0.7}, 0.6, True, "clearly"),
        ({"at_least": 0.7}, 0.75, True, "within its interval"),
        ({"at_least": 0.7}, 0.8, True, "no"),
        ({"at_least": 0.7}, 0.99, True, "no"),
        ({"at_least": 0.7}, 0.6, False, "clearly"),  # a rule may ask for more of what is less good
        ({"at_most": 0.9}, 0.95, True, "clearly"),
        ({"at_most": 0.9}, 0.85, True, "within its interval"),
        ({"at_most": 0.9}, 0.6, True, "no"),
        ({"max_regression": 0.1}, 0.6, True, "clearly"),
        ({"max_regression": 0.1}, 0.95, True, "no"),
        ({"max_regression": 0.1}, 0.95, False, "clearly"),
        ({"at_least": 0.7}, math.nan, True, "clearly"),
    ],
)
def test_worse_is_what_the_rule_watches(condition, value, higher_is_better, expected):
    rule = Rule(metric="t.acc", **condition)
    before = figure(0.8, 0.7, 0.9, higher_is_better=higher_is_better)
    assert _worse(rule, before, figure(value, higher_is_better=higher_is_better)) == expected


def test_what_was_no_figure_cannot_get_worse():
    rule = Rule(metric="t.acc", at_least=0.5)
    assert _worse(rule, figure(math.nan), figure(0.1)) == "no"
    assert _worse(rule, figure(math.nan), figure(math.nan)) == "no"


def test_an_open_end_is_as_far_away_as_the_other_one():
    rule = Rule(metric="t.acc", at_most=2.0)
    before = figure(1.0, 0.8, math.inf)
    assert _worse(rule, before, figure(1.1)) == "within its interval"
    assert _worse(rule, before, figure(1.3)) == "clearly"
    assert _worse(rule, figure(1.0), figure(1.0001)) == "clearly"
    assert _worse(rule, figure(1.0, -math.inf, math.inf), figure(1.0)) == "no"


@pytest.mark.parametrize(
    ("state", "caught", "missed", "result"),
    [
        ("pass", ["empty"], {"slow": 1.0}, "rings"),
        ("pass", [], {"slow": 1.0}, "never rings"),
        ("pass", [], {}, "not tested"),
        ("inconclusive", ["empty"], {}, "rings"),
        ("inconclusive", [], {"slow": 1.0}, "not green"),
        ("fail", [], {}, "not green"),
    ],
)
def test_what_comes_of_an_alarm(state, caught, missed, result):
    alarm = Alarm("r", "block", 0.5, state, caught, missed)
    assert alarm.result == result
    assert alarms.Tested((alarm,), {}).to_dict()["passed"] is (result != "never rings")
