"""The key `score` of a task with choices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from evalharness.core.errors import Place
from evalharness.core.types import Row, Sampling
from evalharness.suite.plan import make_plan, sampling_json
from evalharness.suite.schema import Suite

TASK = {"id": "t", "dataset": "d", "prompt": "", "choices": ["{{ a }}", "{{ b }}"], "score": "shared"}


def suite(**task: Any) -> Suite:
    return Suite.model_validate(
        {
            "version": 1,
            "name": "s",
            "models": {"m": {"backend": "fake"}},
            "datasets": {"d": {"path": "d.jsonl"}},
            "tasks": [{**TASK, **task}],
        }
    )


def planned(**task: Any) -> Any:
    rows = {"d": [Row("1", {"a": "he sleeps", "b": "she sleeps"}, Place("d.jsonl", 1))]}
    return make_plan(suite(**task), rows, {"m": {}}, base=Path()).tasks[0]


def test_the_flag_is_part_of_the_key_only_where_it_is_set() -> None:
    shared, whole = planned(), planned(score="all")
    assert shared.requests[0].sampling == Sampling(shared_tokens=True)
    assert whole.requests[0].sampling == Sampling()
    assert shared.requests[0].key != whole.requests[0].key
    assert shared.identity["kind"] != whole.identity["kind"]
    assert "shared_tokens" not in sampling_json(Sampling())
    assert sampling_json(replace(Sampling(), shared_tokens=True))["shared_tokens"] is True


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"choices": None}, "score has no effect without choices; remove it"),
        ({"choice_by": "generation"}, "score has no effect without likelihoods"),
        ({"choices": ["a", "b", "c"]}, "score: shared compares two choices, and there are 3"),
    ],
)
def test_where_it_does_nothing_it_is_refused(task: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        suite(**task)


@pytest.mark.parametrize("backend", ["openai", "hf-seq2seq", "python"])
def test_models_that_cannot_are_refused_before_anything_runs(backend: str, tmp_path: Path) -> None:
    from evalharness.core.errors import SuiteError
    from evalharness.suite.check import check_references
    from evalharness.suite.load import load_suite

    models = {
        "openai": "{backend: openai, model: x, api: completions}",
        "hf-seq2seq": "{backend: hf-seq2seq, path: somewhere/t5}",
        "python": "{backend: python, function: 'my:f', kind: loglikelihood}",
    }
    (tmp_path / "d.jsonl").write_text('{"a": "x", "b": "y"}\n')
    (tmp_path / "s.yaml").write_text(
        f"version: 1\nname: s\nmodels: {{m: {models[backend]}}}\ndatasets: {{d: {{path: d.jsonl}}}}\n"
        'tasks:\n  - {id: t, dataset: d, prompt: "", choices: ["{{ a }}", "{{ b }}"], score: shared}\n'
    )
    with pytest.raises(SuiteError) as caught:
        check_references(load_suite(tmp_path / "s.yaml"), environ={}, secrets=False)
    assert f"the model 'm' (backend {backend}) cannot score only the tokens that two choices share" in str(caught.value)
    assert "tasks[0].score" in str(caught.value)
