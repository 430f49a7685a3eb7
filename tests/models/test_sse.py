"""Events out of bytes that are cut anywhere; the cases of the standard are those of WHATWG HTML, 9.2.6."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.models.sse import Event, JsonLinesDecoder, SniffingDecoder, SseDecoder


def _events(decoder: Any, *parts: bytes) -> list[Event]:
    found = [event for part in parts for event in decoder.feed(part)]
    rest = decoder.rest()
    return [*found, rest] if rest is not None else found


def _data(stream: bytes, decoder: Any = None) -> list[str]:
    decoder = decoder or SseDecoder()
    return [event.data for event in decoder.feed(stream)]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            ["first event", "second event", " third event"],
        ),
        # The last block has no blank line after it.
        (b"data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        (b"data:test\n\ndata: test\n\n", ["test", "test"]),
        (b"\xef\xbb\xbfdata: after a mark\n\n", ["after a mark"]),
        (b"data: \xef\xbb\xbfwithin\n\n", ["\ufeffwithin"]),
        (b"retry: 10\nevent: x\n\n", []),
        (b"nonsense: 1\ndatas: 2\ndata: 3\n\n", ["3"]),
        (b"data: a:b: c\n\n", ["a:b: c"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"", []),
        # Line ends of Unicode that are none here.
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), ["a\u2028b\x85c\x0bd"]),
    ],
)
def test_what_the_standard_says(stream: bytes, data: list[str]) -> None:
    assert _data(stream) == data


def test_names_of_events_hold_for_one_event() -> None:
    stream = b"event: add\ndata: 1\n\nevent: remove\nevent: none\n\ndata: 2\n\n"
    assert SseDecoder().feed(stream) == [Event("1", "add"), Event("2", "")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_every_cut_gives_the_same_events(end: str) -> None:
    stream = "\ufeff: hi\nevent: a\ndata: naïve 北京 👍🏽\ndata: two\n\ndata: {}\n\n\n".replace("\n", end).encode()
    expected = [Event("naïve 北京 👍🏽\ntwo", "a"), Event("{}")]
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            parts = (stream[:first], stream[first:second], b"", stream[second:])
            assert _events(SseDecoder(), *parts) == expected
    assert _events(SseDecoder(), *(stream[i : i + 1] for i in range(len(stream)))) == expected


@given(
    st.lists(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",))), min_size=1)),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.data(),
)
def test_what_is_written_is_read(events: list[list[str]], end: str, draw: Any) -> None:
    stream = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in events).encode()
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [event.data for event in _events(SseDecoder(), *parts)] == ["\n".join(lines) for lines in events]


def test_the_rest_is_what_no_blank_line_has_ended() -> None:
    for stream, rest in [
        (b"data: 1\n\ndata: [DONE]", "[DONE]"),
        (b"data: 1\n\ndata: [DONE]\n", "[DONE]"),
        (b'data: {"a": "\xe2\x82', '{"a": "\ufffd'),
        (b"data: 1\n\n", None),
        (b"data: 1\n\n: ping", None),
    ]:
        decoder = SseDecoder()
        decoder.feed(stream)
        found = decoder.rest()
        assert (found and found.data) == rest


def test_json_lines() -> None:
    stream = b'{"a": 1}\r\n\n  \n{"b": "\xc3\xa9"}\n"c"'
    for cut in range(len(stream)):
        found = _events(JsonLinesDecoder(), stream[:cut], stream[cut:])
        assert [event.data for event in found] == ['{"a": 1}', '{"b": "é"}', '"c"']


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: 1\n\ndata: 22\n\n", ["1", "22"]),
        (b"\n\n: keep\n\ndata: x\n\n", ["x"]),
        (b"\xef\xbb\xbfevent: y\ndata: x\n\n", ["x"]),
        (b'\n{"data": 1}\n{"x": 2}\n', ['{"data": 1}', '{"x": 2}']),
        (b"1", ["1"]),
        (b"", []),
        (b"data: 1", ["1"]),
    ],
)
def test_the_beginning_tells_events_from_lines(stream: bytes, data: list[str]) -> None:
    for cut in range(len(stream) + 1):
        assert [event.data for event in _events(SniffingDecoder(), stream[:cut], stream[cut:])] == data
