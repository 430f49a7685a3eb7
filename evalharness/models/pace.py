"""Requests and tokens a minute: token buckets, and what a request takes from them.

A bucket fills evenly and holds what fills in a second (one, at least), so that in no minute more is sent than the
limit and that second's worth. A request that is larger than the bucket goes when the bucket is full, and the next ones
wait until its debt is paid. Tokens are estimated before a request is sent, as providers do it (OpenAI's rate limit
guide: characters, and the tokens that the answer may have): a fourth of the characters and `max_tokens`; what the reply
says of its usage corrects that.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .retry import Timing
from .transport import HttpReply, HttpRequest
from .values import strings_in

__all__ = ["Bucket", "Pace", "estimated_tokens", "used_tokens"]

_CHARACTERS_A_TOKEN = 4
_LONGEST_ANSWER = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"})
# Within a string of the JSON the quotes would be escaped.
_TOTAL = re.compile(rb'(?<!\\)"total_tokens"\s*:\s*(\d+)')
_INPUT = re.compile(rb'(?<!\\)"(?:prompt|input)_tokens"\s*:\s*(\d+)')
_OUTPUT = re.compile(rb'(?<!\\)"(?:completion|output)_tokens"\s*:\s*(\d+)')
# Less than this is nothing: a sleep that is shorter need not move a clock on.
_MOMENT_S = 1e-6


class Bucket:
    """Fills at `per_minute`; holds what fills in a second, and at least one."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_s = per_minute / 60
        self._most = max(1.0, self._per_s)
        self._level = self._most
        self._clock = clock
        self._filled_at = clock()

    def wait_s(self, n: float) -> float:
        """How long until `n` may be taken."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        return max(0.0, (min(n, self._most) - self._level) / self._per_s)

    def take(self, n: float) -> None:
        """Take `n`, or give back where it is negative."""
        self._level -= n


class Pace:
    """Holds requests back to so many, and to so many tokens, a minute; first come, first served."""

    def __init__(
        self, timing: Timing, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self._timing = timing
        self._requests = Bucket(requests_per_minute, timing.clock) if requests_per_minute else None
        self._tokens = Bucket(tokens_per_minute, timing.clock) if tokens_per_minute else None
        self._turn = asyncio.Lock()

    @property
    def limits_tokens(self) -> bool:
        """Whether tokens are counted."""
        return self._tokens is not None

    async def wait(self, n_tokens: int) -> None:
        """Return when a request of about `n_tokens` may be sent; it counts from now on."""
        wanted = [(bucket, n) for bucket, n in ((self._requests, 1), (self._tokens, n_tokens)) if bucket is not None]
        if not wanted:
            return
        async with self._turn:
            while (left_s := max(bucket.wait_s(n) for bucket, n in wanted)) > _MOMENT_S:
                await self._timing.sleep(left_s)
            for bucket, n in wanted:
                bucket.take(n)

    def correct(self, estimated: int, used: int | None) -> None:
        """What was `estimated` has taken `used` tokens, where that is known."""
        if self._tokens is not None and used is not None:
            self._tokens.take(used - estimated)


def estimated_tokens(request: HttpRequest) -> int:
    """About how many tokens `request` will take, with an answer as long as it may be."""
    try:
        content = json.loads(request.body or b"null")
    except (ValueError, RecursionError):
        return len(request.body or b"") // _CHARACTERS_A_TOKEN
    if content is None:
        content = request.url
    return sum(map(len, strings_in(_values(content)))) // _CHARACTERS_A_TOKEN + _longest_answer(content)


def _values(content: Any) -> Any:
    """`content` without the keys of its mappings."""
    if isinstance(content, Mapping):
        return [_values(value) for value in content.values()]
    return [_values(item) for item in content] if isinstance(content, list) else content


def _longest_answer(content: Any) -> int:
    if isinstance(content, Mapping):
        own = [value for key, value in content.items() if key in _LONGEST_ANSWER and type(value) is int]
        return max([0, *own, *map(_longest_answer, content.values())])
    return max(map(_longest_answer, content), default=0) if isinstance(content, list) else 0


def used_tokens(reply: HttpReply) -> int | None:
    """The tokens that `reply` says were used, under the names of OpenAI and Anthropic; None where it does not say."""
    # The last figure holds: the events of a stream count up.
    total = _TOTAL.findall(reply.body)
    if total:
        return int(total[-1])
    parts = [found[-1] for pattern in (_INPUT, _OUTPUT) if (found := pattern.findall(reply.body))]
    return sum(map(int, parts)) if parts else None
