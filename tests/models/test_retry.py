from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.models.retry import RetryPolicy, retry_after_s
from evalharness.models.transport import HttpReply

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_that_may_pass_are_retried(status: int) -> None:
    assert RetryPolicy().retries_status(HttpReply(status))


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422, 431])
def test_statuses_that_stay_are_not(status: int) -> None:
    assert not RetryPolicy().retries_status(HttpReply(status))


def test_an_account_without_credit_is_not_asked_again() -> None:
    assert not RetryPolicy().retries_status(HttpReply(429, b'{"error": {"code": "insufficient_quota"}}'))


def test_faults() -> None:
    policy = RetryPolicy()
    assert [policy.retries_fault(f) for f in ("timeout", "lost", "unreachable")] == [True] * 3
    assert [policy.retries_fault(f) for f in ("untrusted", "unsendable", "too large")] == [False] * 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 14:00:30 +0200"}, 30.0),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sun, 99 Mar 2026 12:00:30 GMT"}, None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=NOW.timestamp()) == seconds


def test_delays_double_up_to_the_longest_under_the_dice() -> None:
    policy = RetryPolicy(max_retries=8, first_delay_s=0.5, longest_delay_s=10)
    assert [policy.delay_s(n, asked_for_s=None, dice=lambda: 1.0) for n in range(9)] == [
        0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, None,
    ]  # fmt: skip
    assert policy.delay_s(3, asked_for_s=None, dice=lambda: 0.0) == 0.0


def test_full_jitter_is_uniform() -> None:
    dice = random.Random(0).random
    drawn = [RetryPolicy().delay_s(2, asked_for_s=None, dice=dice) for _ in range(4_000)]
    assert all(d is not None and 0 <= d < 2 for d in drawn)
    assert sum(d for d in drawn if d is not None) / len(drawn) == pytest.approx(1.0, abs=0.03)  # 3.3 standard errors


@given(st.integers(0, 100), st.integers(0, 5_000), st.floats(0, 1, exclude_max=True))
def test_delays_stay_in_bounds(max_retries: int, n: int, dice: float) -> None:
    delay = RetryPolicy(max_retries=max_retries).delay_s(n, asked_for_s=None, dice=lambda: dice)
    assert delay is None if n >= max_retries else delay is not None and 0 <= delay <= 30


def test_what_the_server_asks_for_is_waited_for_in_full() -> None:
    policy = RetryPolicy()
    assert policy.delay_s(0, asked_for_s=7, dice=lambda: 0.0) == 7
    assert policy.delay_s(4, asked_for_s=7, dice=lambda: 1.0) == 7.5
    assert policy.delay_s(0, asked_for_s=3_600, dice=lambda: 0.0) is None
    assert policy.delay_s(5, asked_for_s=7, dice=lambda: 0.0) is None
