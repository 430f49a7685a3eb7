"""Every payload through every place of the dashboard, in a real browser: none runs, none asks the network.

Texts come by three ways: those of runs and monitors stand in the registry and in files beside it, what users may type
is sent by the JSON interface, and names stand in addresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, Text, insert, select, update

from evalharness.record.alert_tables import ALERTS, SILENCES
from evalharness.record.database import writing
from evalharness.record.monitor_tables import MONITORS
from evalharness.record.tables import METADATA, RUNS, AnyText
from evalharness.record.user_tables import SESSIONS, USERS

from ..report.payloads import FOREIGN, batches
from .conftest import NOW, World, csrf_of, make_world
from .test_access import make_client

__all__ = ["make_client"]
pytestmark = [pytest.mark.browser, pytest.mark.slow]
MARK = "⟪odd⟫"
BATCHES = batches(45)
# Texts of JSON, in which a payload stands as JSON writes it.
JSON = {ALERTS.c.labels, SILENCES.c.matchers, MONITORS.c.definition}
KEPT = {USERS.c.password_hash, SESSIONS.c.token_digest}


def replace_texts(engine: Engine, before: str, after: str) -> int:
    """Write `after` for `before` in every text of the registry; returns how many were changed."""
    n_changed = 0
    with writing(engine) as connection:
        for table in METADATA.sorted_tables:
            keys = list(table.primary_key.columns)
            columns = [c for c in table.columns if isinstance(c.type, AnyText | Text) and c not in KEPT]
            for row in connection.execute(select(table)).mappings().all():
                changed = {}
                for column in columns:
                    old, new = (json.dumps(s)[1:-1] for s in (before, after)) if column in JSON else (before, after)
                    if row[column.name] and old in row[column.name]:
                        changed[column.name] = row[column.name].replace(old, new)
                if changed:
                    here = [key == row[key.name] for key in keys]
                    connection.execute(update(table).where(*here).values(changed))
                    n_changed += len(changed)
        # Addresses hold no more of the name of a suite.
        connection.execute(update(RUNS).where(RUNS.c.id.like("%-odd-%")).values(suite_name=suite_of(after)))
    return n_changed


def suite_of(odd: str) -> str:
    return f"odd{odd}"[:290]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which every text holds the mark, for which payloads are put."""
    made = make_world(tmp_path_factory.mktemp("marked"), MARK)
    yield made
    made.registry.close()


@pytest.fixture(scope="module")
def world(marked: World) -> World:
    return marked


@pytest.fixture
def looked_at(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page and fails for whatever ran, was asked for, or stands there as an element."""
    told: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(20_000)
    # The browser says itself that a page is not there; that is no message of the page.
    missing = "Failed to load resource: the server responded with a status of 4"
    page.on("console", lambda m: None if m.text.startswith(missing) else told.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: told.append(f"error: {e}"))
    page.on("dialog", lambda d: told.append(f"dialog: {d.message}"))

    def look(address: str, path: str, *, explore: bool = False) -> Any:
        page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else told.append(r.url))
        answer = page.goto(address + path)
        assert answer.status < 500, (answer.status, path)
        if explore:
            for button in page.query_selector_all("button.explore"):
                button.click()
            page.wait_for_function("() => document.querySelectorAll('button.explore').length === 0")
        page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert (page.evaluate(FOREIGN), told) == ([], []), path
        return page

    yield look
    page.close()


def paths(world: World, odd: str) -> list[str]:
    def part(text: str) -> str:
        return quote(text.encode("utf-8", "replace").decode(), safe="")

    monitor = part(world.monitor.replace(MARK, odd.replace("/", "")))
    return [
        "/", "/runs", f"/runs/{world.runs[0]}", f"/runs/{world.runs[2]}", f"/trend?suite={part(suite_of(odd))}",
        f"/compare?run={world.runs[0]}&run={world.runs[1]}", "/monitors", f"/monitors/{monitor}",
        f"/monitors/{monitor}/intervals/{world.interval}", "/alerts?state=all", f"/alerts/{world.alert}",
        "/annotation", "/schedule", "/changes",
        # Texts of whoever follows a link: they come back in forms, titles and words of what is wrong.
        f"/runs?q={part(odd[:190])}&model={part(odd[:190])}", f"/login?to={part(odd[:900])}",
        f"/runs/{part(odd[:300])}", f"/compare?run={part(odd[:190])}&baseline={part(odd[:190])}",
    ]  # fmt: skip


def test_what_stands_in_the_registry(marked: World, served: Any, looked_at: Any) -> None:
    address = served(marked, no_login=True)
    drift = marked.reports / "monitors" / "m" / "2" / "drift.json"
    text, before = drift.read_text(encoding="utf-8"), MARK
    for number, odd in enumerate(BATCHES):
        # Names of monitors hold no slash: they name folders.
        plain = odd.replace("/", "")
        assert replace_texts(marked.registry.engine, before, plain) > 40
        before = plain
        drift.write_text(text.replace(json.dumps(MARK)[1:-1], json.dumps(odd)[1:-1]), encoding="utf-8")
        for path in paths(marked, plain):
            page = looked_at(address, path, explore=number % 6 == 0)
    replace_texts(marked.registry.engine, before, MARK)
    drift.write_text(text, encoding="utf-8")
    assert page.title()


def test_what_stands_in_the_registry_with_slashes(marked: World, served: Any, looked_at: Any) -> None:
    """All but names of monitors, as they are."""
    address, before = served(marked, no_login=True), MARK
    for odd in BATCHES:
        assert replace_texts(marked.registry.engine, before, odd) > 40
        before = odd
        for path in paths(marked, odd):
            if not path.startswith("/monitors/"):
                page = looked_at(address, path)
    replace_texts(marked.registry.engine, before, MARK)
    assert page.title()


def test_what_users_type(marked: World, served: Any, looked_at: Any, make_client: Any) -> None:
    """Notes, comments and matchers by the JSON interface, as a proxy names who sends them; names of users."""
    address = served(marked, no_login=True)
    client = make_client(proxy_header="x-user", proxy_role="editor", peer="127.0.0.1")
    for batch in BATCHES:
        name = batch.encode("latin-1", "replace").translate(None, b"\r\n\0")
        client.get("/login", headers={"x-user": name})
        headers = {"x-user": name, "x-csrf-token": csrf_of(client.cookies["evalharness_visit"])}
        # Lone surrogates are no text of JSON: they are refused.
        odd = batch.encode("utf-8", "replace").decode()
        lines = [f"label={line}" for line in odd.split("\n") if line][:20]
        for path, body in (
            (f"/api/v1/alerts/{marked.alert}/acknowledge", {"note": odd[:2_000]}),
            ("/api/v1/silences", {"matchers": lines, "hours": 24 * 365, "comment": odd[:2_000]}),
        ):
            answer = client.post(path, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
        user = {"name": odd, "role": "viewer", "password_hash": "", "created_utc": NOW, "changed_utc": NOW}
        with writing(marked.registry.engine) as connection:
            connection.execute(insert(USERS).values(user))
        for path in ("/alerts", f"/alerts/{marked.alert}", "/changes"):
            page = looked_at(address, path)
    assert "window.hacked" in page.locator("main").inner_text()
