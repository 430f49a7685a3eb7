from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalharness.core.types import Message
from evalharness.record.codec import prompt_from_json, prompt_to_json, response_from_json
from evalharness.record.text import dumps, escape, loads, to_plain, unescape

any_text = st.text(st.characters(exclude_categories=()))
keys = any_text | st.sampled_from(["$float", "$$float", "$floats", "float"])
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.sampled_from(["nan", "inf", '"$float"']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)  # machines are busy at times
@given(any_text)
@example("\ud83d\ude00")  # two halves of a pair, which JSON's own escapes would join
@example("\x1a")
@example("\x1ad83d")
@example("\\u001a \\u0000")
def test_any_text_survives_as_plain_utf8(text: str) -> None:
    escaped = escape(text)
    assert "\x00" not in escaped
    assert unescape(escaped.encode().decode()) == text


@settings(deadline=None)  # machines are busy at times
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\x1a")))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert escape(text) == text


@settings(deadline=None)  # machines are busy at times
@given(any_json)
@example({"$float": "nan"})
@example({"$$float": float("nan"), "a": -0.0})
@example([1e308, 5e-324, float("-inf"), "nan", 10**40])
def test_any_json_survives_strict_json(value: Any) -> None:
    text = dumps(value)
    text.encode()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert repr(loads(text)) == repr(value)


def test_the_fast_way_and_the_slow_way_write_the_same() -> None:
    value = {"b": [1, 2.5, "ü", (True, None)], "a": {"x": "\n"}}
    assert dumps(value) == json.dumps(to_plain(value), ensure_ascii=False, separators=(",", ":"))


def test_other_types() -> None:
    assert loads(dumps({"a": np.float64(1.5), "b": np.int64(2), "c": (1,), "d": Path("x/y")})) == {
        "a": 1.5,
        "b": 2,
        "c": [1],
        "d": "x/y",
    }
    for value in ({1, 2}, b"x", object(), np.zeros(2)):
        with pytest.raises(TypeError, match="has no JSON form"):
            dumps({"a": value})


@pytest.mark.parametrize("prompt", ["", "text\ud800", (), (Message("user", "\ud800 nan"), Message("assistant", ""))])
def test_prompts_survive(prompt: Any) -> None:
    assert prompt_from_json(prompt_to_json(prompt)) == prompt


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"key": 1}', '{"key": "k", "status": "great"}', '{"key": "k", "more": 1}'),
        *('{"key": "k", "loglikelihoods": [[1]]}', '{"key": "k", "loglikelihoods": 3}', '{"key": "k", "status": []}'),
    ],
)
def test_what_is_no_response_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a stored response"):
        response_from_json(text)
