"""A suite that is right, and ways to write and load others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from evalharness.core.errors import Problem, SuiteError
from evalharness.suite.check import check_references
from evalharness.suite.load import LoadedSuite, load_suite

BASE = Path(__file__).with_name("base.yaml").read_text("utf-8")


@pytest.fixture(scope="session")
def base_text() -> str:
    """The text of a suite without a fault that uses every part of the language."""
    return BASE


@pytest.fixture
def load_text(tmp_path: Path) -> Callable[..., LoadedSuite]:
    """Write a suite to a file and load it, with all its references checked."""

    def load(text: str, *, overrides: Sequence[str] = (), name: str = "suite.yaml") -> LoadedSuite:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        loaded = load_suite(path, overrides=overrides)
        check_references(loaded, environ={"KEY": "a secret", "HOST": "http://h"})
        return loaded

    return load


@pytest.fixture
def problems_of(load_text: Callable[..., LoadedSuite]) -> Callable[..., tuple[Problem, ...]]:
    """The problems of a suite that is wrong."""

    def problems(text: str, *, overrides: Sequence[str] = ()) -> tuple[Problem, ...]:
        with pytest.raises(SuiteError) as caught:
            load_text(text, overrides=overrides)
        return caught.value.problems

    return problems
