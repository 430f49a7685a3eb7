"""Cells of CSV files: no formula gets out, and every text comes back."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.cells import csv_line, from_cell, neutral, to_cell

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", "=", "-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text(text: str) -> None:
    assert neutral(text) == to_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a", "-1", "+2.5e-3", "-inf", "a=1", " =1", "4"])
def test_what_is_no_formula_stays(text: str) -> None:
    assert neutral(text) == to_cell(text) == text


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    assert from_cell(to_cell(text)) == text
    assert not to_cell(text).startswith(("=", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("text", ["'", "''", "'=1", "'tis"])
def test_an_apostrophe_of_the_text_itself_is_kept(text: str) -> None:
    assert to_cell(text) == f"'{text}"
    assert from_cell(to_cell(text)) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=2))
def test_lines_are_read_as_they_were(cells: list[str]) -> None:
    assert next(csv.reader(io.StringIO(csv_line(cells), newline=""), strict=True)) == cells
