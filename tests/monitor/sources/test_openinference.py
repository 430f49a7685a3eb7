from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.suite.source_entry import Source


@pytest.fixture
def one(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> Callable[..., Any]:
    def made(attributes: dict[str, Any], **options: Any) -> Any:
        span = make.genai_span(make.facts_of(5)[0]) | {"attributes": attributes}
        file = make.lines(tmp_path / "t.jsonl", [make.otlp([span])])
        found = reading(Source(path=str(file), format="openinference", content=True, **options))
        assert not found.quarantine.listed
        return found.responses[0] if found.responses else None

    return made


def test_figures_parts_and_annotations(one: Callable[..., Any]) -> None:
    response = one(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "asked-for",
            "llm.response.model_name": "answered",
            "llm.token_count.prompt": 10,
            "llm.token_count.completion": 15,
            "llm.token_count.prompt_details.cache_read": 5,
            "llm.token_count.completion_details.reasoning": 9,
            "llm.cost.total": 0.0066,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.input_messages.0.message.contents.0.message_content.text": "What is ",
            "llm.input_messages.0.message.contents.1.message_content.type": "image",
            "llm.input_messages.0.message.contents.2.message_content.type": "text",
            "llm.input_messages.0.message.contents.2.message_content.text": "this?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.contents.0.message_content.type": "reasoning",
            "llm.output_messages.0.message.contents.0.message_content.text": "A cat, I think.",
            "llm.output_messages.0.message.contents.1.message_content.type": "text",
            "llm.output_messages.0.message.contents.1.message_content.text": "A cat.",
            "annotations.0.annotation.name": "correct",
            "annotations.0.annotation.score": 1,
        }
    )
    assert response.model == "answered"
    assert (response.input_tokens, response.output_tokens) == (10, 15)
    assert (response.cached_tokens, response.reasoning_tokens, response.cost_usd) == (5, 9, 0.0066)
    assert (response.input, response.output, response.reasoning) == ("What is this?", "A cat.", "A cat, I think.")
    assert response.scores == {"correct": 1.0}


def test_completions_and_plain_values(one: Callable[..., Any]) -> None:
    completion = one(
        {
            "openinference.span.kind": "LLM",
            "llm.prompts.0.prompt.text": "def fib(n):",
            "llm.choices.0.completion.text": " return n",
        }
    )
    assert (completion.input, completion.output) == ("def fib(n):", " return n")
    plain = one({"openinference.span.kind": "LLM", "input.value": "Hi?", "output.value": "Hello."})
    assert (plain.input, plain.output) == ("Hi?", "Hello.")


@pytest.mark.parametrize("kind", ["CHAIN", "TOOL", "EMBEDDING", "AGENT", None])
def test_other_kinds_are_no_answers(one: Callable[..., Any], kind: str | None) -> None:
    assert one({"llm.model_name": "m"} | ({"openinference.span.kind": kind} if kind else {})) is None


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_table_of_spans_with_nested_attributes(
    tmp_path: Path, make: Any, reading: Callable[..., Any], suffix: str
) -> None:
    """As Phoenix exports spans: a column an attribute, lists of messages within."""
    (fact,) = make.facts_of(5)
    row = {
        "name": "ChatCompletion",
        "span_kind": "LLM",
        "context.span_id": fact.id,
        "context.trace_id": "ab" * 16,
        "start_time": "2026-11-22T10:04:58+00:00",
        "end_time": fact.at.isoformat(),
        "status_code": "OK",
        "attributes.openinference.span.kind": "LLM",
        "attributes.llm.model_name": fact.model,
        "attributes.llm.input_messages": [{"message.role": "user", "message.content": fact.asked}],
        "attributes.llm.output_messages": [{"message": {"role": "assistant", "content": fact.said}}],
        "attributes.llm.token_count.prompt": 12,
    }
    file = tmp_path / f"spans.{suffix}"
    if suffix == "jsonl":
        make.lines(file, [row])
    else:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist([row]), file)
    (response,) = reading(Source(path=str(file), format="openinference", content=True)).responses
    assert (response.id, response.model, response.input_tokens) == (fact.id, fact.model, 12)
    assert (response.input, response.output, response.latency_s) == (fact.asked, fact.said, 2.0)
