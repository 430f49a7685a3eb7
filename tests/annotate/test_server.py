"""The routes, asked as a program asks them: who is let in, what is refused, what survives."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from evalharness.annotate.guard import HEADERS
from evalharness.annotate.question import label_question, pair_question, scale_question
from evalharness.core.errors import RunError
from evalharness.record import RunRegistry

from .conftest import MODELS, RUN

Make = Callable[..., Any]


def test_a_rating_goes_all_the_way(make_deck: Make, serve: Make, registry: RunRegistry) -> None:
    page = serve(make_deck())
    status, state = page.ask("GET", "/api/state")
    assert (status, state["rater"], set(state["marks"])) == (200, "anna", {"0"})
    status, item = page.ask("GET", "/api/items/2")
    assert (status, item["position"], item["choice"]) == (200, 2, None)
    assert page.ask("PUT", "/api/items/2", {"choice": "4", "comment": "fine"}) == (
        200,
        {"choice": "4", "comment": "fine"},
    )
    assert page.ask("GET", "/api/state")[1]["marks"].startswith("001")
    assert [(r.value, r.comment, r.rater) for r in registry.ratings()] == [(4.0, "fine", "anna")]
    status, undone = page.ask("POST", "/api/undo", {})
    assert (undone["position"], undone["choice"]) == (2, None)
    assert page.ask("POST", "/api/undo", {}) == (200, None)
    assert page.server.desks["anna"].n_rated == 0


def test_the_page_tells_nothing_of_models(make_deck: Make, serve: Make) -> None:
    page = serve(make_deck(pair_question(), n=3), show_reference=True)
    with urllib.request.urlopen(page.link("anna"), timeout=30) as answer:
        html = answer.read().decode()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    assert "Which answer is better?" in html
    for secret in (*MODELS, RUN, "groupwort", page.token("anna")):
        assert secret not in html


def test_texts_of_the_command_line_are_text_in_the_page(make_deck: Make, serve: Make) -> None:
    words = "<script>alert(1)</script>"
    page = serve(make_deck(label_question(f'{words},"><img src=x>', f"Is it {words}?")))
    _, html = page.ask("GET", f"/?token={page.token('anna')}")
    assert words not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<img" not in html


def test_without_the_link_there_is_nothing(make_deck: Make, serve: Make) -> None:
    page = serve(make_deck())
    for path in ("/", "/?token=", "/?token=x", f"/?token={page.token('anna')}x"):
        status, text = page.ask("GET", path)
        assert status == 403
        assert "needs the whole link" in text
    for method, path in (
        ("GET", "/api/state"),
        ("GET", "/api/items/0"),
        ("PUT", "/api/items/0"),
        ("POST", "/api/undo"),
    ):
        body = {"choice": "1"} if method == "PUT" else None
        status, answer = page.ask(method, path, body, headers={"Authorization": "Bearer wrong"})
        assert (status, "another session" in answer["error"]) == (401, True)
    assert page.ask("POST", "/api/join", {"name": "eve"})[0] == 401
    assert page.server.desks == {}


def test_foreign_names_and_pages_are_refused(make_deck: Make, serve: Make, registry: RunRegistry) -> None:
    page = serve(make_deck())
    body = {"choice": "5", "comment": ""}
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        status, answer = page.ask("PUT", "/api/items/0", body, headers=headers)
        assert status == 403
        assert "error" in answer
    assert page.ask("GET", page.link("anna")[len(page.address) :], headers={"Host": "evil.example:80"})[0] == 403
    # What a form of a foreign page can send is no JSON.
    assert page.ask("PUT", "/api/items/0", body, headers={"Content-Type": "text/plain"})[0] == 415
    assert registry.ratings() == ()
    assert page.ask("PUT", "/api/items/0", body, headers={"Origin": page.address})[0] == 200
    assert page.ask("GET", "/api/state", headers={"Host": f"localhost:{page.port}"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PUT", "/api/items/0", {"choice": "9"}, 400, "is not an answer"),
        ("PUT", "/api/items/0", {"choice": 3}, 400, "choice is a text or null"),
        ("PUT", "/api/items/0", {"choice": "3", "comment": None}, 400, "comment is a text"),
        ("PUT", "/api/items/0", [1], 400, "not a JSON object"),
        ("PUT", "/api/items/0", b"{", 400, "not JSON"),
        ("PUT", "/api/items/0", b"[" * 100_000, 400, "not JSON"),
        ("PUT", "/api/items/0", b" " * 300_000, 413, ""),
        ("PUT", "/api/items/0", {"choice": "3", "comment": "x" * 10_001}, 400, "10,001 characters"),
        ("GET", "/api/items/99", None, 404, "there is no item 100: there are 11"),
        ("GET", "/api/items/-1", None, 404, ""),
        ("GET", "/api/items/1e3", None, 404, ""),
        ("DELETE", "/api/items/0", None, 405, ""),
        ("GET", "/../../etc/passwd", None, 404, ""),
        ("GET", "/templates/annotate.html.j2", None, 404, ""),
    ],
)
def test_wrong_requests(
    make_deck: Make, serve: Make, method: str, path: str, body: Any, status: int, words: str
) -> None:
    page = serve(make_deck())
    data = body if isinstance(body, bytes) else None
    found, answer = page.ask(method, path, None if data else body, data=data)
    assert found == status
    assert words in answer["error"]
    assert page.told == []


def test_raters_join_by_name(make_deck: Make, serve: Make, registry: RunRegistry) -> None:
    page = serve(make_deck(), raters=())
    status, html = page.ask("GET", f"/?token={page.token()}", rater="")
    assert (status, "Who is rating?" in html) == (200, True)
    assert page.ask("GET", "/api/state", rater="")[0] == 401
    for name in (" ", 5, None):
        assert page.ask("POST", "/api/join", {"name": name}, rater="")[0] == 400
    for name in ("anna", "ben", " anna "):
        status, answer = page.ask("POST", "/api/join", {"name": name}, rater="")
        assert status == 200
        assert answer["token"] == page.token(name.strip())
    page.ask("PUT", "/api/items/0", {"choice": "5"}, rater="ben")
    assert [r.rater for r in registry.ratings()] == ["ben"]
    assert page.ask("GET", "/api/state", rater="anna")[1]["marks"].count("1") == 0


def test_a_rating_that_cannot_be_stored_is_said(make_deck: Make, serve: Make, monkeypatch: Any) -> None:
    page = serve(make_deck())
    page.ask("GET", "/api/state")

    def broken(error: Exception) -> Callable[..., None]:
        def fail(*arguments: object) -> None:
            raise error

        return fail

    monkeypatch.setattr(RunRegistry, "add_ratings", broken(RunError("the disk is full")))
    status, answer = page.ask("PUT", "/api/items/0", {"choice": "5"})
    assert (status, answer["error"]) == (503, "this was not stored: the disk is full")
    monkeypatch.setattr(RunRegistry, "add_ratings", broken(ZeroDivisionError("odd")))
    status, answer = page.ask("PUT", "/api/items/0", {"choice": "5"})
    assert (status, "odd" in answer["error"]) == (500, False)
    assert [line.split(":")[0] for line in page.told] == ["not stored", "PUT /api/items/0"]
    assert page.ask("GET", "/api/items/0")[1]["choice"] is None


def test_many_raters_at_once(make_deck: Make, serve: Make, registry: RunRegistry) -> None:
    raters = [f"rater {i}" for i in range(8)]
    page = serve(make_deck(scale_question("1-5"), n=5), raters=raters)

    def rate(name: str) -> set[int]:
        found = {page.ask("GET", "/api/state", rater=name)[0]}
        for position in range(9):
            found.add(page.ask("PUT", f"/api/items/{position}", {"choice": str(1 + position % 5)}, rater=name)[0])
        return found

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(rate, raters)) == {200}
    assert len(registry.ratings()) == 72
    for name in raters:
        assert len(registry.ratings(rater=name)) == 9


def test_the_assets_come_with_the_package(make_deck: Make, serve: Make) -> None:
    page = serve(make_deck())
    for name, kind in (("annotate.css", "text/css"), ("annotate.js", "text/javascript")):
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        body = answer.read().decode()
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert "http" not in body.replace("http-equiv", "")
        connection.close()
    assert json.dumps(page.told) == "[]"
