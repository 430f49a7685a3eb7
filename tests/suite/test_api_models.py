"""Entries of API models in a suite: keys that are not named, and settings that have no effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.core.errors import SuiteError
from evalharness.suite.check import check_references
from evalharness.suite.load import LoadedSuite, load_suite

SUITE = """\
version: 1
name: s
models:
  claude: {backend: anthropic, model: x}
  other: {backend: anthropic, model: x, api_key: ""}
datasets:
  d: {rows: [{q: one}]}
tasks:
  - {id: t, dataset: d, prompt: "{{ q }}"}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], LoadedSuite]:
    def load_text(text: str) -> LoadedSuite:
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return load_suite(path)

    return load_text


def test_the_key_of_a_default_must_be_set(load: Callable[[str], LoadedSuite]) -> None:
    loaded = load(SUITE)
    check_references(loaded, environ={"ANTHROPIC_API_KEY": "k"})
    check_references(loaded, environ={}, secrets=False)
    with pytest.raises(SuiteError) as caught:
        check_references(loaded, environ={})
    [problem] = caught.value.problems
    assert problem.path == "models.claude"
    assert "ANTHROPIC_API_KEY is not set; set it: export ANTHROPIC_API_KEY=…, or name another" in problem.message


def test_a_key_that_is_named_is_reported_where_it_stands(load: Callable[[str], LoadedSuite]) -> None:
    loaded = load(SUITE.replace('api_key: ""', 'api_key: "${env:MINE}"'))
    with pytest.raises(SuiteError) as caught:
        check_references(loaded, environ={"ANTHROPIC_API_KEY": "k"})
    assert [problem.path for problem in caught.value.problems] == ["models.other.api_key"]


def test_a_seed_of_a_model_without_seeds_is_refused(load: Callable[[str], LoadedSuite]) -> None:
    with pytest.raises(
        SuiteError, match=r"generate\.seed has no effect here: the messages API takes no seed; remove it"
    ):
        load(SUITE.replace("{backend: anthropic, model: x}", "{backend: anthropic, model: x, generate: {seed: 3}}"))
