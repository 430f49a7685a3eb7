"""The conventions of OpenTelemetry for generative AI, as instrumentations of several years write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.suite.source_entry import Source


@pytest.fixture
def one(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> Callable[..., Any]:
    """The response of one span with these attributes and events."""

    def made(given: dict[str, Any], events: list[dict[str, Any]] | None = None, **options: Any) -> Any:
        status = options.pop("status", {})
        (fact,) = make.facts_of(5)
        span = make.genai_span(fact) | {"attributes": given, "events": events or [], "status": status}
        file = make.lines(tmp_path / "t.jsonl", [make.otlp([span])])
        found = reading(Source(path=str(file), format="otel-genai", **{"content": True, **options}))
        assert not found.quarantine.listed
        return found.responses[0] if found.responses else None

    return made


def test_structured_attributes_and_all_figures(one: Callable[..., Any]) -> None:
    response = one(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 180,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.reasoning.output_tokens": 60,
            "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "c", "name": "w", "arguments": {"at": "Paris"}}],
                },
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "rainy, 57°F"}]},
            ],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "It rains."},
                        {"type": "text", "content": "Rain in Paris."},
                    ],
                    "finish_reason": "stop",
                }
            ],
        }
    )
    assert response.model == "m"
    assert response.time_to_first_token_s == 0.25
    assert (response.input_tokens, response.output_tokens) == (100, 180)
    assert (response.cached_tokens, response.reasoning_tokens) == (50, 60)
    assert response.messages == (
        ("system", "Be brief."), ("user", "Weather in Paris?"), ("assistant", ""), ("tool", "rainy, 57°F")
    )  # fmt: skip
    assert response.input == "Weather in Paris?"
    assert (response.output, response.reasoning) == ("Rain in Paris.", "It rains.")


OLD = {"gen_ai.system": "openai", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        pytest.param(  # v1.27: span events with attributes of JSON
            OLD,
            [
                {
                    "name": "gen_ai.content.prompt",
                    "attributes": {"gen_ai.prompt": json.dumps([{"role": "user", "content": "Hi?"}])},
                },
                {
                    "name": "gen_ai.content.completion",
                    "attributes": {"gen_ai.completion": json.dumps([{"role": "assistant", "content": "Hello."}])},
                },
            ],
            id="content-events",
        ),
        pytest.param(  # v1.28 to v1.36: an event a message
            OLD,
            [
                {"name": "gen_ai.system.message", "attributes": {"content": "Be kind."}},
                {"name": "gen_ai.user.message", "attributes": {"content": "Hi?", "role": "user"}},
                {
                    "name": "gen_ai.choice",
                    "attributes": {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": "Hello."},
                    },
                },
            ],
            id="message-events",
        ),
        pytest.param(  # OpenLLMetry: indexed attributes
            {
                "gen_ai.system": "OpenAI",
                "llm.request.type": "chat",
                "gen_ai.request.model": "m",
                "gen_ai.prompt.0.role": "system",
                "gen_ai.prompt.0.content": "Be kind.",
                "gen_ai.prompt.1.role": "user",
                "gen_ai.prompt.1.content": json.dumps([{"type": "text", "text": "Hi?"}]),
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "Hello.",
                "gen_ai.completion.0.finish_reason": "stop",
            },
            [],
            id="indexed",
        ),
        pytest.param(  # the deprecated attributes themselves
            OLD | {"gen_ai.prompt": "Hi?", "gen_ai.completion": "Hello."}, [], id="plain-attributes"
        ),
        pytest.param(  # the event with the whole exchange, on the span
            OLD,
            [
                {
                    "name": "gen_ai.client.inference.operation.details",
                    "attributes": {
                        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi?"}]}],
                        "gen_ai.output.messages": [
                            {"role": "assistant", "parts": [{"type": "text", "content": "Hello."}]}
                        ],
                    },
                }
            ],
            id="details-event",
        ),
    ],
)
def test_content_as_it_was_written_before(
    one: Callable[..., Any], attributes: dict[str, Any], events: list[dict[str, Any]]
) -> None:
    response = one(attributes, events)
    assert (response.input, response.output) == ("Hi?", "Hello.")
    bare = one(attributes, events, content=False)
    assert "Hello" not in repr(bare)


def test_older_names_of_figures(one: Callable[..., Any]) -> None:
    response = one(
        OLD
        | {
            "gen_ai.usage.prompt_tokens": 5,
            "gen_ai.usage.completion_tokens": 6,
            "gen_ai.usage.cache_read_input_tokens": 2,
            "gen_ai.usage.reasoning_tokens": 1,
            "gen_ai.server.time_to_first_token": 0.5,
            "session.id": "s-1",
            "llm.response.finish_reason": "length",
        },
        attributes={"provider": "gen_ai.provider.name"},
    )
    assert (response.input_tokens, response.output_tokens, response.cached_tokens) == (5, 6, 2)
    assert (response.reasoning_tokens, response.time_to_first_token_s) == (1, 0.5)
    assert (response.conversation, response.finish_reason) == ("s-1", "length")
    assert response.attributes == {"provider": "openai"}


@pytest.mark.parametrize("content", [True, False])
def test_the_finish_reason_may_stand_with_the_answer_alone(one: Callable[..., Any], content: bool) -> None:
    said = [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hel"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "lo"}], "finish_reason": "length"},
    ]
    in_span = {"gen_ai.output.messages": json.dumps(said)}
    event = [{"name": "gen_ai.client.inference.operation.details", "attributes": {"gen_ai.output.messages": said}}]
    assert one(OLD | in_span, [], content=content).finish_reason == "length"
    assert one(OLD, event, content=content).finish_reason == "length"
    # What is said of the whole response counts first.
    assert one(OLD | in_span | {"gen_ai.response.finish_reasons": ["stop"]}, content=content).finish_reason == "stop"


def test_an_answer_that_was_cut_is_nothing_where_content_is_not_kept(one: Callable[..., Any]) -> None:
    cut = {"gen_ai.output.messages": '[{"role": "assistant", "finish_reason": "st'}
    assert one(OLD | cut, content=False).finish_reason in (None, "")


def test_providers_that_were_renamed(one: Callable[..., Any]) -> None:
    response = one(OLD | {"gen_ai.system": "xai"}, attributes=["gen_ai.provider.name"])
    assert response.attributes == {"gen_ai.provider.name": "x_ai"}


def test_the_newer_name_comes_first(one: Callable[..., Any]) -> None:
    assert one(OLD | {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.prompt_tokens": 5}).input_tokens == 7


@pytest.mark.parametrize("operation", ["embeddings", "execute_tool", "invoke_agent", "retrieval", "create_agent"])
def test_other_operations_are_no_answers(one: Callable[..., Any], operation: str) -> None:
    assert one({"gen_ai.operation.name": operation, "gen_ai.request.model": "m"}) is None
    assert one({"http.request.method": "POST"}) is None


def test_errors(one: Callable[..., Any]) -> None:
    assert one(OLD | {"error.type": "timeout"}, status={"code": 2, "message": "You asked …"}).error == "timeout"
    failed = one(OLD, [{"name": "exception", "attributes": {"exception.type": "RateLimitError"}}], status={"code": 2})
    assert failed.error == "RateLimitError"
    assert one(OLD, status={"code": "STATUS_CODE_ERROR"}).error == "error"
    assert one(OLD, status={"code": 1}).error is None


def test_evaluations_of_an_answer_are_scores(one: Callable[..., Any]) -> None:
    event = {
        "name": "gen_ai.evaluation.result",
        "attributes": {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.75},
    }
    assert one(OLD, [event]).scores == {"relevance": 0.75}


def test_the_time_may_be_that_of_the_start_or_an_attribute(one: Callable[..., Any], make: Any) -> None:
    (fact,) = make.facts_of(5)
    started = one(OLD, event_time="start_time")
    assert started.event_time == fact.at - timedelta(seconds=fact.latency_s)
    assert one(OLD | {"my.time_ms": 1795343415000}, event_time="my.time_ms").event_time.year == 2026


def test_ids_and_conversations_of_ones_own(one: Callable[..., Any]) -> None:
    attributes = OLD | {"gen_ai.response.id": "chatcmpl-1", "user.id": "u-7"}
    response = one(attributes, id="gen_ai.response.id", conversation="user.id")
    assert (response.id, response.conversation) == ("chatcmpl-1", "u-7")


def test_only_attributes_that_are_named_are_kept(one: Callable[..., Any]) -> None:
    attributes = OLD | {"tier": "gold", "note": "private", "tags": ["a", "b"]}
    assert one(attributes).attributes == {}
    kept = one(attributes, attributes=["tier", "tags", "service.name", "absent"]).attributes
    assert kept == {"tier": "gold", "tags": "a,b", "service.name": "shop", "absent": None}


def test_a_span_that_an_sdk_printed(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    (fact,) = make.facts_of(5)
    attributes = make.genai_span(fact)["attributes"]
    printed = {
        "name": "chat support",
        "context": {"trace_id": "0x" + "ab" * 16, "span_id": "0x" + fact.id, "trace_state": "[]"},
        "kind": "SpanKind.CLIENT",
        "start_time": f"{fact.at - timedelta(seconds=2):%Y-%m-%dT%H:%M:%S.%fZ}",
        "end_time": f"{fact.at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "status": {"status_code": "UNSET"},
        "attributes": attributes,
        "events": [],
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": ""},
    }
    for name, text in (("line.jsonl", json.dumps(printed) + "\n"), ("pretty.json", json.dumps(printed, indent=4))):
        (tmp_path / name).write_text(text)
        found = reading(Source(path=str(tmp_path / name), format="otel-genai", content=True))
        (response,) = found.responses
        assert (response.service, response.output, response.latency_s) == ("shop", fact.said, 2.0)
        assert response.id == fact.id


def test_messages_that_an_sdk_printed_as_lists(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    (fact,) = make.facts_of(5)
    messages = {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Where?"}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Here."}]}],
    }
    names = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    printed = {"context": {"span_id": "0x" + fact.id}, "end_time": fact.at.isoformat(), "attributes": names | messages}
    nested = printed | {"attributes": names | {"gen_ai": {"input": {"messages": messages["gen_ai.input.messages"]}}}}
    (tmp_path / "a.jsonl").write_text(json.dumps(printed, indent=4) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps(nested | {"context": {"span_id": "b"}}) + "\n")
    first, second = reading(Source(path=str(tmp_path), format="otel-genai", content=True)).responses
    assert (first.input, first.output) == ("Where?", "Here.")
    assert second.input == "Where?"


def test_one_bad_span_does_not_cost_its_message(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    good, bad = (make.genai_span(fact) for fact in make.facts_of(5, 10))
    bad["attributes"] = bad["attributes"] | {"gen_ai.usage.input_tokens": -4}
    file = make.lines(tmp_path / "t.jsonl", [make.otlp([bad, good])])
    found = reading(Source(path=str(file), format="otel-genai"))
    assert (found.counts.kept, dict(found.quarantine.by_rule)) == (1, {"out-of-range": 1})
    assert found.quarantine.listed[0].place.line == 1


@pytest.mark.parametrize("cut", ['[{"role": "user", "parts": [{"type": "te', '{"role": "us'])
def test_messages_that_an_exporter_cut_are_quarantined(
    tmp_path: Path, make: Any, reading: Callable[..., Any], cut: str
) -> None:
    span = make.genai_span(make.facts_of(5)[0])
    span["attributes"] = span["attributes"] | {"gen_ai.input.messages": cut}
    file = make.lines(tmp_path / "t.jsonl", [make.otlp([span])])
    assert dict(reading(Source(path=str(file), format="otel-genai", content=True)).quarantine.by_rule) == {
        "not-json": 1
    }
    # Without content nobody looks at it.
    assert reading(Source(path=str(file), format="otel-genai")).counts.kept == 1
