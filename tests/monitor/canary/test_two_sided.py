"""Canaries of figures that are best between their bounds: what lies nearer to none is no loss."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evalharness.compare.result import ComparedFigure
from evalharness.monitor.canary.verdicts import _condition, _sentence, loss_of

ONE = ComparedFigure(
    section="figures", task="t", metric="bias", group=None, candidate="c", model="m", baseline_task="t",
    baseline_model="m", higher_is_better=False, value=0.1, baseline=0.1, difference=0.0, low=-0.1, high=0.1,
    confidence=0.95, interval_method="paired jackknife", p_value=0.0001, adjusted_p=0.0001, test="z", effect=0.0,
    effect_name="", wins=0, losses=0, ties=100, right_to_wrong=None, wrong_to_right=None, n_paired=100,
    n_only_candidate=0, n_only_baseline=0, n_missing=0, n_missing_baseline=0, finding="no difference shown", best=0.0,
)  # fmt: skip


def one(value: float, baseline: float, towards: str) -> ComparedFigure:
    return replace(ONE, value=value, baseline=baseline, difference=value - baseline, towards_best=towards)


@pytest.mark.parametrize(
    ("value", "baseline", "towards", "loss", "state", "words"),
    [
        (-0.8, 0.1, "worse", 0.7, "bad", "farther from 0 than the promoted 0.1"),  # lower, and far beyond none
        (-0.1, -0.6, "better", -0.5, "ok", "nearer to 0 than"),  # higher, and better
        (0.6, 0.1, "worse", 0.5, "bad", "farther from 0 than"),
        (-0.4, 0.4, "changed sides", 0.0, "ok", "as far from 0 as the promoted 0.4"),
        (-0.5, 0.4, "changed sides", 0.1, "ok", "farther from 0"),  # its interval of distances holds the other's
    ],
)
def test_a_loss_is_one_of_distance(value, baseline, towards, loss, state, words):
    figure = one(value, baseline, towards)
    assert loss_of(figure) == pytest.approx(loss)
    found = _condition("canary:t.bias", {}, figure, (), (-1.0, 1.0), alpha=0.05, share=0.02)
    assert found.state == state
    assert words in _sentence(figure)
