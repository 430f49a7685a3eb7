"""The body that is sent, the reply that is read and the identity, over a fake transport."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Sampling
from evalharness.suite.kinds import capabilities_of

ENTRY = {"backend": "openai", "model": "tiny", "base_url": "http://host.example/v1"}
CHAT = [("system", "Be brief."), ("user", "Hi?"), ("assistant", "Hi."), ("user", "Well?")]


def _sent(kit: Any, request: Any, **entry: Any) -> tuple[Any, Any]:
    transport = kit.FakeTransport([kit.chat_reply()])
    kit.answer(
        kit.api_model({**ENTRY, **entry}, transport, environ={"KEY": " sk-abcdefgh ", "V": "v-12345678"}), request
    )
    return transport.body(), transport.sent[0]


def _read(kit: Any, reply: Any, **entry: Any) -> Any:
    return kit.answer(kit.api_model({**ENTRY, **entry}, kit.FakeTransport([reply])))


def test_text_is_one_turn_of_the_users_on_the_chat_endpoint(kit: Any) -> None:
    body, sent = _sent(kit, kit.request(prompt="Hi?"))
    assert (sent.method, sent.url) == ("POST", "http://host.example/v1/chat/completions")
    assert body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi?"}],
        "max_tokens": 256,
        "temperature": 0.0,
    }


def test_turns_are_sent_as_they_are(kit: Any) -> None:
    body, _ = _sent(kit, kit.request(prompt=CHAT))
    assert body["messages"] == [{"role": role, "content": content} for role, content in CHAT]


def test_completions_take_text(kit: Any) -> None:
    transport = kit.FakeTransport([kit.reply({"choices": [{"text": " world", "finish_reason": "stop"}]})])
    found = kit.answer(kit.api_model({**ENTRY, "api": "completions"}, transport), kit.request(prompt="Hello"))
    assert transport.sent[0].url == "http://host.example/v1/completions"
    assert transport.body()["prompt"] == "Hello"
    assert "messages" not in transport.body()
    assert (found.text, found.status) == (" world", "ok")


def test_turns_on_the_completions_endpoint_are_an_error_of_the_request(kit: Any) -> None:
    transport = kit.FakeTransport([])
    found = kit.answer(kit.api_model({**ENTRY, "api": "completions"}, transport), kit.request(prompt=CHAT))
    assert found.status == "error"
    assert "api: chat" in found.error
    assert transport.sent == []


def test_all_sampling_settings_that_are_set_are_sent_and_no_others(kit: Any) -> None:
    sampling = Sampling(max_tokens=9, temperature=0.7, top_p=0.9, top_k=40, stop=("\n", "END"), seed=3)
    body, _ = _sent(kit, kit.request(sampling=sampling))
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == {
        "max_tokens": 9,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "stop": ["\n", "END"],
        "seed": 3,
    }


def test_extra_body_wins_and_null_takes_a_field_out(kit: Any) -> None:
    extra = {"max_tokens": None, "max_completion_tokens": 512, "temperature": 1, "user": "${env:V}", "n": None}
    body, _ = _sent(kit, kit.request(), extra_body=extra)
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["temperature"], body["user"]) == (512, 1, "v-12345678")


def test_key_and_headers(kit: Any) -> None:
    _, sent = _sent(kit, kit.request(), api_key="${env:KEY}", headers={"X-V": "${env:V}", "content-type": "text/json"})
    assert sent.headers == {"Authorization": "Bearer sk-abcdefgh", "X-V": "v-12345678", "content-type": "text/json"}
    _, sent = _sent(kit, kit.request(), api_key="${env:KEY}", headers={"authorization": "Token ${env:V}"})
    assert sent.headers == {"Content-Type": "application/json", "authorization": "Token v-12345678"}
    assert "v-12345678" not in repr(sent)


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("http://h/v1/", "http://h/v1/chat/completions"),
        ("https://h", "https://h/chat/completions"),
        (
            "https://h/openai/deployments/d?api-version=2",
            "https://h/openai/deployments/d/chat/completions?api-version=2",
        ),
    ],
)
def test_the_address_of_the_endpoint(kit: Any, base_url: str, asked: str) -> None:
    assert _sent(kit, kit.request(), base_url=base_url)[1].url == asked


def test_a_whole_reply(kit: Any) -> None:
    reply = kit.chat_reply("Yes.")
    content = json.loads(reply.body) | {
        "id": "c-1",
        "model": "tiny-0613",
        "system_fingerprint": "fp_1",
        "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
    }
    found = _read(kit, kit.reply(content))
    assert (found.status, found.text, found.answer, found.finish_reason) == ("ok", "Yes.", None, "stop")
    assert (found.input_tokens, found.output_tokens, found.n_retries) == (11, 2, 0)
    assert found.meta == {"id": "c-1", "model": "tiny-0613", "system_fingerprint": "fp_1"}
    assert found.latency_s >= 0


def test_cached_and_reasoning_tokens_are_kept(kit: Any) -> None:
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    found = _read(kit, kit.reply(json.loads(kit.chat_reply().body) | {"usage": usage}))
    assert found.meta == {"reasoning_tokens": 7, "cached_tokens": 8}


@pytest.mark.parametrize(
    ("choice", "status", "text", "meta"),
    [
        ({"finish_reason": "length"}, "truncated", "hello", {}),
        ({"finish_reason": "content_filter"}, "refusal", "hello", {}),
        ({"message": {"content": None, "refusal": "I won't."}}, "refusal", "I won't.", {"refusal": "I won't."}),
        ({"message": {"content": None}, "finish_reason": "length"}, "truncated", "", {}),
        ({"message": {"content": ""}}, "ok", "", {}),
        ({"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}, "ok", "ab", {}),
        ({"message": {"reasoning_content": "hm"}}, "ok", "hello", {"reasoning_content": "hm"}),
        ({"message": {"reasoning": "hm"}}, "ok", "hello", {"reasoning_content": "hm"}),
        (
            {"message": {"content": None, "tool_calls": [{"id": "t"}]}, "finish_reason": "tool_calls"},
            "ok",
            "",
            {"tool_calls": [{"id": "t"}]},
        ),
        ({"finish_reason": None}, "ok", "hello", {}),
        ({"finish_reason": 7}, "ok", "hello", {}),
    ],
)
def test_states_of_an_answer(kit: Any, choice: Any, status: str, text: str, meta: Any) -> None:
    found = _read(kit, kit.chat_reply(**choice))
    assert (found.status, found.text, dict(found.meta)) == (status, text, meta)


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": "3"}, {"prompt_tokens": True}, {"prompt_tokens": -1}]
)
def test_odd_usage_is_unknown_not_zero(kit: Any, usage: Any) -> None:
    content = json.loads(kit.chat_reply().body) | {"usage": usage}
    found = _read(kit, kit.reply(content))
    assert (found.status, found.input_tokens, found.output_tokens) == ("ok", None, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "no choices; it has: nothing"),
        ({"choices": []}, "no choices; it has: choices"),
        ({"choices": None, "object": "x"}, "it has: choices, object"),
        ({"choices": ["x"]}, "no choices"),
        ({"error": {"message": "upstream died"}}, "upstream died"),
        ({"choices": [{"text": "x"}]}, "no message, but: text; perhaps the server wants `api: completions`"),
        ({"choices": [{"message": {"content": 7}}]}, "must be text; got int 7"),
        ({"choices": [{"message": {"content": [{"text": 7}]}}]}, "must be text; got list"),
        ([1], "must be a JSON object; got list [1]"),
        (None, "must be a JSON object; got NoneType"),
    ],
)
def test_odd_json_is_an_error_that_says_what_came(kit: Any, content: Any, said: str) -> None:
    found = _read(kit, kit.reply(content))
    assert (found.status, found.text) == ("error", None)
    assert said in found.error


def test_a_chat_reply_on_the_completions_endpoint_is_named(kit: Any) -> None:
    found = _read(kit, kit.chat_reply(), api="completions")
    assert "no text, but: index, message, finish_reason; perhaps the server wants `api: chat`" in found.error


@pytest.mark.parametrize("body", [b"", b"{", b'{"choices": [', b"[" * 100_000, b"\xff", b"<html>hi</html>", b"NaNa"])
def test_what_is_no_json_is_an_error(kit: Any, body: bytes) -> None:
    found = _read(kit, kit.reply(body))
    assert found.status == "error"
    assert "is not JSON" in found.error
    assert len(found.error) < 600


def test_identity_shows_placeholders_and_the_digest_of_the_address(kit: Any) -> None:
    entry = {"base_url": "http://${env:H}/v1", "api_key": "${env:K}", "headers": {"X-Team": "a", "X-T": "${env:K}"}}
    model = kit.api_model({**ENTRY, **entry}, environ={"H": "secret-host", "K": "k"})
    assert model.identity() == {
        "backend": "openai",
        "backend_version": "2",
        "model": "tiny",
        "base_url": "http://${env:H}/v1",
        "base_url_sha256": hashlib.sha256(b"http://secret-host/v1").hexdigest(),
        "api": "chat",
        "headers": {"X-Team": "a", "X-T": "${env:K}"},
        "extra_body": {},
    }
    other = kit.api_model({**ENTRY, **entry}, environ={"H": "other-host", "K": "k"})
    assert other.identity() != model.identity()


def test_patience_and_concurrency_are_no_part_of_the_identity(kit: Any) -> None:
    patient = {**ENTRY, "timeout_s": 1, "max_retries": 0, "concurrency": 1}
    assert kit.api_model(patient).identity() == kit.api_model(ENTRY).identity()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"api_key": "sk-written-out"}, "models.m.api_key: a key must not be written into a suite"),
        ({"headers": {"Authorization": "Bearer sk-written-out"}}, "models.m.headers.Authorization: a secret"),
        ({"base_url": "host.example/v1"}, "models.m.base_url: 'host.example/v1' is not an address"),
        ({"base_url": "http://h/v1/chat/completions"}, "up to and with /v1, without /chat/completions"),
        ({"extra_body": {"stream": True}}, "models.m.extra_body.stream: this field cannot be set here: set `stream"),
        ({"extra_body": {"n": 4}}, "set `repeats` of the task"),
        ({"extra_body": {"messages": []}}, "made of the task's prompt"),
    ],
)
def test_wrong_settings_are_refused_when_the_model_is_made(kit: Any, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        kit.api_model({**ENTRY, **entry})
    assert said in str(caught.value)
    assert "written-out" not in str(caught.value)


def test_the_openai_backend_can_what_its_endpoint_can(kit: Any) -> None:
    for api in ("chat", "completions", "responses"):
        spec = kit.spec_of(**ENTRY, api=api)
        assert kit.api_model({**ENTRY, "api": api}).capabilities == capabilities_of(spec)


@pytest.mark.parametrize("more", [{"first_token": "<s>"}, {"likelihood": "echo"}])
def test_settings_of_likelihoods_are_refused_elsewhere(kit: Any, more: Any) -> None:
    with pytest.raises(ValueError, match="has no effect without api: completions"):
        kit.spec_of(**ENTRY, **more)


def test_a_schema_holds_the_answer(kit: Any) -> None:
    schema = {"type": "object", "properties": {"why": {}, "a": {}}}
    sampling = Sampling(json_schema=json.dumps(schema))
    body, _ = _sent(kit, kit.request(sampling=sampling))
    form = {"name": "answer", "schema": schema, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": form}
    transport = kit.FakeTransport([kit.reply({"output": []})])
    kit.answer(kit.api_model({**ENTRY, "api": "responses"}, transport), kit.request(sampling=sampling))
    assert transport.body()["text"] == {"format": {"type": "json_schema", **form}}


@pytest.mark.parametrize(("api", "said"), [("completions", "sure"), ("chat", "sure"), ("responses", "sure")])
def test_cached_tokens_are_kept(kit: Any, api: str, said: str) -> None:
    group = "input_tokens_details" if api == "responses" else "prompt_tokens_details"
    content = {
        "choices": [{"text": said, "message": {"content": said}}],
        "output": [{"type": "message", "content": [{"type": "output_text", "text": said}]}],
        "usage": {group: {"cached_tokens": 5, "audio_tokens": 0}},
    }
    found = _read(kit, kit.reply(content), api=api)
    assert (found.text, found.meta) == (said, {"cached_tokens": 5})
