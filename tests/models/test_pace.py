from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.models.pace import Pace, estimated_tokens, used_tokens
from evalharness.models.transport import HttpReply, HttpRequest


def _sent_at(kit: Any, sizes: list[int], **limits: float) -> list[float]:
    """When, from the start on, each of the requests of `sizes` tokens goes."""
    time = kit.FakeTime()
    found: list[float] = []

    async def scene() -> None:
        pace = Pace(time.timing, **limits)

        async def one(size: int) -> None:
            await pace.wait(size)
            found.append(time.now_s - 1_000)

        await asyncio.gather(*map(one, sizes))

    asyncio.run(scene())
    return found


def test_requests_are_spread_over_the_minute(kit: Any) -> None:
    assert _sent_at(kit, [0] * 4, requests_per_minute=30) == pytest.approx([0, 2, 4, 6])


def test_a_seconds_worth_may_go_at_once(kit: Any) -> None:
    at = _sent_at(kit, [0] * 30, requests_per_minute=600)
    assert at[:10] == [0] * 10
    assert at[10:] == pytest.approx([0.1 * n for n in range(1, 21)])


def test_tokens_are_counted_and_a_large_request_is_paid_for_by_the_next_ones(kit: Any) -> None:
    # 1,000 tokens a second, which the bucket holds at first.
    assert _sent_at(kit, [400, 600, 5_000, 10], tokens_per_minute=60_000) == pytest.approx([0, 0, 1, 5.01])


def test_no_limit_is_no_wait(kit: Any) -> None:
    assert _sent_at(kit, [10**9] * 3) == [0, 0, 0]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2_000), st.integers(1, 60))
def test_in_no_minute_more_goes_than_the_limit_and_a_seconds_worth(per_minute: int, n: int) -> None:
    clock = [0.0]
    from evalharness.models.pace import Bucket

    bucket, at = Bucket(per_minute, lambda: clock[0]), []
    for _ in range(n):
        clock[0] += bucket.wait_s(1)
        bucket.take(1)
        at.append(clock[0])
    most = per_minute + max(1.0, per_minute / 60)
    assert all(sum(start <= moment < start + 60 for moment in at) <= most + 1e-6 for start in at)
    # And no less than the limit, either: it is used.
    assert at[-1] <= (n - 1) * 60 / per_minute + 1e-6


def test_what_was_not_used_is_given_back(kit: Any) -> None:
    time = kit.FakeTime()

    async def scene() -> float:
        pace = Pace(time.timing, tokens_per_minute=60_000)
        await pace.wait(5_000)
        pace.correct(5_000, 500)
        await pace.wait(500)
        return float(time.now_s - 1_000)

    assert asyncio.run(scene()) == 0


def _request(body: Any) -> HttpRequest:
    return HttpRequest("POST", "http://h/", {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"prompt": "x" * 400}, 100),
        ({"prompt": "é" * 400, "max_tokens": 50}, 150),  # characters, not the bytes of their escapes
        ({"messages": [{"role": "user", "content": "x" * 396}], "max_completion_tokens": 7}, 107),
        ({"contents": ["x" * 40], "config": {"max_output_tokens": 9}}, 19),
        ({"prompt": "", "max_tokens": None}, 0),
        ({"prompt": "", "max_tokens": True}, 0),
        ("x" * 40, 10),
    ],
)
def test_tokens_are_estimated_by_the_characters_and_the_longest_answer(body: Any, tokens: int) -> None:
    assert estimated_tokens(_request(body)) == tokens


def test_a_request_without_json_is_estimated_too() -> None:
    assert estimated_tokens(HttpRequest("GET", "http://h/" + "x" * 391)) == 100
    assert estimated_tokens(HttpRequest("POST", "http://h/", {}, b"x" * 400)) == 100


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9}}', 9),
        (b'{"usage": {"input_tokens": 3, "output_tokens": 4}}', 7),
        (b'{"usage":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens":4}}', 7),
        (b'data: {"usage": {"input_tokens": 3, "output_tokens": 1}}\n\ndata: {"usage": {"output_tokens": 8}}', 11),
        (b'{"text": "{\\"total_tokens\\": 5}"}', None),
        (b'{"answer": "hi"}', None),
        (b"", None),
    ],
)
def test_usage_is_read_from_the_reply(body: bytes, tokens: int | None) -> None:
    assert used_tokens(HttpReply(200, body)) == tokens
