"""Rows in units: variants of a row stay together, limits count rows before they are rewritten, notes count the rest."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from evalharness.core.errors import DataError, Place, UsageError
from evalharness.core.types import Row
from evalharness.probes.base import ORIGINAL as PROBES_ORIGINAL
from evalharness.probes.base import Variant
from evalharness.suite.probe_rows import ORIGINAL, OwnRows, Rewriting, base_id, row_notes, rows_digest
from evalharness.suite.probed import Origin

ROWS = [
    Row("1", {"text": "ab"}, Place("d", 1), {"language": "en"}),
    Row("2", {"text": "b"}, Place("d", 2), {"language": "en"}, "own"),
    Row("3", {"text": "xyz"}, Place("d", 3), {"language": "de"}),
    Row("4", {"text": "aa"}, Place("d", 4), {"language": "de"}),
]


def swap(sign: str) -> Any:
    def rewrite(row: Row, fields: tuple[str, ...]) -> Row | None:
        text = str(row.fields[fields[0]])
        return replace(row, fields={**row.fields, fields[0]: text.replace(sign, "_")}) if sign in text else None

    return rewrite


def rewriting(*, reference: bool) -> Rewriting:
    return Rewriting("t", "d", (Variant("a", swap("a")), Variant("b", swap("b"))), ("text",), "how", reference)


def test_the_word_for_the_row_itself_is_the_same_in_both_rooms() -> None:
    assert ORIGINAL == PROBES_ORIGINAL


def test_with_an_original_all_variants_are_asked_about_the_same_rows() -> None:
    made = rewriting(reference=True).made(ROWS)
    assert [(row.id, row.fields["text"]) for row in made] == [
        ("1#original", "ab"),
        ("1#a", "_b"),
        ("1#b", "a_"),
        ("2#original", "b"),
        ("2#a", "b"),
        ("2#b", "_"),
        ("4#original", "aa"),
        ("4#a", "__"),
        ("4#b", "aa"),
    ]
    assert [row.cluster for row in made][::3] == ["1", "own", "4"]
    assert made[1].groups == {"language": "en", "how": "a"}
    assert made[1].place == ROWS[0].place
    assert base_id("a#b#original") == "a#b"
    assert (made.n_units, made.n_empty, made.kept) == (4, 1, {"a": 1, "b": 1})


def test_without_an_original_a_row_is_asked_in_all_variants_or_in_none() -> None:
    made = rewriting(reference=False).made(ROWS)
    assert [row.id for row in made] == ["1#a", "1#b"]
    assert (made.n_empty, made.kept) == (3, {})


@pytest.mark.parametrize(
    ("n", "size", "empty", "kept"),
    [(1, 3, 0, {}), (2, 6, 0, {"a": 1}), (3, 6, 1, {"a": 1}), (9, 9, 1, {"a": 1, "b": 1})],
)
def test_a_limit_counts_rows_before_they_are_rewritten(n: int, size: int, empty: int, kept: Any) -> None:
    first = rewriting(reference=True).made(ROWS).first(n)
    assert (len(first), first.n_empty, first.kept) == (size, empty, kept)
    assert [row.id for row in first] == [row.id for row in rewriting(reference=True).made(ROWS)][:size]


def test_notes_count_what_was_left_out_and_what_was_left_as_it_was() -> None:
    origin = Origin(probe="p", of="ask", fields=("text",), question="q")
    task = SimpleNamespace(id="t", origin=origin)
    assert list(row_notes(task, rewriting(reference=True).made(ROWS))) == [
        "t: 1 of 4 rows of ask are left out: the probe p finds nothing to rewrite in their text",
        "t: a finds nothing to rewrite in 1 of the 3 rows asked, and leaves these as they are",
        "t: b finds nothing to rewrite in 1 of the 3 rows asked, and leaves these as they are",
    ]
    assert list(row_notes(task, rewriting(reference=True).made(ROWS[:1]))) == []
    with pytest.raises(UsageError, match="finds nothing to rewrite in text of the 1 rows of 'ask'"):
        list(row_notes(task, rewriting(reference=True).made(ROWS[2:3])))


def test_a_row_that_cannot_be_rewritten_is_told_with_its_place() -> None:
    def refuse(row: Row, fields: tuple[str, ...]) -> Row | None:
        raise UsageError("no names for it")

    with pytest.raises(DataError) as caught:
        Rewriting("t", "d", (Variant("a", refuse),), ("text",), "how", True).made(ROWS)
    assert [str(problem.place) for problem in caught.value.problems] == ["d:1", "d:2", "d:3", "d:4"]


def test_units_of_own_rows_are_runs_of_the_same_name() -> None:
    rows = OwnRows.of(ROWS, lambda row: row.groups["language"]).made(())
    assert [row.id for row in rows.first(1)] == ["1", "2"]
    assert [row.id for row in OwnRows.of(ROWS).made(()).first(3)] == ["1", "2", "3"]
    assert rows.first(5) == rows


def test_the_digest_covers_all_that_rows_hold() -> None:
    digest = rows_digest(ROWS)
    for other in (
        replace(ROWS[0], id="0"),
        replace(ROWS[0], fields={"text": "ab", "more": 1}),
        replace(ROWS[0], groups={}),
        replace(ROWS[0], cluster="c"),
    ):
        assert rows_digest([other, *ROWS[1:]]) != digest
    assert rows_digest([replace(ROWS[0], place=Place("e")), *ROWS[1:]]) == digest
