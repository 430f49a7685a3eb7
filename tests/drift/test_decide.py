from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from evalharness.core.drifting import DriftFinding
from evalharness.core.errors import UsageError
from evalharness.drift.decide import adjusted, decided
from evalharness.drift.policy import Policy


def line(column, p, effect=0.5, *, segment="", state="no_drift", threshold=0.1, smallest=0.05):
    return DriftFinding(
        column, "numeric", "ks", state, "", p, math.nan, effect, "distance", threshold, smallest, 1.0, 100, 100, segment
    )


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=30))
def test_without_segments_it_is_benjamini_hochberg(p_values):
    names = [f"c{i}" for i in range(len(p_values))]
    found = adjusted(p_values, names, alpha=0.05, correction="bh")
    assert np.allclose(found, false_discovery_control(p_values, method="bh"))


def plain_hierarchy(p_values, families, alpha):
    """Benjamini and Bogomolov, word by word: which lines are significant."""
    names = list(dict.fromkeys(families))
    simes = []
    for name in names:
        own = sorted(p for p, f in zip(p_values, families, strict=True) if f == name)
        simes.append(min(p * len(own) / (i + 1) for i, p in enumerate(own)))
    order = sorted(range(len(names)), key=lambda i: simes[i])
    selected = 0
    for rank, i in enumerate(order, start=1):
        if simes[i] <= alpha * rank / len(names):
            selected = rank
    significant = set()
    for i in order[:selected]:
        lines = sorted((j for j, f in enumerate(families) if f == names[i]), key=lambda j: p_values[j])
        level, last = alpha * selected / len(names), 0
        for rank, j in enumerate(lines, start=1):
            if p_values[j] <= level * rank / len(lines):
                last = rank
        significant |= set(lines[:last])
    return significant


@given(st.lists(st.tuples(st.floats(1e-9, 1.0), st.sampled_from("abcd")), min_size=1, max_size=25))
def test_with_segments_it_is_the_hierarchical_procedure(lines):
    p_values, families = [p for p, _ in lines], [f for _, f in lines]
    found = adjusted(p_values, families, alpha=0.05, correction="bh")
    wanted = plain_hierarchy(p_values, families, 0.05)
    near = {i for i, q in enumerate(found) if abs(q - 0.05) < 1e-9}
    assert {i for i, q in enumerate(found) if q <= 0.05} - near == wanted - near


def test_under_no_drift_a_window_rings_as_often_as_it_says():
    chance = np.random.default_rng(7)
    families = [f"c{i // 4}" for i in range(80)]
    rings = sum((adjusted(chance.random(80), families, alpha=0.05, correction="bh") <= 0.05).any() for _ in range(3000))
    assert rings / 3000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 3000)


def test_what_was_not_told_counts_for_nothing():
    found = adjusted([math.nan, 0.01, math.nan], ["a", "b", "b"], alpha=0.05, correction="bh")
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == pytest.approx(0.01)
    assert np.isnan(adjusted([math.nan], ["a"], alpha=0.05, correction="holm")).all()


@pytest.mark.parametrize(("correction", "wanted"), [("none", 0.02), ("holm", 0.06), ("bh", 0.06), ("by", 0.11)])
def test_corrections(correction, wanted):
    found = adjusted([0.02, 0.5, 0.6], ["a", "b", "c"], alpha=0.05, correction=correction)
    assert found[0] == pytest.approx(wanted, abs=1e-9)


def test_a_finding_needs_evidence_and_effect():
    found = decided(
        [
            line("a", 1e-6, 0.3),
            line("b", 1e-6, 0.05),
            line("c", 0.9, 0.3),
            line("d", 0.9, -0.3, smallest=0.4),
            line("e", 1e-7, -0.3),
            line("f", math.nan, math.nan, state="too_few"),
        ],
        Policy(),
    )
    assert [f.state for f in found] == ["drift", "small", "no_drift", "no_drift", "drift", "too_few"]
    assert found[0].reason == "distance 0.3 is at least 0.1, and p is below 0.0001"
    assert found[1].reason == "p is below 0.0001, but distance 0.05 is below 0.1, from which on it counts"
    assert "above 0.05" in found[2].reason
    assert "would find 0.4 four times in five" in found[3].reason
    assert found[0].drifted
    assert not found[1].drifted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must lie between 0 and 1"),
        ({"alpha": math.nan}, "alpha must lie between 0 and 1"),
        ({"correction": "bonferroni"}, "choose bh, by, holm or none"),
        ({"least_n": 1}, "least_n must be at least 2"),
        ({"effects": {"a": -1.0}}, "the effect of column 'a'"),
        ({"effects": {"a": math.nan}}, "the effect of column 'a'"),
    ],
)
def test_a_policy_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        Policy(**options)


def test_a_segment_is_held_against_a_level_that_shrinks_with_the_columns_selected():
    """One of five columns is selected: its second line would need p = 0.01, and has 0.03."""
    found = adjusted([1e-6, 0.03, 0.9, 0.9, 0.9, 0.9], ["a", "a", "b", "c", "d", "e"], alpha=0.05, correction="bh")
    assert found[0] <= 0.05
    assert found[1] == pytest.approx(0.15)
