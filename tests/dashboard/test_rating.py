"""Rating in the dashboard: what raters see, what is stored under whose name, and what comes out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from evalharness.dashboard import audit
from evalharness.record.database import reading

from .conftest import World
from .test_routes import csrf_of

pytestmark = pytest.mark.usefixtures("sessions")


def as_user(client: Any, token: str) -> dict[str, str]:
    client.cookies.clear()
    client.cookies.set("evalharness_visit", token)
    return {"x-csrf-token": csrf_of(token)}


def put(client: Any, token: str, position: int, query: str, **body: Any) -> Any:
    headers = as_user(client, token)
    return client.put(f"/api/v1/rating/items/{position}?{query}", json=body, headers=headers)


def test_a_rating_is_stored_under_the_users_name_and_taken_back(
    client: Any, world: World, sessions: dict[str, str]
) -> None:
    query = f"run={world.runs[1]}&task=qa&kind=label&labels=good,bad&question=Fine%3F"
    said = put(client, sessions["editor"], 2, query, choice="bad", comment="no")
    assert said.json() == {"choice": "bad", "comment": "no"}
    (stored,) = world.registry.ratings(run_id=world.runs[1], asked="Fine?")
    assert (stored.rater, stored.label, stored.comment) == ("editor", "bad", "no")
    state = client.get(f"/api/v1/rating/state?{query}").json()
    assert state["marks"] == "001" + "0" * 21

    # Somebody else meets the same samples, and nothing of what the first one said.
    as_user(client, sessions["admin"])
    assert "1" not in client.get(f"/api/v1/rating/state?{query}").json()["marks"]

    headers = as_user(client, sessions["editor"])
    assert client.post(f"/api/v1/rating/undo?{query}", json={}, headers=headers).json()["choice"] is None
    assert world.registry.ratings(run_id=world.runs[1], asked="Fine?") == ()
    with reading(world.registry.engine) as connection:
        noted = [(c.who, c.action, c.detail) for c in audit.changes(connection, before=None, limit=2)]
    assert noted == [("editor", "rate", "item 3: Fine?")] * 2


def test_raters_learn_no_model(client: Any, world: World, sessions: dict[str, str]) -> None:
    query = f"run={world.runs[0]}&run={world.runs[1]}&kind=pairwise"
    as_user(client, sessions["editor"])
    page = client.get(f"/annotation/rate?{query}").text
    item = client.get(f"/api/v1/rating/items/0?{query}").text
    assert "candidate" not in page + item
    assert sorted(client.get(f"/api/v1/rating/items/0?{query}").json()["answers"]) == ["no", "yes"]
    # The pair's winner is stored by its name, whichever side it stood on.
    answers = client.get(f"/api/v1/rating/items/1?{query}").json()["answers"]
    put(client, sessions["editor"], 1, query, choice="a" if answers[0] == "yes" else "b")
    (stored,) = [r for r in world.registry.ratings(question="pairwise") if r.rater == "editor"]
    first = stored.label == stored.model
    assert (stored.run_id == world.runs[0]) is first


def test_two_raters_agree_and_their_ratings_are_exported(client: Any, world: World, sessions: dict[str, str]) -> None:
    query = f"run={world.runs[1]}&task=qa&question=Twice%3F&seed=0"
    orders = {}
    for user in ("editor", "admin"):
        as_user(client, sessions[user])
        for position in range(10):  # a block: the same samples for both
            text = client.get(f"/api/v1/rating/items/{position}?{query}").json()["prompt"][0]["text"]
            orders.setdefault(user, []).append(text)
            number = int(text.split()[1])
            assert put(client, sessions[user], position, query, choice=str(number % 5 + 1)).status_code == 200
    assert orders["editor"] != orders["admin"]
    as_user(client, sessions["viewer"])
    page = client.get(f"/annotation/results?run={world.runs[1]}&task=qa&asked=Twice%3F").text
    assert re.search(r"<dt>agreement</dt><dd>100\s%<", page)
    assert "<dt>Krippendorff’s α</dt><dd>1" in page
    rows = client.get(f"/api/v1/ratings.csv?run={world.runs[1]}&task=qa&asked=Twice%3F").text.splitlines()
    assert len(rows) == 1 + 20


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("run=nothing", 404, "there is no run"),
        ("run={run}&task=nothing", 400, "has no task"),
        ("run={run}&scale=9", 400, "is no scale"),
        ("run={run}&kind=label", 400, "write two labels or more"),
        ("run={run}&kind=pairwise", 400, "a second run"),
        ("run={run}&colour=red", 400, "colour"),
        ("run={odd}", 400, "its folder is gone"),
        ("", 400, "run"),
    ],
)
def test_what_cannot_be_rated_is_refused(
    client: Any, world: World, sessions: dict[str, str], query: str, status: int, said: str
) -> None:
    as_user(client, sessions["editor"])
    address = query.format(run=world.runs[1], odd=world.runs[2])
    answer = client.get(f"/api/v1/rating/state?{address}")
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_an_item_or_an_answer_that_is_none(client: Any, world: World, sessions: dict[str, str]) -> None:
    query = f"run={world.runs[1]}"
    assert put(client, sessions["editor"], 24, query, choice="4").status_code == 404
    assert put(client, sessions["editor"], 0, query, choice="6").status_code == 400
    assert put(client, sessions["editor"], 0, query, choice="4", comment="x" * 10_001).status_code == 400
    assert put(client, sessions["viewer"], 0, query, choice="4").status_code == 403


def test_viewers_see_no_form(client: Any, world: World, sessions: dict[str, str]) -> None:
    as_user(client, sessions["viewer"])
    assert 'action="/annotation/rate"' not in client.get(f"/annotation?run={world.runs[0]}").text
    as_user(client, sessions["editor"])
    assert 'action="/annotation/rate"' in client.get(f"/annotation?run={world.runs[0]}").text


def test_agreement_is_told_as_json(client: Any, world: World, sessions: dict[str, str]) -> None:
    query = f"run={world.runs[1]}&task=qa&kind=scale&question=Clear%3F"
    for name, said in (("editor", "12345"), ("admin", "12344")):
        for position, choice in enumerate(said):
            assert put(client, sessions[name], position, query, choice=choice).status_code == 200
    as_user(client, sessions["viewer"])
    body = client.get(f"/api/v1/ratings/results?run={world.runs[1]}&task=qa&asked=Clear%3F").json()
    assert body["raters"] == {"editor": 5, "admin": 5}
    (one,) = body["questions"]
    assert (one["asked"], one["question"], one["n_raters"], one["n_ratings"]) == ("Clear?", "scale", 2, 10)
    # Items come to each rater in an order of their own: what both have rated is for the registry to say.
    assert one["n_rated"] + one["n_shared"] == 10
    (figure,) = one["figures"]
    assert (figure["model"], figure["n"]) == ("candidate", one["n_rated"])
    assert figure["ci_low"] <= figure["value"] <= figure["ci_high"]
    missing = client.get(f"/api/v1/ratings/results?run={world.runs[1]}&task=none")
    assert missing.status_code == 404
