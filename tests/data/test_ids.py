from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import DataError, Place
from evalharness.core.types import Row
from evalharness.data.ids import assign_ids


def _rows(*fields: dict) -> list[Row]:
    return [Row("", f, Place("f", i + 1)) for i, f in enumerate(fields)]


def _ids(*fields: dict, column: str | None = None) -> list[str]:
    return assign_ids(_rows(*fields), fields, column=column)


def test_a_column_of_text_or_whole_numbers() -> None:
    assert _ids({"k": "a"}, {"k": 7}, column="k") == ["a", "7"]


def test_a_column_that_does_not_serve_is_reported_row_by_row() -> None:
    with pytest.raises(DataError) as caught:
        _ids(
            {"key": 1}, {"kye": 2}, {"key": ""}, {"key": None}, {"key": "1"}, {"key": 1.5}, {"key": True}, column="key"
        )
    assert [(p.place.line, p.message) for p in caught.value.problems] == [
        (2, "there is no id column 'key'; did you mean 'kye'?"),
        (3, "the id must be text or a whole number, found nothing"),
        (4, "the id must be text or a whole number, found nothing"),
        (5, "the id '1' is taken by the row at f:1; ids must differ"),
        (6, "the id must be text or a whole number, found 1.5"),
        (7, "the id must be text or a whole number, found True"),
    ]


def test_the_id_field_serves_if_it_names_every_row() -> None:
    assert _ids({"id": 1}, {"id": "b"}) == ["1", "b"]


@pytest.mark.parametrize("second", [{"id": 1}, {"id": "1"}, {"id": None}, {"id": " "}, {"id": 2.5}, {"x": 1}])
def test_else_the_digest_of_the_content_serves(second: dict) -> None:
    first, other = _ids({"id": 1}, second)
    assert len(first) == 16
    assert other.startswith(first) if second == {"id": 1} else other != first


def test_identical_rows_are_numbered() -> None:
    a, b, a2, a3 = _ids({"x": 1}, {"x": 2}, {"x": 1}, {"x": 1})
    assert (a2, a3) == (f"{a}-2", f"{a}-3")
    assert b != a


def test_digests_do_not_change_between_versions() -> None:
    # sha256 of the bytes {"n":1,"text":"é"}, by `sha256sum` of coreutils
    assert _ids({"text": "é", "n": 1}) == ["c7f01c6db2ff7903"]


@given(
    rows=st.lists(st.fixed_dictionaries({"x": st.integers(0, 3)}), min_size=1), seed=st.integers(), at=st.integers(0, 9)
)
def test_ids_do_not_depend_on_order_or_on_rows_between(rows: list, seed: int, at: int) -> None:
    before = _ids(*rows)
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    mixed.insert(at, {"x": 99})
    after = _ids(*mixed)
    assert sorted(before) == sorted(i for i, row in zip(after, mixed, strict=True) if row != {"x": 99})
