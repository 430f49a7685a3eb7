"""Who answered: what replies name, and a change of it within a run."""

from __future__ import annotations

from typing import Any

from evalharness.core.types import Response
from evalharness.runner.book import ResponseBook
from evalharness.runner.returned import returned_by_model, returned_notes


def reply(key: str, model: Any = None, fingerprint: Any = None, at: str = "2026-01-01") -> Response:
    meta = {"id": key, "model": model, "system_fingerprint": fingerprint}
    return Response(key=key, created_utc=at, meta={k: v for k, v in meta.items() if v is not None})


def test_one_author_is_recorded_and_no_matter_of_note() -> None:
    book = ResponseBook("abcd")
    book.add([reply("a", "gpt-x-0806", "fp_1"), reply("b", "gpt-x-0806", "fp_1"), reply("c")])
    book.add([Response(key="d", status="error", error="no")])
    found = returned_by_model([("m", 4)], book)
    assert found == {"m": [{"model": "gpt-x-0806", "system_fingerprint": "fp_1", "n": 2}]}
    assert returned_notes(found) == []


def test_a_change_says_which_model_which_values_from_when_and_how_many_were_stored() -> None:
    book = ResponseBook("abcde")
    book.add([reply("a", "gpt-x", "fp_1", "2026-01-01")], from_store=True)
    book.add([reply("b", "gpt-x", "fp_2", "2026-02-03"), reply("c", "gpt-x", "fp_2", "2026-02-02")])
    book.add([reply("d", "other"), reply("e", "other")])
    found = returned_by_model([("m", 2), ("still", 2), ("m", 1)], reordered(book, "abdec"))
    assert found["still"] == [{"model": "other", "system_fingerprint": "", "n": 2}]
    assert found["m"] == [
        {
            **{"model": "gpt-x", "system_fingerprint": "fp_1", "n": 1, "n_from_store": 1},
            **{"first_utc": "2026-01-01", "last_utc": "2026-01-01"},
        },
        {
            **{"model": "gpt-x", "system_fingerprint": "fp_2", "n": 2, "n_from_store": 0},
            **{"first_utc": "2026-02-02", "last_utc": "2026-02-03"},
        },
    ]
    assert returned_notes(found) == [
        "what answers as model 'm' changed within this run, and its figures mix all of it: "
        "gpt-x (fp_1) from 2026-01-01 (1 answers, 1 of them stored by earlier runs); "
        "gpt-x (fp_2) from 2026-02-02 (2 answers). To ask all of it anew: --cache refresh"
    ]


def reordered(book: ResponseBook, keys: str) -> ResponseBook:
    """A book of the same responses whose requests come in the order of `keys`."""
    other = ResponseBook(keys)
    other.add((book[key] for key in keys if book.is_from_store(key)), from_store=True)
    other.add(book[key] for key in keys if not book.is_from_store(key))
    return other


def test_repeats_of_a_request_count_once() -> None:
    book = ResponseBook("aab")
    book.add([reply("a", "x"), reply("b", "y")])
    assert [entry["n"] for entry in returned_by_model([("m", 3)], book)["m"]] == [1, 1]


def test_a_server_that_names_each_reply_otherwise_is_cut_short() -> None:
    keys = [str(i) for i in range(10_500)]
    book = ResponseBook(keys)
    book.add(reply(key, "x" * 1_000, key) for key in keys)
    found = returned_by_model([("m", len(keys))], book)
    assert len(found["m"]) == 9_999
    [note] = returned_notes(found)
    assert note.count(" from ") == 5
    assert "; and 9,994 more" in note
    assert len(note) < 2_000


def test_odd_values_do_no_harm() -> None:
    book = ResponseBook("abc")
    book.add([reply("a", {"name": 1}, [2]), reply("b", 3, True), reply("c", "", "")])
    assert {(e["model"], e["system_fingerprint"]) for e in returned_by_model([("m", 3)], book)["m"]} == {
        ("{'name': 1}", "[2]"),
        ("3", "True"),
    }


def test_nothing_asked() -> None:
    assert returned_by_model([("m", 0)], ResponseBook([])) == {}
