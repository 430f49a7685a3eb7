"""Streams of OpenAI's interface give what the same answers give whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalharness.models.openai_streams import reader_of

ENTRY = {"backend": "openai", "model": "tiny", "base_url": "http://host.example/v1"}
USAGE = {"prompt_tokens": 11, "completion_tokens": 6, "completion_tokens_details": {"reasoning_tokens": 2}}
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "model": "tiny-0613", "system_fingerprint": "fp_1"}


def _chunk(delta: Any, finish_reason: Any = None, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **more}], "usage": None}


CHUNKS = [
    {**HEAD, "choices": [], "prompt_filter_results": []},  # Azure begins so
    _chunk({"role": "assistant", "content": "", "refusal": None}),
    _chunk({"reasoning_content": "Well, "}),
    _chunk({"reasoning_content": "well."}),
    _chunk({"content": "Grü"}, logprobs={"content": [{"token": "Grü", "logprob": -0.5}], "refusal": None}),
    _chunk({"content": "ße, 北京"}, logprobs={"content": [{"token": "ße", "logprob": -0.25}], "refusal": None}),
    {**HEAD, "choices": [{"index": 1, "delta": {"content": "another choice"}}]},
    _chunk({"content": "!"}),
    _chunk({}, "stop"),
    {**HEAD, "choices": [], "usage": USAGE},
]
WHOLE = {
    **HEAD,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Grüße, 北京!", "reasoning_content": "Well, well."},
            "logprobs": {"content": [{"token": "Grü", "logprob": -0.5}, {"token": "ße", "logprob": -0.25}]},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}


def _read(kit: Any, *replies: Any, cut: int = 7, **entry: Any) -> Any:
    transport = kit.FakeTransport(replies)
    transport.cut = cut
    return kit.answer(kit.api_model({**ENTRY, **entry}, transport, timing=kit.FakeTime().timing))


def _whole(api: str, events: list[Any]) -> Any:
    """The reply that a stream of `events` stands for."""
    reader = reader_of(api, clock=lambda: 0.0)()
    for event in [*(json.dumps(event) for event in events), "[DONE]"]:
        reader.feed(f"data: {event}\n\n".encode())
    status, body = reader.end(framed=False)
    assert status == 200
    return json.loads(body)


@pytest.mark.parametrize("cut", [1, 2, 5, 4096])
def test_a_chat_in_pieces_gives_what_the_whole_reply_gives(kit: Any, cut: int) -> None:
    found, whole = _read(kit, kit.stream_of(*CHUNKS), cut=cut, stream=True), _read(kit, kit.reply(WHOLE))
    assert {k: v for k, v in found.meta.items() if k != "ttft_s"} == whole.meta
    for field in ("status", "text", "finish_reason", "input_tokens", "output_tokens"):
        assert getattr(found, field) == getattr(whole, field)
    assert (found.text, found.input_tokens, found.meta["reasoning_tokens"]) == ("Grüße, 北京!", 11, 2)
    assert found.meta["ttft_s"] == 0.0


def test_log_probabilities_are_joined() -> None:
    assert _whole("chat", CHUNKS)["choices"][0]["logprobs"] == WHOLE["choices"][0]["logprobs"]  # type: ignore[index]


def test_a_stream_is_asked_for_with_its_usage_and_may_be_without(kit: Any) -> None:
    transport = kit.FakeTransport([kit.stream_of(*CHUNKS)] * 2)
    kit.answer(kit.api_model({**ENTRY, "stream": True}, transport))
    assert (transport.body()["stream"], transport.body()["stream_options"]) == (True, {"include_usage": True})
    transport = kit.FakeTransport([kit.stream_of(*CHUNKS)])
    kit.answer(kit.api_model({**ENTRY, "stream": True, "extra_body": {"stream_options": None}}, transport))
    assert transport.body()["stream"] is True
    assert "stream_options" not in transport.body()
    transport = kit.FakeTransport([kit.chat_reply()])
    kit.answer(kit.api_model(ENTRY, transport))
    assert "stream" not in transport.body()


def test_completions_in_pieces(kit: Any) -> None:
    events = [
        {
            "id": "c",
            "choices": [{"index": 0, "text": " wor", "logprobs": {"tokens": [" wor"], "token_logprobs": [-1]}}],
        },
        {"id": "c", "choices": [{"index": 0, "text": "ld", "logprobs": {"tokens": ["ld"], "token_logprobs": [-2]}}]},
        {"id": "c", "choices": [{"index": 0, "text": "", "finish_reason": "length", "logprobs": None}]},
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ]
    found = _read(kit, kit.stream_of(*events), stream=True, api="completions")
    assert (found.text, found.status, found.input_tokens, found.output_tokens) == (" world", "truncated", 1, 2)
    logprobs = _whole("completions", events)["choices"][0]["logprobs"]
    assert logprobs == {"tokens": [" wor", "ld"], "token_logprobs": [-1, -2]}


def _call(index: Any = None, **function: Any) -> dict[str, Any]:
    named = {} if index is None else {"index": index}
    head = {"id": f"call_{function['name']}", "type": "function"} if "name" in function else {}
    return {**named, **head, "function": function}


@pytest.mark.parametrize("index", [True, False])
def test_tool_calls_are_put_together(index: bool) -> None:
    def at(i: int) -> Any:
        return i if index else None

    pieces = [
        [_call(at(0), name="look", arguments="")],
        [_call(at(0), arguments='{"a"')],
        [_call(at(0), arguments=": 1}")],
        [_call(at(1), name="see", arguments='{"b": 2}')],
    ]
    whole = _whole("chat", [*(_chunk({"tool_calls": calls}) for calls in pieces), _chunk({}, "tool_calls")])
    assert whole["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_look", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
        {"id": "call_see", "type": "function", "function": {"name": "see", "arguments": '{"b": 2}'}},
    ]


def test_a_name_that_is_repeated_with_each_piece_is_one_name() -> None:
    piece = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "x"}}
    whole = _whole("chat", [_chunk({"role": "assistant", "tool_calls": [piece]}), _chunk({"tool_calls": [piece]})])
    [call] = whole["choices"][0]["message"]["tool_calls"]
    assert (call["id"], call["function"]) == ("call_1", {"name": "look", "arguments": "xx"})


def test_content_in_parts_and_in_texts() -> None:
    part = {"type": "text", "text": "b"}
    message = _whole("chat", [_chunk({"content": "a"}), _chunk({"content": [part]}), _chunk({"content": "c"})])
    assert [p["text"] for p in message["choices"][0]["message"]["content"]] == ["a", "b", "c"]


def test_half_an_emoji_an_event_is_a_whole_one_in_the_end() -> None:
    whole = _whole("chat", [_chunk({"content": "\ud83d"}), _chunk({"content": "\ude00"})])
    assert whole["choices"][0]["message"]["content"] == "\U0001f600"


@pytest.mark.parametrize("n_events", range(8))
def test_a_stream_that_is_cut_is_asked_again_and_never_a_short_answer(kit: Any, n_events: int) -> None:
    cut = kit.stream_of(*CHUNKS[:n_events], done=False)
    found = _read(kit, cut, kit.stream_of(*CHUNKS), stream=True)
    assert (found.status, found.n_retries, found.text) == ("ok", 1, "Grüße, 北京!")
    found = _read(kit, cut, stream=True, max_retries=0)
    assert (found.status, found.text) == ("error", None)
    assert f"the stream broke off after {n_events} events, before the answer ended" in found.error


def test_a_stream_that_is_cut_within_an_event_is_asked_again(kit: Any) -> None:
    whole = kit.stream_of(*CHUNKS).body
    for at in range(0, whole.index(b'"stop"'), 97):
        cut = kit.stream_of(done=False)
        found = _read(kit, type(cut)(200, whole[:at], cut.headers), kit.stream_of(*CHUNKS), stream=True)
        assert (found.status, found.n_retries, found.text) == ("ok", 1, "Grüße, 北京!"), at


def test_either_mark_of_the_end_will_do(kit: Any) -> None:
    found = _read(kit, kit.stream_of(*CHUNKS, done=False), stream=True)
    assert (found.status, found.finish_reason, found.output_tokens) == ("ok", "stop", 6)
    found = _read(kit, kit.stream_of(*CHUNKS[:8]), stream=True)
    assert (found.status, found.finish_reason, found.text) == ("ok", None, "Grüße, 北京!")


@pytest.mark.parametrize(
    ("error", "again"),
    [
        ({"message": "Oh.", "type": "server_error"}, True),
        ({"message": "Oh.", "code": "rate_limit_exceeded"}, True),
        ({"message": "Oh.", "code": 500}, True),
        ("Oh.", True),
        ({"message": "Oh.", "type": "insufficient_quota"}, False),
        ({"message": "Oh.", "type": "invalid_request_error", "code": "context_length_exceeded"}, False),
        ({"message": "Oh.", "code": 400}, False),
    ],
)
def test_an_error_within_a_stream_is_that_of_the_request(kit: Any, error: Any, again: bool) -> None:
    failure = kit.stream_of(*CHUNKS[:5], {"error": error}, done=False)
    found = _read(kit, failure, kit.stream_of(*CHUNKS), stream=True)
    assert (found.status, found.n_retries) == (("ok", 1) if again else ("error", 0))
    found = _read(kit, failure, stream=True, max_retries=0)
    assert "within the stream: Oh." in found.error


def test_an_error_as_an_object_of_its_own(kit: Any) -> None:
    failure = kit.stream_of({"object": "error", "message": "Oh.", "code": 400}, done=False)
    assert "within the stream: Oh." in _read(kit, failure, stream=True).error


def test_a_server_that_does_not_stream_is_read_whole(kit: Any) -> None:
    found = _read(kit, kit.reply(WHOLE), stream=True)
    assert (found.text, "ttft_s" in found.meta) == ("Grüße, 北京!", False)


def test_a_page_is_no_stream(kit: Any) -> None:
    found = _read(kit, kit.reply("<html><h1>Welcome</h1></html>"), stream=True)
    assert "is not JSON: Welcome; check the address" in found.error


@pytest.mark.parametrize("event", ["hello", "[1]", "7", '{"choices": '])
def test_an_event_that_is_no_object_is_an_error(kit: Any, event: str) -> None:
    found = _read(kit, kit.stream_of(*CHUNKS[:4], event, *CHUNKS[4:]), stream=True)
    assert (found.status, found.n_retries) == ("error", 0)
    assert "is not JSON" in found.error or "must be a JSON object" in found.error


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"choices": 7},
        {"choices": [7, None]},
        {"choices": [{}]},
        {"choices": [{"delta": 7}]},
        {"choices": [{"delta": {"tool_calls": [7]}}]},
        {"choices": [{"delta": {"role": 7, "content": None}, "logprobs": 7}]},
        {"choices": None, "usage": 7},
    ],
)
def test_odd_events_break_nothing(kit: Any, event: Any) -> None:
    found = _read(kit, kit.stream_of(*CHUNKS[:7], event, *CHUNKS[7:]), stream=True)
    assert (found.status, found.text, found.output_tokens) == ("ok", "Grüße, 北京!", 6)


def test_a_stream_without_choices_is_an_error(kit: Any) -> None:
    found = _read(kit, kit.stream_of(CHUNKS[0]), stream=True)
    assert "the reply has no choices" in found.error


def test_responses_end_with_the_whole_reply() -> None:
    final = {"id": "r", "status": "completed", "output": [{"type": "message"}], "usage": {"input_tokens": 1}}
    events = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.completed", "response": final},
    ]
    assert _whole("responses", events) == final
    clock = iter([1.0, 3.5])
    reader = reader_of("responses", clock=lambda: next(clock))()
    assert [reader.feed(f"data: {json.dumps(event)}\n\n".encode()) for event in events] == [False, False, True]
    assert reader.ttft_s == 2.5


def test_the_responses_endpoint_streams(kit: Any) -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Hello END you"}]}]
    final = {"id": "r", "status": "completed", "output": output, "usage": {"input_tokens": 1, "output_tokens": 3}}
    events = [{"type": "response.output_text.delta", "delta": "Hel"}, {"type": "response.completed", "response": final}]
    transport = kit.FakeTransport([kit.stream_of(*events[:1], done=False), kit.stream_of(*events, done=False)])
    model = kit.api_model({**ENTRY, "api": "responses", "stream": True}, transport, timing=kit.FakeTime().timing)
    found = kit.answer(model, kit.request(sampling=kit.Sampling(stop=("END",))))
    assert (found.status, found.text, found.output_tokens, found.n_retries) == ("ok", "Hello ", 3, 1)
    assert (found.meta["ttft_s"], transport.body()["stream"], "stream_options" in transport.body()) == (
        0.0,
        True,
        False,
    )


def test_responses_that_fail() -> None:
    reader = reader_of("responses", clock=lambda: 0.0)()
    failed = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oh."}}}
    assert reader.feed(f"data: {json.dumps(failed)}\n\n".encode())
    status, body = reader.end(framed=True)
    assert (status, json.loads(body)["error"]["message"]) == (500, "within the stream: Oh.")


def test_streaming_is_no_part_of_the_identity(kit: Any) -> None:
    assert kit.api_model({**ENTRY, "stream": True}).identity() == kit.api_model(ENTRY).identity()
