"""After drift, a slice of the suite says whether quality fell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evalharness.compare.sliced import compare_slice
from evalharness.core.errors import NotComparableError
from evalharness.monitor.alerts.store import load
from evalharness.monitor.run import Outcome
from evalharness.monitor.store import figures_of
from evalharness.record import Record
from evalharness.record.database import reading

from .conftest import BEGIN, N, World

WATCH = "  segments: [language]\n  watch: [input.words]\n"


def alerts(world: World) -> dict[str, tuple[str, str]]:
    with reading(world.registry.engine) as connection:
        found = load(connection, monitor="bot").values()
    return {f"{a.alert_key} {a.labels.get('segment', '')}".strip(): (a.track.state, a.summary) for a in found}


def drifting(world: World, on_drift: str = "on_drift: {run: echo, model: production}") -> None:
    """From the fourth hour on, inputs in German are longer."""
    world.write(WATCH + f"  {on_drift}\n")
    world.log(per_hour=80, language=lambda i: ("de" if i < 240 else "de aber") if i % 2 else "en")
    path = world.folder / "log.jsonl"
    path.write_text(path.read_text().replace('{"language": "de aber"}', '{"language": "de"}'))
    world.release()


def test_the_drifted_segment_is_asked_alone_and_the_answer_stands_on_the_page_and_in_the_alert(world: World) -> None:
    drifting(world)
    world.run(1)
    assert world.calls() == []  # there is nothing to compare with yet
    world.run(2)
    assert world.calls() == []  # no drift
    world.mode("worse in German")
    outcome = world.run(3)
    asked = world.calls()
    assert sorted(asked) == sorted(f"de {i}" for i in range(0, N, 3))
    state, summary = alerts(world)["on_drift:echo"]
    assert state == "firing"
    assert summary.startswith("quality on language=de: exact_match fell by 50.0 points (95 % ")
    assert "n = 20)" in summary
    assert summary in alerts(world)["drift:input.words language=de"][1]
    assert summary[1:] in world.file(outcome, "drift.html")
    assert world.run(3).action == "unchanged"
    assert world.calls() == []
    with reading(world.registry.engine) as connection:
        found = {(r.column, r.name): r for r in figures_of(connection, outcome.row.id)}
    loss = found["on_drift.echo.exact_match", "loss"]
    assert (loss.value, loss.segment, loss.n) == (0.5, "language=de", 20)


def test_where_quality_has_not_fallen_it_says_how_much_may_be_unseen(world: World) -> None:
    drifting(world)
    world.run(2)
    world.run(3)
    state, summary = alerts(world)["on_drift:echo"]
    assert state == "ok"
    assert summary.startswith("quality on language=de: exact_match: no loss of more than ")


def test_a_canary_of_the_interval_is_not_asked_again(world: World) -> None:
    drifting(world, "canary: {model: production}\n  on_drift: {run: echo}")
    world.run(2)
    world.calls()
    world.mode("worse in German")
    world.run(3)
    assert len(world.calls()) == N
    assert world.canaries("drift") == []
    assert "language=de: exact_match fell by 50.0 points" in alerts(world)["on_drift:echo"][1]


def test_no_more_samples_are_asked_than_it_may(world: World) -> None:
    drifting(world, "on_drift: {run: echo, samples: 10}")
    world.run(2)
    world.run(3)
    asked = world.calls()
    assert len(asked) == 10
    assert all(one.startswith("de ") for one in asked)
    assert "n = 10)" in alerts(world)["on_drift:echo"][1]


def test_drift_of_long_ago_is_not_asked_about(world: World) -> None:
    drifting(world)
    world.now = BEGIN + timedelta(hours=9)
    world.run(2)
    world.run(3)
    assert world.calls() == []
    assert "on_drift:echo" not in alerts(world)
    assert "was not asked" in alerts(world)["drift:input.words language=de"][1]


def test_production_that_is_down_is_an_error_of_this_alone(world: World) -> None:
    drifting(world)
    world.run(2)
    world.mode("down")
    outcome: Outcome = world.run(3)
    assert outcome.action == "recorded"
    assert outcome.row.status == "compared"
    assert alerts(world)["on_drift:echo"][0] == "error"


def test_slices_of_records_are_compared_on_the_samples_that_are_asked_for(world: World) -> None:
    world.release()
    world.run(0)
    world.mode("worse in German")
    world.run(1)
    after, before = (Record.open(world.reports / "runs" / name) for name in world.canaries())
    ids = [f"s{i}" for i in range(0, 30, 3)]
    (found,) = compare_slice(after, before, "echo", ids)
    assert (found.value, found.baseline, found.loss, found.n) == (0.5, 1.0, 0.5, 10)
    (whole,) = compare_slice(after, before, "echo", None)
    assert (whole.n, whole.loss) == (N, pytest.approx(1 / 6))
    with pytest.raises(NotComparableError, match="no sample of echo is the same"):
        compare_slice(after, before, "echo", ["other"])
