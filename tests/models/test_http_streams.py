"""Streams of any endpoint: where a piece stands, and what says that there are no more."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.core.errors import UsageError

ENTRY = {"backend": "http", "url": "http://host.example/ask", "stream": True}


def _read(kit: Any, *replies: Any, **entry: Any) -> Any:
    transport = kit.FakeTransport(replies)
    return kit.answer(kit.api_model({**ENTRY, **entry}, transport, timing=kit.FakeTime().timing))


def _body(kit: Any, text: str, kind: str = "application/x-ndjson", *, framed: bool = True) -> Any:
    headers = {"content-type": kind, **({"content-length": "1"} if framed else {})}
    return type(kit.reply({}))(200, text.encode(), {k: v for k, v in headers.items() if v})


def test_server_sent_events(kit: Any) -> None:
    events = [{"role": "bot"}, {"text": "Grü"}, {"text": None}, {"text": "ße"}, {"sources": [1]}]
    for done in (True, False):
        found = _read(kit, kit.stream_of(*events, done=done))
        assert (found.status, found.text) == ("ok", "Grüße")
        assert found.meta == {"ttft_s": 0.0}


def test_a_path_into_each_event(kit: Any) -> None:
    events = [{"choices": [{"delta": {"content": text}}]} for text in ("a", "b")] + [{"choices": []}]
    assert _read(kit, kit.stream_of(*events), response="choices.0.delta.content").text == "ab"


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "application/jsonl", "text/plain", ""])
def test_json_lines(kit: Any, kind: str) -> None:
    found = _read(kit, _body(kit, '{"text": "北"}\n\n{"n": 1}\n{"text": "京"}', kind))
    assert (found.status, found.text) == ("ok", "北京")


def test_events_under_a_wrong_content_type(kit: Any) -> None:
    found = _read(kit, _body(kit, 'data: {"text": "a"}\n\ndata: {"text": "b"}\n\ndata: [DONE]\n\n', "text/plain"))
    assert found.text == "ab"


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
def test_plain_text_as_it_comes(kit: Any, cut: int) -> None:
    text = "Grüße, 北京 [DONE]\n\nline two\n"
    transport = kit.FakeTransport([_body(kit, text, "text/plain; charset=utf-8")])
    transport.cut = cut
    found = kit.answer(kit.api_model({**ENTRY, "response": "."}, transport))
    assert (found.status, found.text) == ("ok", text)
    assert _read(kit, _body(kit, "", "text/plain"), response=".").text == ""


def test_events_of_plain_text(kit: Any) -> None:
    assert _read(kit, kit.stream_of("Hel", "lo\ndata: you"), response=".").text == "Hello\nyou"


def test_lines_that_are_texts(kit: Any) -> None:
    assert _read(kit, _body(kit, '"Hel"\n"lo"\n'), response=".").text == "Hello"


def test_the_end_may_be_said_in_the_last_event(kit: Any) -> None:
    lines = '{"response": "a", "done": false}\n{"response": "b", "done": true}\n{"response": "c"}\n'
    entry = {"response": "response", "stream_end": "done"}
    for framed in (True, False):
        assert _read(kit, _body(kit, lines, framed=framed), **entry).text == "ab"
    cut = _body(kit, lines.partition("\n")[0] + "\n")
    found = _read(kit, cut, _body(kit, lines), **entry)
    assert (found.text, found.n_retries) == ("ab", 1)
    found = _read(kit, cut, max_retries=0, **entry)
    assert (found.status, found.text) == ("error", None)
    assert "broke off after 1 events" in found.error


def test_a_stream_whose_end_cannot_be_told_from_a_cut_is_an_error_with_a_remedy(kit: Any) -> None:
    for entry in ({}, {"response": "."}):
        found = _read(kit, _body(kit, '{"text": "a"}\n', "text/plain", framed=False), **entry)
        assert (found.status, found.text, found.n_retries) == ("error", None, 0)
        assert "set `stream_end` to where the last event says" in found.error
    found = _read(kit, _body(kit, 'data: {"text": "a"}\n\ndata: [DONE]', "text/event-stream", framed=False))
    assert (found.status, found.text) == ("ok", "a")


def test_a_line_that_is_cut_is_asked_again(kit: Any) -> None:
    found = _read(kit, _body(kit, '{"text": "a"}\n{"text": "b'), _body(kit, '{"text": "ab"}'))
    assert (found.text, found.n_retries) == ("ab", 1)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ('{"answer": "a"}\n', "no event of the stream has a text at 'text'; the last one is dict {'answer': 'a'}"),
        ("", "it has no events"),
        ('{"text": 7}\n', "the piece at 'text' of an event must be text; got int 7"),
        ('{"text": "a"}\n{oh\n{"text": "b"}\n', "is not JSON: {oh"),
        ('{"text": "a"}\n{"error": {"message": "Oh.", "code": 400}}\n', "within the stream: Oh."),
    ],
)
def test_what_is_no_stream_of_texts_is_an_error(kit: Any, reply: str, said: str) -> None:
    found = _read(kit, _body(kit, reply))
    assert (found.status, found.text, found.n_retries) == ("error", None, 0)
    assert said in found.error


def test_a_page_is_no_stream(kit: Any) -> None:
    found = _read(kit, kit.reply("<html><h1>Welcome</h1></html>"))
    assert "is not JSON: Welcome; check the address" in found.error


def test_how_the_answer_is_read_is_part_of_the_identity(kit: Any) -> None:
    plain = kit.api_model({**ENTRY, "stream": False})
    streamed, ended = kit.api_model(ENTRY), kit.api_model({**ENTRY, "stream_end": "done"})
    assert "stream" not in plain.identity()
    assert (streamed.identity()["stream"], ended.identity()["stream_end"]) == (True, "done")
    assert len({str(model.identity()) for model in (plain, streamed, ended)}) == 3


def test_wrong_settings(kit: Any) -> None:
    with pytest.raises(UsageError, match=r"models\.m\.stream_end: .* is no path"):
        kit.api_model({**ENTRY, "stream_end": "a[b"})
    with pytest.raises(ValueError, match="stream_end has no effect without stream: true"):
        kit.spec_of(backend="http", url="http://h", stream_end="done")
