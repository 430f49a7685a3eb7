"""What rate-limit headers say: whether anything remains, and if nothing does, until when.

Known are OpenAI's (`x-ratelimit-remaining-requests` and `-tokens`, `x-ratelimit-reset-…` as `6m0s`), Anthropic's
(`anthropic-ratelimit-requests-remaining` and so on, with dates), `RateLimit` of the IETF's draft
(draft-ietf-httpapi-ratelimit-headers) in its newer form, `"burst";r=0;t=30`, and in its older ones, and the plain
`x-ratelimit-remaining` and `x-ratelimit-reset` of many gateways.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

__all__ = ["exhausted_for_s"]

_PAIRS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"
_PARTS = re.compile(_PART)
_DURATION = re.compile(rf"(?:{_PART})+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NONE_LEFT = re.compile(r"\b(?:r|remaining)\s*=\s*0+(?![\d.])")
_RESET = re.compile(r"\b(?:t|reset)\s*=\s*(\d+)")
# A number as large as this is a time since 1970, in seconds or in milliseconds.
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


def exhausted_for_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """How long, at time `now`, until something is left of every limit; None where there is, or nothing is said."""
    return max(_waits(headers, now), default=None)


def _waits(headers: Mapping[str, str], now: float) -> Iterator[float]:
    for remaining, reset in _PAIRS:
        left = headers.get(remaining)
        if left is not None and _NUMBER.fullmatch(left.strip()) and float(left) <= 0:
            wait_s = _seconds(headers.get(reset, ""), now)
            if wait_s is not None:
                yield wait_s
    policies = headers.get("ratelimit")
    if policies is None:
        return
    # The newer form lists policies, the older one the parts of a single one: both are separated by commas.
    for policy in policies.split(",") if ";" in policies else [policies]:
        if _NONE_LEFT.search(policy) and (found := _RESET.search(policy)):
            yield float(found[1])


def _seconds(text: str, now: float) -> float | None:
    """The time from `now` on that `text` gives as a number, as a duration or as a date."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            return None
        if number >= _EPOCH_S:
            return max(0.0, (number / 1000 if number >= _EPOCH_MS else number) - now)
        return number
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS_S[unit] for number, unit in _PARTS.findall(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - now)
