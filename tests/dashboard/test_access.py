"""How people come in, what keeps others out, and what is written down of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from evalharness.core.errors import UsageError
from evalharness.dashboard.guard import is_own_host
from evalharness.dashboard.settings import Access, is_loopback, require_protection
from evalharness.record.database import reading, writing
from evalharness.record.user_tables import AUDIT, SESSIONS, USERS

from .conftest import NOW, PASSWORD, World, csrf_of

VISIT = "evalharness_visit"


@pytest.fixture
def make_client(world: World) -> Iterator[Any]:
    """A dashboard over `world` with other settings."""
    from starlette.testclient import TestClient

    from evalharness.dashboard.app import make_app

    opened = []

    def make(*, peer: str = "testclient", later_s: float = 0.0, **access: Any) -> Any:
        settings = world.settings(**access)
        if later_s:
            settings = replace(settings, clock=lambda: NOW + timedelta(seconds=later_s))
        app = make_app(settings)
        client = TestClient(app, base_url="http://testserver", follow_redirects=False, client=(peer, 5000))
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def log_in(client: Any, name: str, password: str, to: str = "/runs") -> Any:
    page = client.get("/login").text
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert csrf is not None
    return client.post("/login", data={"name": name, "password": password, "to": to, "csrf": csrf[1]})


@pytest.mark.usefixtures("sessions")
def test_a_user_logs_in_and_out(make_client: Any, world: World) -> None:
    client = make_client()
    before = client.get("/login").cookies[VISIT]
    answer = log_in(client, "editor", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    token = client.cookies[VISIT]
    assert token != before  # whoever knew the cookie of before is not in
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/runs").status_code == 200
    with reading(world.registry.engine) as connection:
        kept = [row.token_digest for row in connection.execute(select(SESSIONS))]
    assert token not in kept
    assert client.post("/logout", data={"csrf": csrf_of(token)}).status_code == 303
    client.cookies.set(VISIT, token)
    assert client.get("/api/v1/runs").status_code == 401


@pytest.mark.usefixtures("sessions")
def test_wrong_passwords_are_refused_and_counted(make_client: Any) -> None:
    client = make_client()
    for _ in range(10):
        assert log_in(client, "viewer", "wrong").status_code == 401
    assert log_in(client, "viewer", PASSWORD).status_code == 429
    assert log_in(client, "editor", PASSWORD).status_code == 303
    assert log_in(make_client(later_s=301), "viewer", PASSWORD).status_code == 303


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "javascript:1", ""]
)
def test_after_the_login_comes_a_page_of_ours(make_client: Any, to: str) -> None:
    assert log_in(make_client(), "viewer", PASSWORD, to).headers["location"] == "/"


def test_sessions_end_with_time_and_with_their_user(make_client: Any, world: World) -> None:
    from evalharness.dashboard.users import SESSION_S, add_user, begin_session, remove_user

    with writing(world.registry.engine) as connection:
        assert add_user(connection, "ben", "viewer", PASSWORD, NOW)
        token = begin_session(connection, "ben", "password", NOW)
    early, late = make_client(later_s=SESSION_S - 1), make_client(later_s=SESSION_S + 1)
    for client, status in ((early, 200), (late, 401)):
        client.cookies.set(VISIT, token)
        assert client.get("/api/v1/runs").status_code == status
    with writing(world.registry.engine) as connection:
        assert not add_user(connection, "ben", "admin", PASSWORD + "!", NOW)
    assert early.get("/api/v1/runs").status_code == 401  # another password: all browsers are out
    with writing(world.registry.engine) as connection:
        token = begin_session(connection, "ben", "password", NOW)
        remove_user(connection, "ben")
        with pytest.raises(UsageError, match="there is no user 'ben'"):
            remove_user(connection, "ben")
    early.cookies.set(VISIT, token)
    assert early.get("/api/v1/runs").status_code == 401


def test_passwords_are_kept_by_argon2_alone(world: World, sessions: dict[str, str]) -> None:
    with reading(world.registry.engine) as connection:
        hashes = [row.password_hash for row in connection.execute(select(USERS))]
    assert hashes
    assert all(one.startswith("$argon2id$") and PASSWORD not in one for one in hashes)
    assert len(set(hashes)) == len(hashes)  # salted: all of them have the same password


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [
        ("", "viewer", PASSWORD),
        ("a\nb", "viewer", PASSWORD),
        (" a", "viewer", PASSWORD),
        ("a", "root", PASSWORD),
        ("a", "viewer", "short"),
        ("a", "viewer", "x" * 1001),
        ("x" * 81, "viewer", PASSWORD),
    ],
)
def test_users_that_cannot_be_are_refused(world: World, name: str, role: str, password: str) -> None:
    from evalharness.dashboard.users import add_user

    with pytest.raises(UsageError), writing(world.registry.engine) as connection:
        add_user(connection, name, role, password, NOW)


def test_the_link_of_the_command_line_lets_in(make_client: Any) -> None:
    client = make_client(link_token="l" * 32)
    assert client.get("/enter?token=" + "m" * 32).status_code == 401
    assert client.get("/runs").status_code == 303
    assert client.get("/enter?token=" + "l" * 32).status_code == 303
    assert client.get("/changes").status_code == 200


def test_a_bearer_token_needs_no_form_and_has_its_role(make_client: Any, world: World) -> None:
    client = make_client(api_token="k" * 32, token_role="editor")
    own = {"authorization": "Bearer " + "k" * 32}
    address = f"/api/v1/alerts/{world.alert}/acknowledge"
    assert client.post(address, json={"note": "by a program"}, headers=own).status_code == 200
    assert client.get("/api/v1/users", headers=own).status_code == 403
    assert client.get("/api/v1/runs", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert make_client().get("/api/v1/runs", headers=own).status_code == 401
    assert log_in(client, "", "k" * 32).status_code == 303
    assert client.get("/api/v1/silences").status_code == 200


@pytest.mark.usefixtures("sessions")
def test_only_a_trusted_proxy_says_who_asks(make_client: Any) -> None:
    given: dict[str, Any] = {"proxy_header": "X-Forwarded-User", "trusted_proxies": ("10.0.0.1",)}
    by_proxy = make_client(peer="10.0.0.1", **given)
    for name, path, status in (
        ("admin", "/api/v1/users", 200),
        ("viewer", "/api/v1/users", 403),
        ("somebody", "/api/v1/runs", 200),
        ("somebody", "/api/v1/users", 403),
    ):
        assert by_proxy.get(path, headers={"x-forwarded-user": name}).status_code == status, (name, path)
    stranger = make_client(peer="10.0.0.2", **given)
    assert stranger.get("/api/v1/runs", headers={"x-forwarded-user": "admin"}).status_code == 403
    nobody = make_client(peer="10.0.0.1", proxy_role=None, **given)
    assert nobody.get("/api/v1/runs", headers={"x-forwarded-user": "somebody"}).status_code == 401
    unasked = make_client(peer="10.0.0.1")
    assert unasked.get("/api/v1/users", headers={"x-forwarded-user": "admin"}).status_code == 401


def test_every_change_is_written_down(make_client: Any, world: World, sessions: dict[str, str]) -> None:
    client = make_client()
    client.cookies.set(VISIT, sessions["editor"])
    csrf = {"csrf": csrf_of(sessions["editor"])}
    with reading(world.registry.engine) as connection:
        before = len(connection.execute(select(AUDIT)).all())
    address = f"/alerts/{world.alert}/acknowledge"
    assert client.post(address, data={"note": "mine", **csrf}).headers["location"] == f"/alerts/{world.alert}"
    assert client.post(
        "/silences", data={"matchers": "a=b\n\nc!=d", "hours": "2", "comment": "why", **csrf}
    ).is_redirect
    number = client.get("/api/v1/silences").json()[-1]["id"]
    assert client.post(f"/silences/{number}/end", data=csrf).is_redirect
    assert client.post("/silences", data={"matchers": "nonsense", "hours": "2", **csrf}).status_code == 400
    with reading(world.registry.engine) as connection:
        rows = connection.execute(select(AUDIT).order_by(AUDIT.c.id)).all()[before:]
    assert [(row.who, row.action, row.subject, row.detail) for row in rows] == [
        ("editor", "acknowledge", f"alert {world.alert}", "mine"),
        ("editor", "silence", f"silence {number}", "a=b; c!=d for 2 h; why"),
        ("editor", "end silence", f"silence {number}", ""),
    ]
    assert all(row.at_utc == NOW for row in rows)


@pytest.mark.parametrize(
    ("header", "is_own"),
    [
        ("localhost:8321", True), ("127.0.0.1", True), ("127.9.9.9:1", True), ("[::1]:80", True),
        ("Eval.Example.", True),
        ("eval.example:443", True), ("evil.example", False), ("localhost.evil.example", False), ("10.0.0.1", False),
        ("[::1]evil", False), ("0.0.0.0", False),
        ("localhost:80:80", False), ("127.0.0.1:80:evil.example", False),
        ("", False), (None, False), ("eval.example@evil.example", False),
    ],
)  # fmt: skip
def test_hosts(header: str | None, is_own: bool) -> None:
    assert is_own_host(header, frozenset({"eval.example"})) is is_own


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.168.0.2", False), ("x", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_other_addresses_need_protection() -> None:
    names = ("eval.example",)
    require_protection("127.0.0.1", Access(no_login=True), n_users=0, hosts=())
    require_protection("0.0.0.0", Access(), n_users=1, hosts=names)
    require_protection("0.0.0.0", Access(api_token="x" * 32), n_users=0, hosts=names)
    require_protection("0.0.0.0", Access(proxy_header="X-User"), n_users=0, hosts=names)
    for access, n_users, hosts, message in (
        (Access(), 0, names, "nobody would have to say who they are"),
        (Access(link_token="x"), 0, names, "nobody would have to say who they are"),
        (Access(no_login=True), 1, names, "lets everybody in"),
        (Access(), 1, (), "--allowed-host"),
    ):
        with pytest.raises(UsageError, match=message):
            require_protection("0.0.0.0", access, n_users=n_users, hosts=hosts)
