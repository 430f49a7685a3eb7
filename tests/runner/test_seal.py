"""What scoring found, as the tables that a record is written from."""

import numpy as np
import pytest

from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
from evalharness.runner import scoring
from evalharness.runner.scoring import Answered, Figure, score_task
from evalharness.runner.seal import AnsweredTask, _score_tables, _stats_tables


def scored(n, task, monkeypatch, chunk):
    monkeypatch.setattr(scoring, "_CHUNK", chunk)
    answered = [
        Answered(
            Sample(id=f"{task}{i}", digest=f"d{i}", prompt="?", target="yes", cluster=f"c{i % 3}"),
            Response(key=f"k{i}", status="error" if i % 5 == 1 else "ok", text="yes", answer="yes", latency_s=float(i)),
        )
        for i in range(n)
    ]
    figures = [
        Figure(name, registry("metrics").load(name)().for_task(("yes", "no")))
        for name in ("accuracy", "error_rate", "latency_mean_s")
    ]
    made = score_task(task, "m", answered, figures, count_as="failure", confidence=0.95, seed=0)
    entry = AnsweredTask(
        task=type("T", (), {"id": task})(), model="m", kind="generate", identity={}, labels=(), requests=(),
        answered=answered,
    )  # fmt: skip
    return [(entry, stats) for stats, _ in made.figures]


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_each_table_has_the_samples_that_its_figure_scored(chunk, monkeypatch):
    pairs = scored(23, "a", monkeypatch, chunk) + scored(7, "b", monkeypatch, chunk)
    tables = list(_stats_tables(pairs))
    values = list(_score_tables(pairs))
    for task, n in (("a", 23), ("b", 7)):
        ok = [i for i in range(n) if i % 5 != 1]
        for name, places in (("accuracy", ok), ("error_rate", list(range(n))), ("latency_mean_s", ok)):
            own = [table for table in tables if (table.task, table.metric) == (task, name)]
            assert [i for table in own for i in table.sample_ids] == [f"{task}{i}" for i in places]
            assert [d for table in own for d in table.digests] == [f"d{i}" for i in places]
            assert [c for table in own for c in table.clusters] == [f"c{i % 3}" for i in places]
            assert sum(len(table.values) for table in own) == len(places)
            of = [table for table in values if (table.task, table.metric) == (task, name)]
            assert [i for table in of for i in table.sample_ids] == [f"{task}{i}" for i in places]
            if name == "latency_mean_s":
                assert np.concatenate([table.values for table in of]).tolist() == [float(i) for i in places]


def test_figures_of_few_samples_share_their_columns(monkeypatch):
    accuracy, errors, latency = _score_tables(scored(23, "a", monkeypatch, 1000))
    assert latency.sample_ids is not accuracy.sample_ids  # the one between them scored others
    pairs = scored(23, "a", monkeypatch, 1000)
    first, second = _score_tables([pairs[0], pairs[2]])
    assert second.sample_ids is first.sample_ids
    assert errors.sample_ids != accuracy.sample_ids


def test_figures_of_many_samples_each_have_all_of_them(monkeypatch):
    pairs = scored(23, "a", monkeypatch, 1)
    tables = list(_score_tables([pairs[0], pairs[2]]))
    for name in ("accuracy", "latency_mean_s"):
        ids = [i for table in tables if table.metric == name for i in table.sample_ids]
        assert ids == [f"a{i}" for i in range(23) if i % 5 != 1]
