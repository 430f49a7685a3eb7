from __future__ import annotations

import pytest

from evalharness.core.errors import EvalHarnessError
from evalharness.record import Rating, RunRegistry
from evalharness.record.rated import ratings_of


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    return tmp_path / "reports"


def test_where_there_is_no_registry_none_is_made(reports):
    assert ratings_of("a", reports) == ()
    assert not reports.exists()


def test_of_one_run(reports):
    mine = Rating("a", "t", "m", "s", 0, "anna", "scale", value=3.0)
    with RunRegistry.open(reports=reports) as registry:
        registry.add_ratings([mine, Rating("b", "t", "m", "s", 0, "anna", "scale", value=1.0)])
    assert [(r.run_id, r.value) for r in ratings_of("a", reports)] == [("a", 3.0)]
    url = f"sqlite:///{reports / 'registry.sqlite3'}"
    assert len(ratings_of("a", reports / "elsewhere", url=url)) == 1


@pytest.mark.parametrize(
    ("winner", "from_a", "from_b"), [("m", "m", "m@a"), ("m@b", "m@b", "m"), ("tie", "tie", "tie"), (None, None, None)]
)
def test_a_pair_of_two_runs_is_seen_from_each(reports, winner, from_a, from_b):
    pair = Rating("a", "t", "m", "s", 0, "anna", "pairwise", label=winner, against="m@b", comment="x")
    with RunRegistry.open(reports=reports) as registry:
        registry.add_ratings([pair])
    (a,), (b,) = ratings_of("a", reports), ratings_of("b", reports)
    assert (a.model, a.against, a.label) == ("m", "m@b", from_a)
    assert (b.run_id, b.model, b.against, b.label) == ("b", "m", "m@a", from_b)


def test_a_broken_registry_is_said(reports):
    reports.mkdir()
    (reports / "registry.sqlite3").write_bytes(b"not a database at all, but long enough" * 40)
    with pytest.raises(EvalHarnessError, match=r"registry"):
        ratings_of("a", reports)
