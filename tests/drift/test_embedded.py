"""Texts compared by the vectors of an encoder: the column, what is refused, and what is shown of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from evalharness.core.errors import UsageError
from evalharness.drift.embedded import embedded, typical_texts
from evalharness.drift.layout import Layout, freeze
from evalharness.drift.policy import Policy
from evalharness.drift.state import WindowState
from evalharness.drift.states import compare_states
from evalharness.drift.table import Table
from evalharness.drift.window import compare_tables

TOPICS = {"film": 0.0, "order": 2.0, "verse": 4.0}


class ByTopic:
    """A text's first word says where its vector lies; its length scatters it."""

    def __init__(self, identity="topics 1"):
        self.identity = identity

    def vectors(self, texts):
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 0.3, (len(texts), 3))
        made = [[np.nan] * 3 if text is None else [TOPICS[text.split()[0]], 0, 0] for text in texts]
        return np.array(made) + noise


def table(topics, encoder=None, seed=0):
    texts = [f"{topic} number {i + 1000 * seed}" if topic else None for i, topic in enumerate(topics)]
    given = Table.of(pa.table({"output": pa.array(texts, pa.string())}), kinds={"output": "text"})
    return embedded(given, {"output": encoder or ByTopic()})


def test_another_topic_is_found_and_its_texts_are_shown():
    before, now = table(["film"] * 200), table(["film"] * 170 + ["verse"] * 30, seed=1)
    report = compare_tables(before, now, Policy())
    (line,) = [f for f in report.findings if f.column == "output.embedding"]
    assert (line.kind, line.test, line.state) == ("embedding", "mmd", "drift")
    shown = [(side, why, text.split()[0]) for column, side, text, why in report.examples if column == line.column]
    assert shown.count(("current", "farthest from the other side", "verse")) == 2
    assert shown.count(("current", "nearest to the mean", "film")) == 2
    assert shown.count(("reference", "nearest to the mean", "film")) == 2
    assert [why for _, why, _ in shown[:2]] == ["nearest to the mean", "farthest from the other side"]


def test_the_texts_nearest_to_the_mean_are_those():
    one = table(["film"] * 50)
    values = np.asarray(one.columns["output.embedding"].values)
    gaps = np.linalg.norm(values - values.mean(axis=0), axis=1)
    pair = (one.columns["output.embedding"], table(["verse"] * 50).columns["output.embedding"])
    nearest = [text for _, side, text, why in typical_texts("output.embedding", pair) if "mean" in why][:1]
    assert nearest == [f"film number {int(gaps.argmin())}"]


def test_no_change_and_no_texts():
    before, now = table(["film"] * 150), table(["film"] * 150, seed=1)
    assert not compare_tables(before, now, Policy()).drifted
    bare = Table.of({"v": np.zeros((5, 3))}).columns["v"]
    assert typical_texts("v", (bare, bare)) == []


def test_missing_texts_have_no_vector():
    one = table(["film", None, "order"])
    assert one.columns["output.embedding"].present.tolist() == [True, False, True]
    assert typical_texts("x", (one.columns["output.embedding"], table([None]).columns["output.embedding"])) == []


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(UsageError, match=r"a column 'output\.embedding' already"):
        embedded(table(["film"]), {"output": ByTopic()})


def test_states_of_two_encoders_are_not_compared():
    before = table(["film"] * 100)
    layout = freeze(before)
    assert layout.columns["output.embedding"].encoder == "topics 1"
    assert Layout.from_json(layout.to_json()).digest == layout.digest
    state = WindowState(layout)
    with pytest.raises(UsageError, match="another encoder"):
        state.update(table(["film"] * 100, ByTopic("topics 2")))
    with pytest.raises(UsageError, match="two encoders"):
        freeze([before, table(["film"], ByTopic("topics 2"))])


def test_layouts_without_an_encoder_keep_their_digests():
    layout = freeze(Table.of({"v": np.random.default_rng(0).normal(size=(50, 3)), "x": np.arange(50.0) % 7}))
    assert "encoder" not in layout.to_json()["columns"]["v"]
    assert "encoder" not in layout.to_json()["columns"]["x"]


def test_states_find_another_topic():
    before = table(["film"] * 400)
    layout = freeze(before)
    sides = []
    for one in (before, table(["film"] * 300 + ["order"] * 100, seed=1)):
        sides.append(WindowState(layout))
        sides[-1].update(one)
    found = {f.column: f.state for f in compare_states(sides[0], sides[1], Policy())}
    assert found["output.embedding"] == "drift"


@pytest.mark.parametrize("kind", ["fixed", "list"])
def test_lists_of_numbers_become_rows(kind):
    rows = [[1.0, 2.0], None, [3.0, float("nan")], [5.0, 6.0]]
    type_of = pa.list_(pa.float32(), 2) if kind == "fixed" else pa.list_(pa.float64())
    chunked = pa.chunked_array([pa.array([[9.0, 9.0], *rows[:2]], type_of).slice(1), pa.array(rows[2:], type_of)])
    values = np.asarray(Table.of(pa.table({"v": chunked})).columns["v"].values)
    np.testing.assert_array_equal(values, [[1, 2], [np.nan, np.nan], [3, np.nan], [5, 6]])


def test_vectors_of_several_lengths_are_refused():
    with pytest.raises(UsageError, match="vectors of 1 to 2 numbers"):
        Table.of(pa.table({"v": pa.array([[1.0], [1.0, 2.0]])}))
