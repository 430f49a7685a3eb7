"""Figures that are best between their bounds: bias scores, and signed gaps."""

from __future__ import annotations

import pytest

from evalharness.core.nulls import best_between, gains
from evalharness.metrics.aggregations import Mean
from evalharness.metrics.bbq import BbqAccuracy, BbqBias
from evalharness.metrics.by_group import ByGroup
from evalharness.metrics.group_figures import group_figures
from evalharness.metrics.lm_eval import LmEvalFigure
from evalharness.metrics.match import ExactMatch
from evalharness.metrics.preference import CrowsPairs
from evalharness.metrics.pro_anti import ProAntiGap
from evalharness.metrics.stereoset import StereoSetSs


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        (CrowsPairs(), 0.5),
        (StereoSetSs(terms=("a",)), 50.0),
        (BbqBias(), 0.0),
        (ProAntiGap(), 0.0),
        (ByGroup(metric="accuracy", column="c", what="gap", levels=("a", "b")), 0.0),
        (ByGroup(metric="accuracy", column="c"), None),  # a difference is never below 0
        (ByGroup(metric="accuracy", column="c", what="ratio"), None),
        (ByGroup(metric="accuracy", column="c", what="drop"), None),
        (ExactMatch(), None),
        (BbqAccuracy(), None),
    ],
)
def test_which_figures_are_best_between_their_bounds(metric, best):
    assert best_between(metric) == best


@pytest.mark.parametrize(("name", "best"), [("pct_stereotype", 0.5), ("pct_stereotype@none", 0.5), ("acc", None)])
def test_lm_evals_share_of_stereotypes_is_best_at_a_half(name, best):
    figure = LmEvalFigure(name=name, subject="task:t", aggregation=Mean(), higher_is_better=False)
    assert best_between(figure) == best
    # 0.5 to 0.3 is as bad as 0.5 to 0.7, though lm-eval calls the lower figure better.
    if best:
        assert gains(figure, 0.3, 0.5) == pytest.approx(gains(figure, 0.7, 0.5)) == pytest.approx(-0.2)


def test_the_highest_share_is_not_the_worst_where_one_half_is_best():
    names = {name for name, _ in group_figures([("pairs", CrowsPairs()), ("right", ExactMatch())], "c", None)}
    assert {"pairs_difference@c", "right_difference@c", "right_worst@c"} <= names
    assert "pairs_worst@c" not in names
