"""Who may talk to the page."""

from __future__ import annotations

import pytest

from evalharness.annotate.guard import HEADERS, Doors, is_own_host, is_own_page


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "127.0.0.1", "localhost:9", "LOCALHOST", "localhost.", "[::1]:8000", "[::1]", "192.168.0.7:80",
     "workbench:8000", "WorkBench"],
)  # fmt: skip
def test_names_of_this_machine(host: str) -> None:
    assert is_own_host(host, ["Workbench"])


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "1.2.3",
     "[evil]", "127.0.0.1@evil.example", "localhost:8000:1"],
)  # fmt: skip
def test_names_that_were_bound_to_this_address_by_others(host: str | None) -> None:
    assert not is_own_host(host, ["workbench"])


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:8000"}, True),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://127.0.0.1:8001"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_only_pages_of_our_own_may_ask(headers: dict[str, str], own: bool) -> None:
    assert is_own_page({"Host": "127.0.0.1:8000", **headers}) is own


def test_links_are_random_and_each_raters_own() -> None:
    doors = Doors(["anna", "ben"])
    assert len(set(doors.links.values())) == 2
    assert min(map(len, doors.links.values())) >= 32
    assert doors.rater(doors.links["ben"]) == "ben"
    assert doors.open_link is None
    for wrong in ("", "x", doors.links["anna"][:-1], "\ud800"):
        assert doors.rater(wrong) is None
        assert not doors.is_open(wrong)


def test_the_open_link_lets_raters_in_by_name() -> None:
    doors = Doors([])
    assert doors.open_link is not None
    assert doors.is_open(doors.open_link)
    assert doors.rater(doors.open_link) is None
    link = doors.join("anna")
    assert doors.join("anna") == link != doors.join("ben")
    assert doors.rater(link) == "anna"


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {"script-src", "style-src", "connect-src"} <= {name for name, value in policy.items() if value == "'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
