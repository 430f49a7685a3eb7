"""What somebody tries who wants in, or wants the dashboard down."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from evalharness.core.errors import UsageError
from evalharness.dashboard.users import add_user, begin_session
from evalharness.record.database import reading, writing
from evalharness.record.silences import Matcher, add_silence, end_silence, parse_matcher
from evalharness.record.user_tables import AUDIT

from .conftest import NOW, PASSWORD, World, csrf_of, make_world
from .test_access import VISIT, log_in, make_client
from .test_routes import ROUTES

__all__ = ["make_client"]
ODD = "\ud800\udfff\x00\x1b[2J\u202e</script>'\"%00%2e%2e/..\\"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose texts no database, encoding or page expects."""
    made = make_world(tmp_path_factory.mktemp("odd"), ODD)
    yield made
    made.registry.close()


@pytest.fixture(scope="module")
def insider(odd: World) -> Iterator[Any]:
    """A dashboard over it, to whoever asks."""
    from starlette.testclient import TestClient

    from evalharness.dashboard.app import make_app

    app = make_app(odd.settings(no_login=True))
    with TestClient(app, base_url="http://testserver", follow_redirects=False) as client:
        client.get("/login")
        app.state.listeners.has_ended.set()
        yield client


def odd_address(world: World, address: str) -> str:
    monitor = quote(world.monitor.encode("utf-8", "replace").decode(), safe="")
    return address.replace("/bot", f"/{monitor}").format(
        run=world.runs[2], run2=world.runs[1], interval=world.interval, alert=world.alert, css="/assets/x.css"
    )


@pytest.mark.parametrize("path", [route.address for route in ROUTES if route.method == "GET"])
def test_no_text_of_the_registry_is_too_odd(odd: World, insider: Any, path: str) -> None:
    answer = insider.get(odd_address(odd, path))
    # The record of one of these runs is gone, which is told by 503.
    assert answer.status_code < 500 or "its folder is gone" in answer.text, answer.text
    if answer.headers["content-type"].startswith("text/html"):
        assert not set("\x00\x1b\u202e") & set(answer.text)


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


UPLOAD = b'--x\r\nContent-Disposition: form-data; name="csrf"; filename="../a"\r\n\r\nx\r\n--x--\r\n'
WHEN = "2026-03-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "place",
    [
        [WHEN, "abc"], [WHEN, 5], [WHEN, -1], [WHEN, 10**18], [WHEN, 10**30], [WHEN, "\ud800\x00"], [WHEN, True],
        [WHEN, None], [WHEN, 1.5], [WHEN, []], [WHEN], [], {}, "x", 1, None, [WHEN, "a", "b"],
        ["0001-01-01T00:00:00+23:59", "a"], ["9999-12-31T23:59:59-23:59", "a"], ["0001-01-01T00:00:00+23:59", 1],
        ["2026-03-01T00:00:00", "a"], ["never", "a"], [1, 2],
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "address", ["/runs", "/api/v1/runs", "/alerts", "/api/v1/alerts", "/monitors/{m}", "/api/v1/monitors/{m}/intervals"]
)
def test_places_that_were_made_up_are_refused(odd: World, insider: Any, address: str, place: object) -> None:
    monitor = quote(odd.monitor.encode("utf-8", "replace").decode(), safe="")
    answer = insider.get(address.format(m=monitor) + f"?after={cursor(place)}")
    assert answer.status_code in (200, 400, 404), answer.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[" * 60_000),
        ("application/json", b'{"note": ' + b"[" * 50_000),
        ("application/json", b'{"matchers": ["a=b"], "hours": NaN}'),
        ("application/json", b'{"matchers": ["a=b"], "hours": 1e999}'),
        ("application/json", b'{"matchers": ["a=b"], "hours": 1, "comment": "\\ud800\\u0000"}'),
        ("application/json", b'{"matchers": ["a=~(a{9999}){9999}"], "hours": 1}'),
        ("application/json", b'{"matchers": ["a=~((((a*)*)*)*)*$"], "hours": 1}'),
        ("application/json", b"\xff\xfe\x00"),
        ("application/json; charset=utf-16", b"{}"),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 5_000),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", UPLOAD),
        ("application/x-www-form-urlencoded", b"a&" * 30_000),
        ("application/x-www-form-urlencoded", b"csrf=%ff%00&csrf=b&hours=1&matchers=%00"),
        ("text/plain", b"{}"),
    ],
)  # fmt: skip
def test_no_body_is_too_odd(odd: World, insider: Any, kind: str, body: bytes) -> None:
    csrf = csrf_of(insider.cookies[VISIT])
    for route in ROUTES:
        if route.method == "POST" and route.path != "/logout":
            headers = {"content-type": kind, "x-csrf-token": csrf}
            answer = insider.post(odd_address(odd, route.address), content=body, headers=headers)
            assert answer.status_code < 500, (route.path, answer.text)


def test_an_expression_that_never_ends_holds_up_nothing(
    make_client: Any, world: World, sessions: dict[str, str]
) -> None:
    endless = Matcher("column", "=~", "(a|a?)+$")
    aged = {"column": "a" * 60 + "!"}
    began = time.monotonic()
    assert not endless.matches(aged)
    assert Matcher("column", "!~", endless.value).matches(aged)
    assert time.monotonic() - began < 5
    assert endless.matches({"column": "aaa"})
    assert not Matcher("column", "=~", "a)(b").matches({"column": "a)(b"})
    assert not Matcher("column", "!~", "(").matches({"column": "a"})
    assert Matcher("column", "=~", r"a.\d+").matches({"column": "a\ud80012"})
    assert not Matcher("column", "=~", "a").matches({"column": "a\n"})
    with pytest.raises(UsageError, match="no regular expression"):
        parse_matcher("column=~(")
    with pytest.raises(UsageError, match="no regular expression"):
        parse_matcher("column=~(a{9999}){9999}")
    with writing(world.registry.engine) as connection:
        number = add_silence(connection, [endless], until=NOW + timedelta(hours=1), now=NOW)
    client = make_client()
    client.cookies.set(VISIT, sessions["viewer"])
    assert client.get("/alerts").status_code == 200
    with writing(world.registry.engine) as connection:
        end_silence(connection, number, NOW)


def test_two_names_of_this_server_are_none(insider: Any) -> None:
    for names in (("testserver", "testserver"), ("testserver", "evil.example"), ("evil.example", "testserver")):
        assert insider.get("/runs", headers=[("host", name) for name in names]).status_code == 421, names


@pytest.mark.parametrize(("length", "status"), [(8_150, 200), (8_250, 414)])
def test_addresses_have_a_longest(insider: Any, length: int, status: int) -> None:
    assert insider.get("/schedule?" + "x" * (length - len("/schedule?"))).status_code == status


def test_a_wrong_token_is_wrong_everywhere(make_client: Any) -> None:
    client = make_client(api_token="k" * 32)
    wrong = {"authorization": "Bearer nothing"}
    for method, path in (
        ("GET", "/nothing"),
        ("DELETE", "/runs"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/runs"),
        ("PUT", "/"),
    ):
        answer = client.request(method, path, headers=wrong)
        is_page = method == "GET" and not path.startswith("/api/")
        assert answer.status_code == (303 if is_page else 401), path


def test_another_token_ends_the_sessions_of_the_one_before(make_client: Any) -> None:
    first = make_client(api_token="k" * 32, token_role="admin")
    assert log_in(first, "", "k" * 32).status_code == 303
    cookie = first.cookies[VISIT]
    for access, status in (({"api_token": "k" * 32}, 200), ({"api_token": "l" * 32}, 401), ({}, 401)):
        client = make_client(**access)
        client.cookies.set(VISIT, cookie)
        assert client.get("/api/v1/runs").status_code == status, access


def test_who_came_by_a_link_is_in_only_where_links_are_given(make_client: Any) -> None:
    first = make_client(link_token="l" * 32)
    assert first.get("/enter?token=" + "l" * 32).status_code == 303
    cookie = first.cookies[VISIT]
    for access, status in (({"link_token": "m" * 32}, 200), ({"api_token": "k" * 32}, 401)):
        client = make_client(**access)
        client.cookies.set(VISIT, cookie)
        assert client.get("/api/v1/users").status_code == status, access


def test_a_link_is_not_the_user_of_its_name(make_client: Any, world: World) -> None:
    with writing(world.registry.engine) as connection:
        add_user(connection, "local", "admin", PASSWORD, NOW)
        cookie = begin_session(connection, "local", "link", NOW)
    client = make_client(api_token="k" * 32)
    client.cookies.set(VISIT, cookie)
    assert client.get("/api/v1/users").status_code == 401


def test_a_name_beside_that_of_the_proxy_is_refused(make_client: Any, sessions: dict[str, str]) -> None:
    assert sessions
    client = make_client(peer="10.0.0.1", proxy_header="X-Forwarded-User", trusted_proxies=("10.0.0.1",))
    twice = [("x-forwarded-user", "admin"), ("x-forwarded-user", "viewer")]
    for names in (twice, twice[::-1]):
        assert client.get("/api/v1/users", headers=names).status_code == 403


@pytest.mark.usefixtures("sessions")
def test_passwords_tried_at_once_are_counted_one_by_one(make_client: Any) -> None:
    client = make_client()
    page_of = client.get("/login")
    assert page_of.status_code == 200
    csrf = csrf_of(client.cookies[VISIT])

    def attempt(number: int) -> int:
        form = {"name": "admin", "password": f"wrong {number}", "csrf": csrf}
        return int(client.post("/login", data=form).status_code)

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(attempt, range(24)))
    assert (codes.count(401), codes.count(429)) == (10, 14)


@pytest.mark.usefixtures("sessions")
def test_wrong_passwords_and_logouts_are_written_down(make_client: Any, world: World) -> None:
    def audited() -> list[tuple[str, str, str]]:
        with reading(world.registry.engine) as connection:
            return [
                (row.who, row.action, row.subject) for row in connection.execute(select(AUDIT).order_by(AUDIT.c.id))
            ]

    client = make_client(peer="10.1.1.1")
    before = len(audited())
    assert log_in(client, "editor\x1b[2J", "wrong").status_code == 401
    assert log_in(client, "", "wrong").status_code == 401
    assert log_in(client, "editor", PASSWORD).status_code == 303
    csrf = {"csrf": csrf_of(client.cookies[VISIT])}
    assert client.post("/logout", data=csrf).status_code == 303
    assert audited()[before:] == [
        ("editor␛[2J", "wrong password", "from 10.1.1.1"),
        ("(no name)", "wrong password", "from 10.1.1.1"),
        ("editor", "log in", "by password"),
        ("editor", "log out", ""),
    ]


def test_no_flood_of_wrong_passwords_fills_the_log(make_client: Any, world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr("evalharness.dashboard.pages.visits.check_password", lambda stored, password: False)
    client = make_client(peer="10.2.2.2")
    client.get("/login")
    csrf = csrf_of(client.cookies[VISIT])
    for number in range(130):
        assert client.post("/login", data={"name": f"n{number}", "password": "x", "csrf": csrf}).status_code == 401
    with reading(world.registry.engine) as connection:
        rows = connection.execute(select(AUDIT).where(AUDIT.c.subject == "from 10.2.2.2")).all()
    assert len(rows) == 100
