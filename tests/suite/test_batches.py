"""What of a suite can be asked in batches, and what `validate` says of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.core.errors import SuiteError
from evalharness.suite.batches import batch_problems, batched_models
from evalharness.suite.load import LoadedSuite, load_suite

SUITE = """\
version: 1
name: s
models:
  gpt: {backend: openai, model: x}
  claude: {backend: anthropic, model: x}
  here: {backend: fake}
datasets:
  d: {rows: [{q: one}]}
tasks:
  - {id: t, dataset: d, prompt: "{{ q }}"}
execution: {mode: batch}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadedSuite]:
    def load_text(text: str, *settings: str) -> LoadedSuite:
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return load_suite(path, overrides=settings)

    return load_text


def test_models_of_services_are_asked_in_batches_and_those_that_run_here_are_not(
    load: Callable[..., LoadedSuite],
) -> None:
    loaded = load(SUITE)
    assert list(batch_problems(loaded)) == []
    assert batched_models(loaded.suite) == {"gpt", "claude"}
    assert batched_models(load(SUITE, "execution.mode=online").suite) == frozenset()


@pytest.mark.parametrize(
    ("setting", "path", "says"),
    [
        (
            "models.ask={backend: http, url: 'http://h/ask'}",
            "models.ask.backend",
            "the model 'ask' has none (backend http); use `backend: openai` or `anthropic`",
        ),
        ("models.ask={backend: theirs}", "models.ask.backend", "has none (backend theirs)"),
        ("models.gpt.stream=true", "models.gpt.stream", "cannot stream"),
    ],
)
def test_models_that_cannot_be_are_named_with_the_remedy(
    load: Callable[..., LoadedSuite], setting: str, path: str, says: str
) -> None:
    [problem] = batch_problems(load(SUITE, setting))
    assert problem.path == path
    assert says in problem.message
    assert "mode: online" in problem.message
    assert list(batch_problems(load(SUITE, setting, "execution.mode=online"))) == []
    # One that no task asks is nobody's business.
    assert list(batch_problems(load(SUITE, setting, "tasks.t.model=claude"))) == []


@pytest.mark.parametrize("what", ["tasks.t.choices=[a, b]", "tasks.t={id: t, dataset: d, perplexity: '{{ q }}'}"])
def test_likelihoods_are_not_to_be_had(load: Callable[..., LoadedSuite], what: str) -> None:
    api = "models.gpt.api=completions"
    [problem] = batch_problems(load(SUITE, "models.claude=", what, api))
    assert problem.path == "tasks[0].id"
    assert "scores likelihoods on the model 'gpt'" in problem.message
    if "choices" in what:
        assert list(batch_problems(load(SUITE, what, api, "tasks.t.choice_by=generation"))) == []


def test_settings_without_effect_are_refused(load: Callable[..., LoadedSuite]) -> None:
    with pytest.raises(SuiteError, match="batch has no effect without mode: batch"):
        load(SUITE, "execution={batch: {poll_s: 5}}")
    with pytest.raises(SuiteError, match="cache: off does not go with mode: batch"):
        load(SUITE, "execution.cache=off")
    with pytest.raises(SuiteError, match="poll_s"):
        load(SUITE, "execution.batch.poll_s=0")
