"""People's ratings in the registry: the latest one holds, nothing is lost, nothing contradictory gets in."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from evalharness.core.errors import UsageError
from evalharness.record import Rating, Record, RunRegistry
from evalharness.record.database import alembic_config, writing
from evalharness.record.ratings import check_rating

GOOD = Rating("run", "qa", "candidate", "s1", 0, "anna", "scale", value=4.0)
PAIR = Rating("run", "qa", "a", "s1", 0, "anna", "pairwise", label="b", against="b")
NASTY = "\x00 \ud800 \x1a =1+1 ‮"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RunRegistry]:
    times = iter(datetime(2026, 2, 1, tzinfo=UTC) + timedelta(seconds=i) for i in range(1000))
    with RunRegistry.open(reports=tmp_path / "reports", environ={}, clock=lambda: next(times)) as registry:
        yield registry


def changed(rating: Rating, **values: Any) -> Rating:
    return dataclasses.replace(rating, **values)


def test_what_is_stored_comes_back(registry: RunRegistry) -> None:
    given = [
        changed(GOOD, comment="well put"),
        changed(GOOD, sample_id=NASTY, model=NASTY, rater=NASTY, comment=NASTY, asked=NASTY),
        changed(GOOD, sample_id="s2", question="label", value=None, label="good"),
        PAIR,
        changed(PAIR, rater="ben", label="tie", against="a@20260101T000000Z-x"),
        changed(GOOD, sample_id="s3", value=None, comment="a comment alone"),
        changed(GOOD, sample_id="s4", value=-0.5, created_utc="2026-01-01T01:00:00+01:00"),
    ]
    stored = registry.add_ratings(given)
    assert registry.ratings() == stored
    assert [changed(rating, created_utc="") for rating in stored] == [changed(r, created_utc="") for r in given]
    assert stored[0].created_utc == "2026-02-01T00:00:00.000Z"
    assert stored[-1].created_utc == "2026-01-01T00:00:00.000Z"
    assert [rating.is_answered for rating in stored] == [True] * 5 + [False, True]


def test_the_latest_one_holds_and_none_is_lost(registry: RunRegistry) -> None:
    registry.add_ratings([GOOD])
    registry.add_ratings([changed(GOOD, rater="ben", value=1.0)])
    registry.add_ratings([changed(GOOD, value=2.0, comment="on reflection")])
    assert [(r.rater, r.value) for r in registry.ratings()] == [("ben", 1.0), ("anna", 2.0)]
    assert [(r.rater, r.value) for r in registry.ratings(history=True)] == [("anna", 4.0), ("ben", 1.0), ("anna", 2.0)]
    assert [r.value for r in registry.ratings(history=True, rater="anna")] == [4.0, 2.0]


@pytest.mark.parametrize(
    "other",
    [
        {"run_id": "x"},
        {"task": "x"},
        {"model": "x"},
        {"sample_id": "x"},
        {"repeat": 1},
        {"rater": "x"},
        {"question": "label", "value": None, "label": "good"},
        {"asked": "Is it true?"},
    ],
)
def test_what_makes_a_rating_another_one(registry: RunRegistry, other: dict[str, Any]) -> None:
    registry.add_ratings([GOOD, changed(GOOD, **other)])
    assert len(registry.ratings()) == 2
    registry.withdraw_ratings([GOOD])
    (left,) = registry.ratings()
    assert all(getattr(left, name) == value for name, value in other.items())


def test_pairs_with_different_others_are_different(registry: RunRegistry) -> None:
    registry.add_ratings([PAIR, changed(PAIR, against="c", label="a"), changed(PAIR, label="tie")])
    assert [(r.against, r.label) for r in registry.ratings()] == [("c", "a"), ("b", "tie")]


def test_a_rating_taken_back_is_gone_until_it_is_given_again(registry: RunRegistry) -> None:
    registry.add_ratings([GOOD])
    registry.withdraw_ratings([changed(GOOD, value=None, created_utc="2026-02-01T00:00:00.000Z")])
    assert registry.ratings() == ()
    assert [r.value for r in registry.ratings(history=True)] == [4.0]
    registry.withdraw_ratings([GOOD])
    registry.add_ratings([changed(GOOD, value=5.0)])
    assert [r.value for r in registry.ratings()] == [5.0]
    registry.withdraw_ratings([])


def test_ratings_are_found_by_what_they_are(registry: RunRegistry) -> None:
    registry.add_ratings(
        [GOOD, PAIR, changed(GOOD, run_id="other", asked="Is it true?"), changed(GOOD, task="sum", rater="ben")]
    )
    assert len(registry.ratings(run_id="run")) == 3
    assert [r.task for r in registry.ratings(run_id="run", task="sum")] == ["sum"]
    assert [r.rater for r in registry.ratings(rater="ben")] == ["ben"]
    assert [r.question for r in registry.ratings(question="pairwise")] == ["pairwise"]
    assert [r.run_id for r in registry.ratings(asked="Is it true?")] == ["other"]
    assert len(registry.ratings(asked="")) == 3
    assert registry.ratings(run_id="%") == ()


def test_all_or_none_are_stored(registry: RunRegistry) -> None:
    with pytest.raises(UsageError, match="only a scale has values"):
        registry.add_ratings([GOOD, changed(GOOD, value=float("nan"))])
    assert registry.ratings() == ()


@pytest.mark.parametrize(
    ("rating", "words"),
    [
        (changed(GOOD, question="stars"), "question is 'stars'; it is one of scale, label, pairwise"),
        (changed(GOOD, rater=" "), "rater is empty"),
        (changed(GOOD, value=float("inf")), "value is inf"),
        (changed(GOOD, question="label", label="x"), "value is 4.0; only a scale has values"),
        (changed(GOOD, label="good"), "label is 'good'; a rating on a scale"),
        (changed(GOOD, against="b"), "against is 'b'; it names the other model of a pair"),
        (changed(PAIR, against=None), "against is None"),
        (changed(PAIR, label="c"), "label is 'c'; it names the better model, 'a' or 'b', or is 'tie'"),
        (changed(PAIR, against="tie", label="a"), "a model is called 'tie'"),
        (changed(GOOD, created_utc="yesterday"), "created_utc is 'yesterday', which is no time"),
    ],
)
def test_what_contradicts_itself_is_refused(registry: RunRegistry, rating: Rating, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.add_ratings([rating])
    assert words in str(caught.value)
    assert "'s1' by '" in str(caught.value)


def test_a_pair_may_be_undecided() -> None:
    check_rating(changed(PAIR, label=None, comment="cannot tell"))
    check_rating(changed(PAIR, label="tie"))


def test_ratings_outlive_the_deletion_of_their_run(registry: RunRegistry, record: Record) -> None:
    registry.add(record)
    registry.add_ratings([changed(GOOD, run_id=record.id)])
    registry.delete(record.id)
    assert len(registry.ratings(run_id=record.id)) == 1


def test_a_registry_of_the_first_schema_gets_the_table(registry: RunRegistry, record: Record) -> None:
    from alembic import command

    registry.add(record)
    registry.promote(record.id)
    with writing(registry.engine) as connection:
        command.downgrade(alembic_config(connection), "0001")
    registry.close()
    with RunRegistry.open(reports=registry.reports, environ={}) as again:
        again.add_ratings([GOOD])
        assert len(again.ratings()) == 1
        assert again.get("latest").labels == ("production",)


def test_many_processes_rate_at_once(registry: RunRegistry) -> None:
    code = """
import sys
from evalharness.record import Rating, RunRegistry
with RunRegistry.open(reports=sys.argv[1], environ={}) as registry:
    for i in range(25):
        registry.add_ratings([Rating("run", "qa", "m", f"s{i}", 0, sys.argv[2], "scale", value=float(i % 5))])
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(registry.reports), name], stderr=subprocess.PIPE)
        for name in ("anna", "ben", "cem")
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert len(registry.ratings()) == 75


def test_a_rating_survives_the_death_of_its_process(registry: RunRegistry) -> None:
    code = """
import os, sys
from evalharness.record import Rating, RunRegistry
registry = RunRegistry.open(reports=sys.argv[1], environ={})
registry.add_ratings([Rating("run", "qa", "m", "s1", 0, "anna", "scale", value=3.0)])
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(registry.reports)], timeout=60, check=False)
    assert done.returncode != 0
    assert [r.value for r in registry.ratings()] == [3.0]


def test_the_dataclass_loads_nothing_heavy() -> None:
    code = "import sys\nfrom evalharness.record import Rating\nprint('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_strange_text_is_stored_as_valid_sql_text(registry: RunRegistry) -> None:
    registry.add_ratings([changed(GOOD, comment=NASTY)])
    with writing(registry.engine) as connection:
        raw = connection.execute(text("SELECT comment FROM ratings")).scalar()
    assert "\x00" not in raw
