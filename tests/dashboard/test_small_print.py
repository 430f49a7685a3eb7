"""What holds the promises of the documentation in corners that no page leads to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from evalharness.dashboard import audit, live
from evalharness.dashboard.pages import runs as run_pages
from evalharness.dashboard.queries.alerts import count_open
from evalharness.dashboard.queries.annotations import rated_tasks
from evalharness.dashboard.users import SESSION_S, begin_session, end_session
from evalharness.record import Rating
from evalharness.record.alert_tables import ALERTS
from evalharness.record.database import reading, writing
from evalharness.record.user_tables import AUDIT, SESSIONS

from .conftest import NOW, PASSWORD, World, csrf_of
from .test_access import VISIT, log_in, make_client

__all__ = ["make_client"]


@pytest.mark.usefixtures("sessions")
def test_cookies_go_over_https_alone_where_that_is_said(world: World) -> None:
    from starlette.testclient import TestClient

    from evalharness.dashboard.app import make_app

    app = make_app(replace(world.settings(), is_https=True))
    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        first, second = client.get("/login"), log_in(client, "viewer", PASSWORD)
        csrf = csrf_of(client.cookies[VISIT])
        third = client.post("/language", data={"language": "zh", "to": "/", "csrf": csrf})
    for answer in (first, second, third):
        assert "; secure" in answer.headers["set-cookie"].lower()


def test_sessions_that_are_over_are_removed(world: World) -> None:
    with writing(world.registry.engine) as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.user_name == "old"))
        begin_session(connection, "old", "password", NOW - timedelta(seconds=SESSION_S))
        begin_session(connection, "old", "password", NOW - timedelta(seconds=SESSION_S - 1))
        begin_session(connection, "new", "password", NOW)
        kept = select(func.count()).where(SESSIONS.c.user_name == "old")
        assert connection.execute(kept).scalar() == 1


def test_the_log_is_read_page_by_page_and_its_texts_are_cut(world: World) -> None:
    with writing(world.registry.engine) as connection:
        for number in range(5):
            audit.note(connection, NOW, who="w", action="a", subject=f"{number}" + "s" * 3_000, detail="d" * 3_000)
        first = audit.changes(connection, before=None, limit=3)
        second = audit.changes(connection, before=first[-1].id, limit=2)
        assert [row.subject[0] for row in (*first, *second)] == ["4", "3", "2", "1", "0"]
        assert {len(row.subject) for row in first} == {len(row.detail) for row in first} == {2_000}
        connection.execute(delete(AUDIT).where(AUDIT.c.who == "w"))


def test_a_report_that_no_browser_could_hold_is_not_read(
    make_client: Any, world: World, sessions: dict[str, str], monkeypatch: Any
) -> None:
    client = make_client()
    client.cookies.set(VISIT, sessions["viewer"])
    address = f"/runs/{world.runs[0]}/report"
    assert client.get(address).status_code == 200
    monkeypatch.setattr(run_pages, "_LARGEST_REPORT", 10)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(("n_matchers", "length", "is_fine"), [(20, 10, True), (21, 10, False), (1, 501, False)])
def test_silences_have_a_size(
    make_client: Any, sessions: dict[str, str], n_matchers: int, length: int, is_fine: bool
) -> None:
    client = make_client()
    client.cookies.set(VISIT, sessions["editor"])
    text = "\n".join(["a=" + "x" * (length - 2)] * n_matchers)
    csrf = csrf_of(sessions["editor"])
    answer = client.post("/silences", data={"matchers": text, "hours": "1", "csrf": csrf})
    assert answer.status_code == (303 if is_fine else 400)


def test_alerts_that_somebody_looks_after_are_not_counted(world: World) -> None:
    with writing(world.registry.engine) as connection:
        one = update(ALERTS).where(ALERTS.c.fingerprint == world.alert)
        connection.execute(one.values(acked_by=None))
        assert count_open(connection) == 1  # the other one is resolved
        connection.execute(one.values(acked_by="anna"))
        assert count_open(connection) == 0


def test_ratings_are_those_that_hold_of_the_runs_rated_last(world: World) -> None:
    def rating(run: str, sample: str) -> Rating:
        return Rating(run, "qa", "candidate", sample, 0, "anna", "scale", value=3.0, asked="Good?")

    registry = world.registry
    registry.add_ratings([rating("first", "s1"), rating("first", "s2"), rating("second", "s1")])
    registry.withdraw_ratings([rating("first", "s2")])
    registry.add_ratings([rating("third", "s1"), rating("third", "s2")])
    registry.withdraw_ratings([rating("third", "s2")])
    with reading(registry.engine) as connection:
        assert [(row.run_id, row.n_ratings) for row in rated_tasks(connection, limit=1)] == [("third", 1)]
        found = {row.run_id: row.n_ratings for row in rated_tasks(connection)}
    assert (found["first"], found["second"], found["third"]) == (1, 1, 1)


def test_only_so_many_pages_listen(make_client: Any, sessions: dict[str, str]) -> None:
    client = make_client()
    client.cookies.set(VISIT, sessions["viewer"])
    client.app.state.listeners.has_ended.set()
    assert client.get("/live").status_code == 200
    client.app.state.listeners.n = client.app.state.listeners.most
    assert client.get("/live").status_code == 503


def test_who_is_logged_out_hears_no_more(
    make_client: Any, world: World, sessions: dict[str, str], monkeypatch: Any
) -> None:
    from starlette.requests import Request

    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    with writing(world.registry.engine) as connection:
        token = begin_session(connection, "viewer", "password", NOW)
    headers = [(b"cookie", f"{VISIT}={token}".encode())]
    request = Request({"type": "http", "headers": headers, "app": make_client().app, "state": {}})

    async def listen() -> None:
        listeners = live.Listeners()
        events = live._events(request, listeners)
        assert (await anext(events)).startswith("event: state")
        assert listeners.n == 1
        with writing(world.registry.engine) as connection:
            end_session(connection, token)
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(events), 5)
        assert listeners.n == 0

    assert sessions
    asyncio.run(listen())


def test_no_more_of_a_body_is_read_than_may_come() -> None:
    from evalharness.dashboard.guard import Guard
    from evalharness.dashboard.settings import MAX_BODY_BYTES

    n_read, sent = 0, []

    async def endless() -> dict[str, Any]:
        nonlocal n_read
        n_read += 1000
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def reads_all(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"] and n_read < 10**6:
            pass

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(reads_all, hosts=())(scope, endless, send))
    assert n_read <= MAX_BODY_BYTES + 1000
    assert sent[0]["status"] == 413
