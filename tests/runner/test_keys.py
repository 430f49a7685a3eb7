"""The key of a request holds all that can change the answer: whatever is changed, the key is another."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from evalharness.core.canonical import digest
from evalharness.models.http import HttpModel
from evalharness.models.openai import OpenAIModel
from evalharness.suite.plan import request_key
from evalharness.suite.schema import ModelSpec

OPENAI = {"backend": "openai", "model": "gpt-x", "base_url": "https://api.example/v1?api-version=1"}
HTTP = {"backend": "http", "url": "https://api.example/ask", "body": {"q": "{{ prompt }}"}}
TOOL = {"type": "function", "function": {"name": "look_up"}}


def identity(entry: dict[str, Any], environ: dict[str, str] | None = None) -> str:
    spec: Any = TypeAdapter(ModelSpec).validate_python(entry)
    kind: Any = OpenAIModel if spec.backend == "openai" else HttpModel
    return digest(kind("m", spec, environ=environ or {}, concurrency=1).identity())


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-y"},
        {"base_url": "https://api.example/v2?api-version=1"},
        {"base_url": "https://api.example/v1?api-version=2"},
        {"api": "completions"},
        {"extra_body": {"tools": [TOOL]}},
        {"extra_body": {"tools": [TOOL | {"strict": True}]}},
        {"extra_body": {"reasoning_effort": "low"}},
        {"headers": {"X-Version": "2"}},
    ],
)
def test_a_change_of_an_openai_model(change: dict[str, Any]) -> None:
    assert identity(OPENAI) == identity(dict(OPENAI))
    assert identity(OPENAI) != identity({**OPENAI, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://api.example/ask2"},
        {"method": "PUT"},
        {"body": {"q": "{{ prompt }} "}},
        {"headers": {"X-Version": "2"}},
        {"response": "answer"},
        {"version": "2"},
    ],
)
def test_a_change_of_an_http_model(change: dict[str, Any]) -> None:
    assert identity(HTTP) != identity({**HTTP, **change})


def test_what_cannot_change_the_answer_is_left_out() -> None:
    assert identity(OPENAI) == identity({**OPENAI, "timeout_s": 7, "max_retries": 1, "concurrency": 3})
    keyed = {**OPENAI, "api_key": "${env:K}"}
    assert identity(keyed, {"K": "old-key-123"}) == identity(keyed, {"K": "new-key-456"})


def test_an_address_or_model_from_the_environment_counts_by_what_it_stands_for() -> None:
    for field, one, two in (("base_url", "https://a.example/v1", "https://b.example/v1"), ("model", "x", "y")):
        entry = {**OPENAI, field: "${env:V}"}
        assert identity(entry, {"V": one}) != identity(entry, {"V": two})


def test_a_change_of_the_request() -> None:
    asked: dict[str, Any] = {
        **{"model_digest": "d", "kind": "generate", "prompt": "Why?", "continuations": (), "sampling": {"seed": 1}},
        **{"repeat": 0, "sample_id": None},
    }
    changes = [
        *({"model_digest": "e"}, {"kind": "classify"}, {"prompt": "Why"}),
        {"prompt": [{"role": "user", "content": "Why?"}]},
        *({"continuations": ("a",)}, {"sampling": {"seed": 2}}, {"repeat": 1}, {"sample_id": "s"}),
    ]
    assert len({request_key(**asked), *(request_key(**{**asked, **change}) for change in changes)}) == len(changes) + 1
