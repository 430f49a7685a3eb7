"""Every route, and what each kind of visitor gets of it: one table, which must name every route there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from .conftest import ROLES, World, csrf_of

Needed = Literal["anyone", "viewer", "editor", "admin"]


@dataclass(frozen=True)
class Route:
    """A route: who may use it, an address of it, what is sent, and how it answers whoever may."""

    method: str
    path: str
    needs: Needed
    address: str = ""
    form: tuple[tuple[str, str], ...] | None = None
    json: Any = None
    ok: int = 200

    @property
    def is_program(self) -> bool:
        return self.path.startswith(("/api/", "/live", "/assets/")) or self.method == "POST"


def get(path: str, needs: Needed = "viewer", address: str = "", ok: int = 200) -> Route:
    return Route("GET", path, needs, address or path, ok=ok)


ROUTES = (
    get("/"),
    get("/runs"),
    get("/runs/{run_id}", address="/runs/{run}"),
    get("/runs/{run_id}/report", address="/runs/{run}/report"),
    get("/compare", address="/compare?run={run}&run={run2}"),
    get("/trend"),
    get("/monitors"),
    get("/monitors/{name}", address="/monitors/bot"),
    get("/monitors/{name}/intervals/{interval_id}", address="/monitors/bot/intervals/{interval}"),
    get("/monitors/{name}/intervals/{interval_id}/report", address="/monitors/bot/intervals/{interval}/report"),
    Route("POST", "/monitors/{name}/deployments", "editor", "/monitors/bot/deployments", (("text", "v1"),), ok=303),
    # The one of the registry is taken back once.
    Route(
        "POST",
        "/monitors/{name}/deployments/{number}/remove",
        "editor",
        "/monitors/bot/deployments/999/remove",
        (),
        ok=404,
    ),
    get("/alerts"),
    get("/alerts/{fingerprint}", address="/alerts/{alert}"),
    Route("POST", "/alerts/{fingerprint}/acknowledge", "editor", "/alerts/{alert}/acknowledge", (), ok=303),
    Route("POST", "/silences", "editor", "/silences", (("matchers", "a=b"), ("hours", "1")), ok=303),
    # The one silence ends once: who comes later is told so, by 400.
    Route("POST", "/silences/{number}/end", "editor", "/silences/999/end", (), ok=400),
    get("/annotation"),
    get("/annotation/rate", "editor", "/annotation/rate?run={run}"),
    get("/annotation/results", address="/annotation/results?run={run}&task=qa"),
    get("/schedule"),
    get("/changes", "admin"),
    get("/login", "anyone"),
    Route("POST", "/login", "anyone", "/login", (("name", "nobody"), ("password", "wrong")), ok=401),
    get("/enter", "anyone", "/enter?token=wrong", ok=401),
    Route("POST", "/logout", "anyone", "/logout", (), ok=303),
    Route("POST", "/language", "anyone", "/language", (("language", "zh"), ("to", "/runs")), ok=303),
    get("/live"),
    get("/assets/vega.js"),
    get("/assets/{name}", "anyone", "{css}"),
    get("/health", "anyone"),
    get("/api/v1/openapi.json"),
    get("/api/v1/overview"),
    get("/api/v1/suites"),
    get("/api/v1/runs"),
    get("/api/v1/runs/{run_id}", address="/api/v1/runs/{run}"),
    get("/api/v1/runs/{run_id}/figures", address="/api/v1/runs/{run}/figures"),
    get("/api/v1/runs/{run_id}/manifest", address="/api/v1/runs/{run}/manifest"),
    get("/api/v1/compare", address="/api/v1/compare?baseline={run}&run={run2}"),
    get("/api/v1/suites/{suite}/figures", address="/api/v1/suites/demo/figures"),
    get("/api/v1/suites/{suite}/trend", address="/api/v1/suites/demo/trend?task=qa&metric=exact_match"),
    get("/api/v1/monitors"),
    get("/api/v1/monitors/{name}", address="/api/v1/monitors/bot"),
    get("/api/v1/monitors/{name}/intervals", address="/api/v1/monitors/bot/intervals"),
    get("/api/v1/monitors/{name}/intervals/{interval_id}", address="/api/v1/monitors/bot/intervals/{interval}"),
    get(
        "/api/v1/monitors/{name}/intervals/{interval_id}/pictures",
        address="/api/v1/monitors/bot/intervals/{interval}/pictures",
    ),
    get("/api/v1/monitors/{name}/series", address="/api/v1/monitors/bot/series?column=latency_s&figure=p95"),
    get("/api/v1/monitors/{name}/estimates", address="/api/v1/monitors/bot/estimates"),
    get("/api/v1/monitors/{name}/deployments", address="/api/v1/monitors/bot/deployments"),
    Route(
        "POST", "/api/v1/monitors/{name}/deployments", "editor", "/api/v1/monitors/bot/deployments", json={"text": "v"}
    ),
    Route(
        "POST",
        "/api/v1/monitors/{name}/deployments/{number}/remove",
        "editor",
        "/api/v1/monitors/bot/deployments/999/remove",
        json={},
        ok=404,
    ),
    get("/api/v1/alerts"),
    get("/api/v1/alerts/{fingerprint}", address="/api/v1/alerts/{alert}"),
    Route("POST", "/api/v1/alerts/{fingerprint}/acknowledge", "editor", "/api/v1/alerts/{alert}/acknowledge", json={}),
    get("/api/v1/silences"),
    Route("POST", "/api/v1/silences", "editor", "/api/v1/silences", json={"matchers": ["a=b"], "hours": 1}),
    Route("POST", "/api/v1/silences/{number}/end", "editor", "/api/v1/silences/999/end", json={}, ok=400),
    get("/api/v1/ratings"),
    get("/api/v1/ratings/results", address="/api/v1/ratings/results?run={run}&task=qa"),
    get("/api/v1/ratings.csv", address="/api/v1/ratings.csv?run={run}&task=qa"),
    get("/api/v1/rating/state", "editor", "/api/v1/rating/state?run={run}"),
    get("/api/v1/rating/items/{position}", "editor", "/api/v1/rating/items/0?run={run}"),
    Route("PUT", "/api/v1/rating/items/{position}", "editor", "/api/v1/rating/items/0?run={run}", json={"choice": "4"}),
    Route("POST", "/api/v1/rating/undo", "editor", "/api/v1/rating/undo?run={run}", json={}),
    get("/api/v1/schedule"),
    get("/api/v1/running"),
    get("/api/v1/changes", "admin"),
    get("/api/v1/users", "admin"),
)
NAMED = [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES]
RANK = {"anyone": 0, "viewer": 1, "editor": 2, "admin": 3}


def known_routes(app: Any) -> dict[tuple[str, str], Any]:
    """(method, path) → endpoint of all routes, those of included routers among them."""
    found: dict[tuple[str, str], Any] = {}

    def walk(routes: Any, prefix: str = "") -> None:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                walk(inner.routes)
                continue
            for method in route.methods - {"HEAD", "OPTIONS"}:
                found[method, route.path] = route

    walk(app.routes)
    return found


def ask(client: Any, world: World, route: Route, cookie: str | None, **more: Any) -> Any:
    """Send what the route takes; as a page of ours does, unless `more` says otherwise."""
    from evalharness.dashboard.web import ASSETS

    address = route.address.format(
        run=world.runs[0], run2=world.runs[1], interval=world.interval, alert=world.alert, css=ASSETS["dashboard.css"]
    )
    token = cookie or more.pop("token", "x" * 43)
    csrf = more.pop("csrf", csrf_of(token))
    headers = {"accept": "text/html", **more.pop("headers", {})}
    client.cookies.clear()
    client.cookies.set("evalharness_visit", token)
    if route.method == "GET":
        return client.get(address, headers=headers)
    if route.form is not None:
        return client.post(address, data={**dict(route.form), "csrf": csrf}, headers=headers)
    return client.request(route.method, address, json=route.json, headers={**headers, "x-csrf-token": csrf})


@pytest.fixture(autouse=True)
def live_ends_at_once(client: Any) -> None:
    client.app.state.listeners.has_ended.set()


def test_the_table_names_every_route(client: Any) -> None:
    assert set(known_routes(client.app)) == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", NAMED)
def test_who_gets_what(client: Any, world: World, sessions: dict[str, str], route: Route) -> None:
    for role in ("anonymous", *ROLES):
        answer = ask(client, world, route, sessions.get(role))
        if route.path == "/logout" and role in sessions:
            sessions[role] = renewed(world, role)
        if RANK.get(role, 0) >= RANK[route.needs]:
            assert answer.status_code == route.ok, (role, answer.text)
        elif role != "anonymous":
            assert answer.status_code == 403, (role, answer.text)
        elif route.is_program:
            assert answer.status_code == 401, answer.text
        else:
            assert (answer.status_code, answer.headers["location"][:7]) == (303, "/login?")
        assert answer.headers["x-frame-options"] == "DENY"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("route", NAMED)
def test_foreign_names_and_pages_get_nothing(client: Any, world: World, sessions: dict[str, str], route: Route) -> None:
    admin = sessions["admin"]
    for host in ("evil.example", "testserver.evil.example", "192.168.1.7", ""):
        assert ask(client, world, route, admin, headers={"host": host}).status_code == 421, host
    for origin in ("https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81", ""):
        answer = ask(client, world, route, admin, headers={"origin": origin})
        assert answer.status_code == 403, origin
        assert "access-control-allow-origin" not in answer.headers
    if route.method != "GET":
        for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
            assert ask(client, world, route, admin, headers=headers).status_code == 403, headers
        for csrf in ("", "0" * 64, csrf_of("y" * 43)):
            answer = ask(client, world, route, admin, csrf=csrf)
            assert (answer.status_code, "earlier visit" in answer.text) == (403, True), csrf


def renewed(world: World, role: str) -> str:
    from evalharness.dashboard.users import begin_session
    from evalharness.record.database import writing

    from .conftest import NOW

    with writing(world.registry.engine) as connection:
        return begin_session(connection, role, "password", NOW)


@pytest.mark.parametrize("route", [r for r in NAMED if r.values[0].method != "GET"])  # type: ignore[attr-defined]
def test_a_body_that_is_too_large_is_refused(client: Any, world: World, sessions: dict[str, str], route: Route) -> None:
    address = route.address.format(alert=world.alert, run=world.runs[0])
    client.cookies.set("evalharness_visit", sessions["admin"])
    assert client.request(route.method, address, content=b"x" * 70_000).status_code == 413
    pieces = (b"x" * 1000 for _ in range(70))  # no Content-Length says so beforehand
    kind = "application/x-www-form-urlencoded" if route.form is not None else "application/json"
    answer = client.request(route.method, address, content=pieces, headers={"content-type": kind})
    # Where the body is never read, who sent it is refused for what they did not send.
    assert answer.status_code == (413 if route.json != {} or "acknowledge" in route.path else 403)
