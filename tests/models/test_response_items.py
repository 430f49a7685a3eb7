"""OpenAI's Responses API: what is sent, and what is read of its items."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.core.types import Sampling

ENTRY = {"backend": "openai", "model": "tiny", "base_url": "http://host.example/v1", "api": "responses"}
TURNS = [("system", "Be brief."), ("user", "Hi?"), ("assistant", "Hi."), ("user", "Well?")]


def message(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts), **more}


def said(text: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def refused(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def whole(*items: Any, **more: Any) -> dict[str, Any]:
    return {"id": "r-1", "object": "response", "status": "completed", "error": None, "output": list(items), **more}


def _sent(kit: Any, request: Any, **entry: Any) -> tuple[Any, Any]:
    transport = kit.FakeTransport([kit.reply(whole(message(said("ok"))))])
    found = kit.answer(kit.api_model({**ENTRY, **entry}, transport), request)
    assert found.status == "ok", found.error
    return transport.body(), transport.sent[0]


def _read(kit: Any, reply: Any, request: Any = None, **entry: Any) -> Any:
    return kit.answer(kit.api_model({**ENTRY, **entry}, kit.FakeTransport([kit.reply(reply)])), request)


def test_text_is_one_turn_and_nothing_is_stored_at_the_server(kit: Any) -> None:
    body, sent = _sent(kit, kit.request(prompt="Hi?", sampling=Sampling(seed=3)))
    assert (sent.method, sent.url) == ("POST", "http://host.example/v1/responses")
    assert body == {
        "model": "tiny",
        "input": [{"role": "user", "content": "Hi?"}],
        "max_output_tokens": 256,
        "temperature": 0.0,
        "store": False,
    }


def test_a_system_turn_at_the_beginning_is_the_instructions(kit: Any) -> None:
    body, _ = _sent(kit, kit.request(prompt=TURNS))
    assert body["instructions"] == "Be brief."
    assert body["input"] == [{"role": role, "content": content} for role, content in TURNS[1:]]


@pytest.mark.parametrize(
    "turns",
    [
        [("system", "a"), ("system", "b"), ("user", "c")],
        [("user", "a"), ("system", "b"), ("user", "c")],
        [("system", "a")],
    ],
)
def test_other_system_turns_keep_their_place(kit: Any, turns: Any) -> None:
    body, _ = _sent(kit, kit.request(prompt=turns))
    assert "instructions" not in body
    assert body["input"] == [{"role": role, "content": content} for role, content in turns]


def test_turns_of_tools_are_an_error_of_the_request(kit: Any) -> None:
    found = _read(kit, None, kit.request(prompt=[("user", "a"), ("tool", "b")]))
    assert found.status == "error"
    assert "api: chat" in found.error


def test_settings_and_extra_body(kit: Any) -> None:
    sampling = Sampling(max_tokens=9, temperature=0.7, top_p=0.9, top_k=40, stop=("\n",), seed=3)
    extra = {"reasoning": {"effort": "low"}, "temperature": None, "store": True}
    body, _ = _sent(kit, kit.request(sampling=sampling), extra_body=extra)
    assert {k: v for k, v in body.items() if k not in ("model", "input")} == {
        "max_output_tokens": 9,
        "top_p": 0.9,
        "top_k": 40,
        "store": True,
        "reasoning": {"effort": "low"},
    }


def test_stop_strings_cut_the_answer_here(kit: Any) -> None:
    asked = kit.request(sampling=Sampling(stop=("END", "\n")))
    found = _read(kit, whole(message(said("one\ntwo END"))), asked)
    assert (found.text, found.status, found.finish_reason) == ("one", "ok", "stop")
    cut = whole(message(said("one\ntwo")), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert _read(kit, cut, asked).status == "ok"
    assert _read(kit, cut).status == "truncated"


def test_a_whole_reply(kit: Any) -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    reply = whole(
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "short"}]},
        {"type": "web_search_call", "status": "completed"},
        message(said("Yes"), said(".")),
        call,
        model="tiny-1",
        usage={
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 8},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    )
    found = _read(kit, reply)
    assert (found.status, found.text, found.finish_reason) == ("ok", "Yes.", "completed")
    assert (found.input_tokens, found.output_tokens) == (11, 7)
    assert found.meta == {
        "id": "r-1",
        "model": "tiny-1",
        "cached_tokens": 8,
        "reasoning_tokens": 5,
        "reasoning_content": "short",
        "tool_calls": [call],
        "output_items": ["web_search_call"],
    }


def test_reasoning_itself_comes_before_its_summary(kit: Any) -> None:
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
    }
    found = _read(kit, whole(item, message(said("42"))))
    assert (found.text, found.meta["reasoning_content"]) == ("42", "long")


@pytest.mark.parametrize(
    ("reply", "status", "text", "reason"),
    [
        (whole(message(refused("I won't."))), "refusal", "I won't.", "completed"),
        (whole(message(said("Well. "), refused("No."))), "refusal", "Well. ", "completed"),
        (
            whole(message(said("On")), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "truncated",
            "On",
            "max_output_tokens",
        ),
        (
            whole(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "refusal",
            "",
            "content_filter",
        ),
        (whole(status="incomplete", incomplete_details=None), "truncated", "", "incomplete"),
        ({"output": [message(said("x"))]}, "ok", "x", None),
        (whole(), "ok", "", "completed"),
    ],
)
def test_states_of_an_answer(kit: Any, reply: Any, status: str, text: str, reason: Any) -> None:
    found = _read(kit, reply)
    assert (found.status, found.text, found.finish_reason) == (status, text, reason)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ([1], "must be a JSON object; got list [1]"),
        ({}, "the reply has no output; it has: nothing"),
        ({"choices": []}, "perhaps the server wants `api: chat`"),
        ({"error": {"message": "upstream died"}}, "upstream died"),
        ({"output": ["x"]}, "has no output"),
        (whole(status="failed", error={"code": "server_error", "message": "out of memory"}), "out of memory"),
        (whole(status="queued"), "leave `background` out"),
        (whole(status="cancelled"), "cancelled at the server"),
        (whole(message(said(7))), "must have a text"),
    ],
)
def test_odd_json_is_an_error_that_says_what_came(kit: Any, reply: Any, told: str) -> None:
    found = _read(kit, reply)
    assert (found.status, found.text) == ("error", None)
    assert told in found.error
