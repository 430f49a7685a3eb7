"""The messages API over a fake transport: what is sent, what is read, whole and streamed, and what goes wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Sampling

ENVIRON = {"ANTHROPIC_API_KEY": " sk-ant-planted ", "V": "v-12345678"}
ENTRY = {"backend": "anthropic", "model": "claude-x", "base_url": "http://host.example"}
CHAT = [("system", "Be brief."), ("user", "Hi?"), ("assistant", "Hi."), ("user", "Well?")]

# The example of a streamed answer with thoughts and a tool in Anthropic's documentation ("Streaming messages"),
# shortened.
EVENTS = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x-20250514",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQBCg"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße, "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "北京!"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city": "S'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": 'F"}'}},
    {"type": "content_block_stop", "index": 2},
    {"type": "a_later_version", "delta": 7},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 89},
    },
    {"type": "message_stop"},
]
WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x-20250514",
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "EqQBCg"},
        {"type": "text", "text": "Grüße, 北京!"},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "SF"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 89},
}


def _model(kit: Any, transport: Any = None, **entry: Any) -> Any:
    return kit.api_model({**ENTRY, **entry}, transport, environ=ENVIRON, timing=kit.FakeTime().timing)


def _sent(kit: Any, request: Any, **entry: Any) -> tuple[Any, Any]:
    transport = kit.FakeTransport([kit.reply({"content": []})])
    found = kit.answer(_model(kit, transport, **entry), request)
    assert found.status == "ok", found.error
    return transport.body(), transport.sent[0]


def _read(kit: Any, *replies: Any, **entry: Any) -> Any:
    return kit.answer(_model(kit, kit.FakeTransport(replies), **entry))


def _message(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn", **more}


def test_text_is_one_turn_of_the_users(kit: Any) -> None:
    body, sent = _sent(kit, kit.request(prompt="Hi?"))
    assert (sent.method, sent.url) == ("POST", "http://host.example/v1/messages")
    assert sent.headers == {
        "Content-Type": "application/json",
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-ant-planted",
    }
    assert body == {
        "model": "claude-x",
        "messages": [{"role": "user", "content": "Hi?"}],
        "max_tokens": 256,
        "temperature": 0.0,
    }


def test_the_system_prompt_is_sent_apart_from_the_turns(kit: Any) -> None:
    body, _ = _sent(kit, kit.request(prompt=[("system", "You are a bot."), *CHAT]))
    assert body["system"] == "You are a bot.\n\nBe brief."
    assert body["messages"] == [{"role": role, "content": content} for role, content in CHAT[1:]]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ([*CHAT, ("system", "Now rhyme.")], "takes no turn of the role 'system' after the first turn"),
        ([("user", "Hi?"), ("tool", "7")], "takes no turn of the role 'tool'"),
        ([("system", "Hi?")], "at least one turn after the system prompt"),
    ],
)
def test_turns_that_the_api_has_no_place_for_are_an_error_of_the_request(kit: Any, prompt: Any, said: str) -> None:
    transport = kit.FakeTransport([])
    found = kit.answer(_model(kit, transport), kit.request(prompt=prompt))
    assert (found.status, transport.sent) == ("error", [])
    assert said in found.error


def test_sampling_settings_have_the_names_of_the_api_and_there_is_no_seed(kit: Any) -> None:
    sampling = Sampling(max_tokens=9, temperature=0.7, top_p=0.9, top_k=40, stop=("\n\n", "END"), seed=3)
    body, _ = _sent(kit, kit.request(sampling=sampling))
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == {
        "max_tokens": 9,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["\n\n", "END"],
    }


def test_extra_body_and_headers_win(kit: Any) -> None:
    extra = {"temperature": None, "thinking": {"type": "enabled", "budget_tokens": 2000}, "metadata": {"u": "${env:V}"}}
    headers = {"Anthropic-Version": "2099-01-01", "anthropic-beta": "x-1", "X-API-Key": "${env:V}"}
    body, sent = _sent(kit, kit.request(), extra_body=extra, headers=headers, base_url="https://h/proxy/?v=1")
    assert "temperature" not in body
    assert (body["thinking"]["budget_tokens"], body["metadata"]) == (2000, {"u": "v-12345678"})
    assert sent.url == "https://h/proxy/v1/messages?v=1"
    assert sent.headers == {
        "Content-Type": "application/json",
        "Anthropic-Version": "2099-01-01",
        "anthropic-beta": "x-1",
        "X-API-Key": "v-12345678",
    }


def test_a_server_without_keys(kit: Any) -> None:
    _, sent = _sent(kit, kit.request(), api_key="")
    assert "x-api-key" not in sent.headers


def test_a_key_that_is_not_set_is_named_before_anything_is_sent(kit: Any) -> None:
    with pytest.raises(UsageError, match="ANTHROPIC_API_KEY is not set"):
        kit.answer(kit.api_model(ENTRY, kit.FakeTransport([]), environ={}))


def test_a_whole_reply(kit: Any) -> None:
    found = _read(kit, kit.reply(WHOLE))
    assert (found.status, found.text, found.answer, found.finish_reason) == ("ok", "Grüße, 北京!", None, "tool_use")
    assert (found.input_tokens, found.output_tokens, found.n_retries) == (125, 89, 0)
    assert found.meta == {
        "id": "msg_1",
        "model": "claude-x-20250514",
        "reasoning_content": "Let me see.",
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "SF"}'}}
        ],
        "cached_tokens": 100,
    }


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 4096])
@pytest.mark.parametrize("names", [True, False])
def test_a_stream_gives_what_the_whole_reply_gives(kit: Any, cut: int, names: bool) -> None:
    transport = kit.FakeTransport([kit.stream_of(*EVENTS, done=False, names=names)])
    transport.cut = cut
    found = kit.answer(_model(kit, transport, stream=True))
    whole = _read(kit, kit.reply(WHOLE))
    assert transport.body()["stream"] is True
    assert {k: v for k, v in found.meta.items() if k != "ttft_s"} == whole.meta
    for field in ("status", "text", "finish_reason", "input_tokens", "output_tokens"):
        assert getattr(found, field) == getattr(whole, field)
    assert found.meta["ttft_s"] >= 0
    assert "ttft_s" not in whole.meta


def test_cache_tokens_are_input_tokens(kit: Any) -> None:
    usage = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 20},
        "output_tokens": 5,
    }
    found = _read(kit, kit.reply(_message(usage=usage)))
    assert (found.input_tokens, found.output_tokens) == (123, 5)
    assert found.meta == {"cached_tokens": 100, "cache_write_tokens": 20}


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"input_tokens": "3"}, {"input_tokens": True}, {"cache_read_input_tokens": 3}]
)
def test_odd_usage_is_unknown_not_zero(kit: Any, usage: Any) -> None:
    found = _read(kit, kit.reply(_message(usage=usage)))
    assert (found.status, found.input_tokens, found.output_tokens) == ("ok", None, None)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("end_turn", "ok"),
        ("stop_sequence", "ok"),
        ("tool_use", "ok"),
        ("max_tokens", "truncated"),
        ("model_context_window_exceeded", "truncated"),
        ("pause_turn", "truncated"),
        ("refusal", "refusal"),
        (None, "ok"),
        (7, "ok"),
    ],
)
def test_states_of_an_answer(kit: Any, reason: Any, status: str) -> None:
    found = _read(kit, kit.reply(_message(stop_reason=reason)))
    assert (found.status, found.text) == (status, "hello")
    assert found.finish_reason == (reason if isinstance(reason, str) else None)


def test_blocks_are_kept_apart(kit: Any) -> None:
    blocks = [
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "name": "web_search"},
        {"type": "thinking", "thinking": None},
        {"type": "text", "text": "b"},
    ]
    found = _read(kit, kit.reply({"content": blocks, "stop_reason": "stop_sequence", "stop_sequence": "END"}))
    assert found.text == "ab"
    assert found.meta == {"stop_sequence": "END", "other_blocks": [{"type": "server_tool_use", "name": "web_search"}]}


def test_a_refusal_without_words_is_an_empty_text(kit: Any) -> None:
    found = _read(kit, kit.reply({"content": [], "stop_reason": "refusal"}))
    assert (found.status, found.text) == ("refusal", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "no list of content blocks; it has: nothing"),
        ({"choices": []}, "it has: choices; does this server speak Anthropic's API?"),
        ({"type": "error", "error": {"message": "upstream died"}}, "upstream died"),
        ({"content": "text"}, "no list of content blocks"),
        ({"content": [7]}, "no list of content blocks"),
        ({"content": [{"type": "text", "text": 7}]}, "must be text"),
        ([1], "must be a JSON object; got list [1]"),
    ],
)
def test_odd_json_is_an_error_that_says_what_came(kit: Any, content: Any, said: str) -> None:
    found = _read(kit, kit.reply(content))
    assert (found.status, found.text) == ("error", None)
    assert said in found.error


def _error(kind: str, message: str, status: int) -> tuple[dict[str, Any], int]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}, status


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (*_error("authentication_error", "invalid x-api-key", 401), "variable ANTHROPIC_API_KEY"),
        (*_error("not_found_error", "model: claude-z", 404), "check the address and the name of the model"),
        (*_error("request_too_large", "too large", 413), "the prompt is too long"),
        (*_error("invalid_request_error", "Your credit balance is too low to access", 400), "add some"),
        (
            *_error(
                "invalid_request_error", "max_tokens: 9 > 8, which is the maximum allowed number of output tokens", 400
            ),
            "lower generate.max_tokens",
        ),
        (*_error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", 400), "too long for the model"),
        (
            *_error("invalid_request_error", "`temperature` and `top_p` cannot both be specified", 400),
            "leave top_p out",
        ),
        (*_error("invalid_request_error", "temperature: range: 0..1", 400), "takes 0 to 1"),
        (*_error("invalid_request_error", "each stop sequence must contain non-whitespace", 400), "with `extract`"),
    ],
)
def test_refusals_come_with_a_remedy_and_are_final(kit: Any, content: Any, status: int, said: str) -> None:
    transport = kit.FakeTransport(lambda _: kit.reply(content, status))
    found = kit.answer(_model(kit, transport))
    assert (found.status, len(transport.sent)) == ("error", 1)
    assert said in found.error
    assert content["error"]["message"] in found.error


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("rate_limit_error", 429, "lower the concurrency, or raise max_retries"),
        ("overloaded_error", 529, "the API is overloaded"),
        ("api_error", 500, "look into its log"),
    ],
)
def test_what_may_pass_is_asked_again(kit: Any, kind: str, status: int, said: str) -> None:
    failure = kit.reply(_error(kind, "busy", status)[0], status)
    found = _read(kit, failure, failure, kit.reply(_message()))
    assert (found.status, found.n_retries) == ("ok", 2)
    found = _read(kit, failure, failure, max_retries=1)
    assert (found.status, found.n_retries) == ("error", 1)
    assert f"HTTP {status} from http://host.example: busy" in found.error
    assert said in found.error


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("overloaded_error", True),
        ("api_error", True),
        ("nobody_knows", True),
        ("invalid_request_error", False),
        ("authentication_error", False),
    ],
)
def test_an_error_within_a_stream_is_that_of_the_request(kit: Any, kind: str, again: bool) -> None:
    failure = kit.stream_of(*EVENTS[:9], {"type": "error", "error": {"type": kind, "message": "Oh."}}, done=False)
    found = _read(kit, failure, kit.stream_of(*EVENTS, done=False), stream=True)
    if again:
        assert (found.status, found.n_retries, found.text) == ("ok", 1, "Grüße, 北京!")
    else:
        assert (found.status, found.n_retries, found.text) == ("error", 0, None)
        assert "within the stream: Oh." in found.error


@pytest.mark.parametrize("n_events", range(len(EVENTS) - 1))
def test_a_stream_that_is_cut_is_asked_again_and_never_a_short_answer(kit: Any, n_events: int) -> None:
    cut = kit.stream_of(*EVENTS[:n_events], done=False)
    found = _read(kit, cut, kit.stream_of(*EVENTS, done=False), stream=True)
    assert (found.status, found.n_retries, found.text) == ("ok", 1, "Grüße, 北京!")
    found = _read(kit, cut, stream=True, max_retries=0)
    assert (found.status, found.text) == ("error", None)
    assert "the stream broke off" in found.error


def test_a_stream_may_end_at_the_reason_of_its_end(kit: Any) -> None:
    found = _read(kit, kit.stream_of(*EVENTS[:-1], done=False), stream=True)
    assert (found.status, found.text, found.output_tokens) == ("ok", "Grüße, 北京!", 89)


def test_a_server_that_does_not_stream_is_read_whole(kit: Any) -> None:
    found = _read(kit, kit.reply(WHOLE), stream=True)
    assert (found.status, found.text) == ("ok", "Grüße, 北京!")
    assert "ttft_s" not in found.meta


def test_arguments_that_max_tokens_has_cut_are_kept_as_they_came(kit: Any) -> None:
    end = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    found = _read(kit, kit.stream_of(*EVENTS[:14], end, {"type": "message_stop"}, done=False), stream=True)
    assert found.status == "truncated"
    assert found.meta["tool_calls"][0]["function"]["arguments"] == '{"city": "S'


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start", "message": 7},
        {"type": "content_block_start", "index": "x", "content_block": {}},
        {"type": "content_block_start", "index": 1, "content_block": None},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": 7}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": 7}},
        {"type": "content_block_delta", "index": 1, "delta": []},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"n": 1}}},
        {"type": "message_delta", "delta": None, "usage": 7},
        {"type": 7},
        {},
    ],
)
def test_odd_events_break_nothing(kit: Any, event: Any) -> None:
    found = _read(kit, kit.stream_of(*EVENTS[:10], event, *EVENTS[10:], done=False), stream=True)
    assert (found.status, found.text, found.output_tokens) == ("ok", "Grüße, 北京!", 89)


@pytest.mark.parametrize("event", ["{", "hello", "[1]", "null", "[" * 50_000])
def test_an_event_that_is_no_object_is_an_error(kit: Any, event: str) -> None:
    found = _read(kit, kit.stream_of(*EVENTS[:10], event, *EVENTS[10:], done=False), stream=True)
    assert (found.status, found.text, found.n_retries) == ("error", None, 0)
    assert "is not JSON" in found.error or "must be a JSON object" in found.error


def test_identity_has_the_version_and_not_the_way_of_asking(kit: Any) -> None:
    model = _model(kit, base_url="http://${env:V}/", headers={"X-T": "${env:V}"})
    assert model.identity() == {
        "backend": "anthropic",
        "backend_version": "1",
        "model": "claude-x",
        "base_url": "http://${env:V}/",
        "base_url_sha256": hashlib.sha256(b"http://v-12345678/").hexdigest(),
        "api_version": "2023-06-01",
        "headers": {"X-T": "${env:V}"},
        "extra_body": {},
    }
    asked = _model(kit, stream=True, timeout_s=1, max_retries=0, concurrency=1)
    assert asked.identity() == _model(kit).identity()
    assert _model(kit, api_version="2099-01-01").identity() != _model(kit).identity()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"api_key": "sk-written-out"}, "models.m.api_key: a key must not be written into a suite"),
        ({"headers": {"x-api-key": "written-out"}}, "models.m.headers.x-api-key: a secret"),
        ({"base_url": "host.example"}, "models.m.base_url: 'host.example' is not an address"),
        ({"base_url": "http://h/v1"}, "give the address without /v1"),
        ({"base_url": "http://h/v1/messages/"}, "give the address without /v1"),
        ({"extra_body": {"stream": True}}, "this field cannot be set here: set `stream: true` of the model"),
        ({"extra_body": {"system": "x"}}, "made of the task's system turns"),
        ({"extra_body": {"messages": []}}, "made of the task's prompt"),
    ],
)
def test_wrong_settings_are_refused_when_the_model_is_made(kit: Any, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        _model(kit, **entry)
    assert said in str(caught.value)
    assert "written-out" not in str(caught.value)


def test_a_seed_of_the_models_own_is_refused(kit: Any) -> None:
    with pytest.raises(ValueError, match=r"generate\.seed has no effect here: the messages API takes no seed"):
        kit.spec_of(**ENTRY, generate={"seed": 3})
    assert kit.spec_of(**ENTRY, generate={"max_tokens": 3}).generate.max_tokens == 3
