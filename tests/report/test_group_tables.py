"""Which group stands first: the worst one, or the one farthest from what is best between the bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evalharness.report.group_tables import group_tables

from .test_probes import RESULT


@pytest.mark.parametrize(
    ("best", "order", "words"),
    [(None, "bca", "worst first"), (0.0, "abc", "farthest from 0 first"), (0.2, "abc", "farthest from 0.2 first")],
)
def test_the_order_of_groups(best: float | None, order: str, words: str) -> None:
    values = {"a": -0.4, "b": 0.3, "c": 0.15, "d": float("nan")}
    results = [replace(RESULT, group=f"who={name}", value=value) for name, value in values.items()]
    (table,) = group_tables(results, {} if best is None else {("t", "gap"): best})
    assert "".join(name for name, _ in table.rows) == order + "d"  # nothing to measure stands last
    assert table.order == words


def test_groups_that_a_figure_is_not_about_are_left_out() -> None:
    measured = replace(RESULT, group="who=negation", n=38)
    nothing = {"value": float("nan"), "n": 0}
    untouched = [replace(RESULT, group=f"who={name}", n_failed=0, **nothing) for name in ("original", "typos")]
    failed = replace(RESULT, group="who=upper", n_failed=3, **nothing)
    (table,) = group_tables([measured, *untouched, failed], {})
    assert [name for name, _ in table.rows] == ["negation", "upper"]  # that answers failed is something to be seen
    (table,) = group_tables(untouched, {})
    assert [name for name, _ in table.rows] == ["original", "typos"]
