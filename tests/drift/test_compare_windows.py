from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from evalharness.core.errors import NotComparableError, UsageError
from evalharness.core.registry import registry
from evalharness.drift.api import drift
from evalharness.drift.layout import freeze
from evalharness.drift.policy import Policy
from evalharness.drift.state import WindowState
from evalharness.drift.states import compare_states, picture_of_states, summary_of_states
from evalharness.drift.table import Table
from evalharness.drift.window import compare_tables

WORDS = ["the", "order", "of", "my", "account", "please", "help", "with", "this", "thing", "now", "and", "then"]


def frame(n, seed, *, shift=0.0, refund=0.02, model=0.0, refused=0.02, missing=0.0):
    rng = np.random.default_rng(seed)
    texts = [" ".join([*rng.choice(WORDS, 10), *(["refund"] if rng.random() < refund else [])]) for _ in range(n)]
    score = rng.normal(size=n)
    score[rng.random(n) < missing] = np.nan
    return pd.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(n)],
            "when": pd.date_range("2026-01-01", periods=n, freq="min"),
            "question": texts,
            "latency_s": np.exp(rng.normal(shift, 0.5, n)),
            "tokens": rng.poisson(80, n),
            "score": score,
            "language": rng.choice(["de", "en", "fr"], n, p=[0.3, 0.6, 0.1]),
            "model": np.where(rng.random(n) < model, "new", "old"),
            "refused": rng.random(n) < refused,
            "conversation": [f"{seed}-{i // 3}" for i in range(n)],
        }
    )


BEFORE = frame(1500, 1)
SAME = frame(1200, 2)
MOVED = frame(1200, 3, shift=0.3, refund=0.3, model=0.4, refused=0.12, missing=0.2)
WANTED = {"question", "latency_s", "model", "refused", "score is missing"}


def states(*frames, cluster=None, segments=()):
    ignore = [] if cluster else [name for name in ("conversation",) if name in frames[0]]
    first = Table.of(frames[0], cluster=cluster, segments=segments, ignore=ignore)
    layout = freeze(first)
    made = []
    for one in frames:
        state = WindowState(layout)
        state.update(Table.of(one, cluster=cluster, segments=segments, like=first, ignore=ignore))
        made.append(state)
    return made


def drifted(findings):
    return {f.column for f in findings if f.drifted}


def rows(before, now, policy=None, *, cluster=None, **options):
    ignore = [] if cluster else ["conversation"]
    return drift(before, now, policy, cluster=cluster, ignore=ignore, **options)


@pytest.mark.parametrize("cluster", [None, "conversation"])
def test_what_moved_is_found_and_nothing_else(cluster):
    report = rows(BEFORE, MOVED, cluster=cluster)
    assert drifted(report.findings) == WANTED
    assert drifted(rows(BEFORE, SAME, cluster=cluster).findings) == set()
    kinds = {f.column: (f.kind, f.test) for f in report.findings}
    assert kinds["refused"] == ("category", "rate")
    assert kinds["question"][0] == "text"
    assert "id" not in kinds
    assert "when" not in kinds
    assert any("'when' is left out: times" in note for note in report.notes)
    assert report.terms[0][1] == "refund"


@pytest.mark.parametrize("cluster", [None, "conversation"])
def test_states_find_what_rows_find(cluster):
    before, same, moved = states(BEFORE, SAME, MOVED, cluster=cluster)
    found = compare_states(before, moved, Policy())
    assert drifted(found) == WANTED
    assert drifted(compare_states(before, same, Policy())) == set()
    by_rows = {f.column: f for f in rows(BEFORE, MOVED, cluster=cluster).findings}
    for line in found:
        assert line.n_current == by_rows[line.column].n_current
        if line.column != "question":
            assert line.effect == pytest.approx(by_rows[line.column].effect, abs=0.03)


def test_a_rate_is_the_difference_of_shares():
    found = next(f for f in rows(BEFORE, MOVED).findings if f.column == "refused")
    assert found.effect == pytest.approx(MOVED.refused.mean() - BEFORE.refused.mean())
    before, moved = states(BEFORE, MOVED)
    found = next(f for f in compare_states(before, moved, Policy()) if f.column == "refused")
    assert found.effect == pytest.approx(MOVED.refused.mean() - BEFORE.refused.mean())


@pytest.mark.parametrize("known", [True, False])
def test_the_first_of_its_kind_is_a_rate_too(known):
    """A reference in which nothing (or everything) was refused knows one of the two levels only."""
    before, now = BEFORE.assign(refused=known), SAME.assign(refused=lambda f: f.index % 4 == 0)
    first, second = states(before, now)
    found = next(f for f in compare_states(first, second, Policy()) if f.column == "refused")
    assert found.effect == pytest.approx(0.25 - known)
    assert found.drifted


def test_a_rate_of_numbers_is_how_many_lie_above_nothing():
    before = pd.DataFrame({"retries": np.tile([0, 0, 0, 1, 2], 100)})
    now = pd.DataFrame({"retries": np.tile([0, 3, 0, 1, 2], 100)})
    policy = Policy(tests={"retries": "rate"})
    exact = drift(before, now, policy).findings[0]
    counted = compare_states(*states(before, now), policy)[0]
    assert exact.effect == pytest.approx(0.2) == counted.effect


def test_small_references_ring_no_more_often_than_they_may():
    """Bins whose edges are the reference's own rows fit it too well, unless each has rows enough."""
    rings = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        before, now = (pd.DataFrame({"x": rng.normal(size=50)}) for _ in range(2))
        first, second = states(before, now)
        rings += compare_states(first, second, Policy())[0].p_value <= 0.05
    assert rings / 300 < 0.055 + 3 * (0.05 * 0.95 / 300) ** 0.5
    edges = np.array(
        freeze(Table.of(pd.DataFrame({"x": np.arange(50) ** 0.5}), kinds={"x": "numeric"})).columns["x"].edges
    )
    assert ((edges > 0) & (edges < 7)).sum() == 3, "four bins, and none in the tails"


@pytest.mark.parametrize("cluster", [None, "conversation"])
@pytest.mark.parametrize("test", sorted(registry("drift").names()))
def test_bins_that_nobody_is_in_do_no_harm(test, cluster):
    """A constant column has an empty bin on either side of its value; so has one whose values have all moved."""
    kind = registry("drift").load(test)
    if "state" not in kind.on or not {"numeric", "category"} & set(kind.kinds):
        pytest.skip("not a test of counts")
    conversations = [f"c{i // 3}" for i in range(300)]
    before = pd.DataFrame({"x": np.full(300, 14.0), "level": "a", "conversation": conversations})
    moved = before.assign(
        x=np.where(np.arange(300) % 4 == 0, 8.0, 14.0), level=np.where(before.index % 4 == 0, "b", "a")
    )
    name = "x" if "numeric" in kind.kinds else "level"
    frames = [frame[[name, "conversation"]] for frame in (before, before, moved)]
    first, same, other = states(*frames, cluster=cluster)
    policy = Policy(tests={name: test})
    still = compare_states(first, same, policy)[0]
    assert not still.drifted
    found = compare_states(first, other, policy)[0]
    # What is told in standard deviations of the reference has no unit where that is constant.
    assert found.drifted or test in ("energy", "mean", "wasserstein", "rate")  # all values are above 0: yes


@pytest.mark.parametrize("by", ["rows", "states"])
def test_a_segment_alone_is_found(by):
    now = SAME.copy()
    now.loc[now.language == "de", "latency_s"] *= 2.5
    if by == "rows":
        found = rows(BEFORE, now, segments=["language"]).findings
    else:
        found = compare_states(*states(BEFORE, now, segments=["language"]), Policy())
    moved = {(f.column, f.segment) for f in found if f.drifted}
    assert ("latency_s", "language=de") in moved
    assert ("latency_s", "language=en") not in moved
    assert not any(f.column == "language" and f.segment for f in found)


def test_too_few_rows_say_nothing():
    report = rows(BEFORE, MOVED.head(20))
    assert {f.state for f in report.findings} == {"too_few"}
    assert "are too few: at least 30" in report.findings[0].reason


def test_thresholds_and_tests_are_the_users():
    policy = Policy(tests={"latency_s": "ks", "tokens": {"wasserstein": {"effect": 0.2}}}, effects={"latency_s": 0.9})
    found = {f.column: f for f in rows(BEFORE, MOVED, policy).findings}
    assert found["latency_s"].test == "ks"
    assert found["latency_s"].state == "small"
    assert found["tokens"].effect_threshold == 0.2


def test_pictures_of_rows_and_of_states_agree():
    before, moved = states(BEFORE, MOVED)
    exact = rows(BEFORE, MOVED).pictures["latency_s"]
    bins = picture_of_states(before, moved, "latency_s")
    for picture in (exact, bins):
        for side in ("reference", "current"):
            assert sum(picture[side]) == pytest.approx(1.0)
    mean = [np.average(np.convolve(p["edges"], [0.5, 0.5], "valid"), weights=p["current"]) for p in (exact, bins)]
    assert mean[0] == pytest.approx(mean[1], rel=0.05)
    levels = picture_of_states(before, moved, "model")
    shares = dict(zip(levels["labels"], levels["current"], strict=True))
    assert shares["others"] == pytest.approx((MOVED.model == "new").mean()), "a level that the reference has not"


def test_states_of_other_layouts_are_refused():
    (first,) = states(BEFORE)
    (second,) = states(SAME)
    with pytest.raises(NotComparableError, match="different layouts"):
        compare_states(first, second, Policy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": Policy(tests={"latency_s": "kss"})}, "unknown drift 'kss'; did you mean 'ks'"),
        ({"policy": Policy(tests={"model": "ks"})}, "is for numeric columns, but 'model' is category"),
        ({"policy": Policy(tests={"latency_s": {"ks": {"efect": 1}}})}, "did you mean 'effect'"),
        ({"policy": Policy(tests={"latency_s": 3})}, "must be a name"),
        ({"policy": Policy(tests={"model": "rate"})}, "of true and false, or 0 and 1, but column 'model' has"),
        ({"columns": ["latncy_s"]}, "did you mean 'latency_s'"),
        ({"segments": ["lang"]}, "no column 'lang'"),
        ({"kinds": {"model": "numbers"}}, "cannot be of kind 'numbers'"),
        ({"kinds": {"question": "numeric"}}, "cannot be read as numeric"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        rows(BEFORE, SAME, **options)


def test_a_test_that_needs_rows_is_refused_of_states():
    before, moved = states(BEFORE, MOVED)
    with pytest.raises(UsageError, match="needs every row"):
        compare_states(before, moved, Policy(tests={"latency_s": "classifier"}))


def test_a_frame_and_json_come_out():
    report = rows(BEFORE, MOVED)
    table = report.frame()
    assert len(table) == len(report.findings)
    assert set(table.loc[table.drifted, "column"]) == WANTED
    assert len(json.loads(json.dumps(report.to_dict()))["findings"]) == len(table)


def test_the_summary_counts_distinct_values_and_names_the_new_one():
    before = {"plan": ["free"] * 60 + ["pro"] * 40}
    now = {"plan": ["free"] * 50 + ["pro"] * 20 + ["team"] * 25 + ["trial"] * 5}
    tables = [Table.of(one) for one in (before, now)]
    by_rows = {name: pair for name, *pair in compare_tables(*tables, Policy()).summaries["plan"]}
    layout = freeze(tables[0])
    states = [WindowState(layout) for _ in tables]
    for state, table in zip(states, tables, strict=True):
        state.update(table)
    by_states = {name: pair for name, *pair in summary_of_states(*states, "plan")}
    assert by_rows["distinct values"] == by_states["distinct values"] == [2, 4]
    assert by_states["share of team (new)"] == [0, 0.25]
    assert by_rows["share of team"] == [0, 0.25]  # the one that moved most is the new one: it is told once
    assert "share of team (new)" not in by_rows
    yes = Table.of({"plan": [True, False] * 50})
    assert [name for name, *_ in compare_tables(yes, yes, Policy()).summaries["plan"]] == ["share of true"]
