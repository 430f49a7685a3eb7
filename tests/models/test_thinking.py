"""Reasoning that a server leaves in the text is no part of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.models.thinking import parted

ENTRY = {"backend": "openai", "model": "tiny", "base_url": "http://host.example/v1"}


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>\nhm\n</think>\n\n42", "hm", "42"),
        ("\n<think>hm</think>42\n", "hm", "42\n"),
        ("<think></think>42", "", "42"),
        ("hm, so\n</think>\n42", "hm, so", "42"),  # <think> stood in the prompt's template
        ("<think>hm, and no end", "hm, and no end", ""),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("42", None, "42"),
        ("Use <think>…</think> for that.", None, "Use <think>…</think> for that."),
        ("an answer with <think> in it", None, "an answer with <think> in it"),
    ],
)
def test_the_two_are_parted(text: str, reasoning: str | None, answer: str) -> None:
    assert parted(text) == (reasoning, answer)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_the_answer_alone_is_the_text(kit: Any, api: str) -> None:
    text = "<think>it is 41</think>\n42"
    reply = kit.reply({"choices": [{"text": text, "message": {"content": text}, "finish_reason": "stop"}]})
    found = kit.answer(kit.api_model({**ENTRY, "api": api}, kit.FakeTransport([reply])))
    assert (found.text, found.meta["reasoning_content"]) == ("42", "it is 41")
    found = kit.answer(kit.api_model({**ENTRY, "api": api, "split_thinking": False}, kit.FakeTransport([reply])))
    assert (found.text, dict(found.meta)) == (text, {})


def test_a_text_cut_off_while_thinking_is_an_empty_truncated_answer(kit: Any) -> None:
    reply = kit.chat_reply("<think>it may be 42", finish_reason="length")
    found = kit.answer(kit.api_model(ENTRY, kit.FakeTransport([reply])))
    assert (found.text, found.status) == ("", "truncated")
    assert found.meta == {"reasoning_content": "it may be 42"}


def test_reasoning_that_the_server_gave_apart_is_kept_too(kit: Any) -> None:
    reply = kit.chat_reply("<think>b</think>c", message={"reasoning_content": "a"})
    found = kit.answer(kit.api_model(ENTRY, kit.FakeTransport([reply])))
    assert (found.text, found.meta["reasoning_content"]) == ("c", "a\nb")
