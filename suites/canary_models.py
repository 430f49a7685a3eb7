"""The models of `canary.yaml`: one that adds, and the same one in production, which gets worse on a day."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime

_WORSE_FROM = date(2026, 3, 9)


def release(prompt: str) -> str:
    """The sum that is asked for."""
    return str(sum(_numbers(prompt)))


def production(prompt: str) -> str:
    """As `release`; from a day on without carrying, where it is asked in German."""
    text = os.environ.get("PRODUCTION_DATE")
    today = date.fromisoformat(text) if text else datetime.now(UTC).date()
    if today < _WORSE_FROM or not prompt.startswith("Was ist"):
        return release(prompt)
    first, second = (str(number).zfill(4)[::-1] for number in _numbers(prompt))
    digits = [str((int(a) + int(b)) % 10) for a, b in zip(first, second, strict=True)]
    return str(int("".join(digits)[::-1]))


def _numbers(prompt: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", prompt)]
