from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evalharness.models.ratelimit import exhausted_for_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def _openai(requests: str = "59", tokens: str = "149984", *, reset: tuple[str, str] = ("1s", "6m0s")) -> dict[str, str]:
    # The example of https://platform.openai.com/docs/guides/rate-limits
    return {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": requests,
        "x-ratelimit-remaining-tokens": tokens,
        "x-ratelimit-reset-requests": reset[0],
        "x-ratelimit-reset-tokens": reset[1],
    }


def _anthropic(kind: str, left: str, reset: str) -> dict[str, str]:
    return {f"anthropic-ratelimit-{kind}-remaining": left, f"anthropic-ratelimit-{kind}-reset": reset}


IN_A_MINUTE = (NOW + timedelta(seconds=60)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        (_openai(), None),
        (_openai(requests="0"), 1.0),
        (_openai(tokens="0"), 360.0),
        (_openai(requests="0", tokens="0"), 360.0),
        (_openai(requests="0", reset=("120ms", "0s")), 0.12),
        (_openai(requests="0", reset=("2m59.56s", "0s")), pytest.approx(179.56)),
        (_openai(requests="0", reset=("1h2m3s", "0s")), 3_723.0),
        (_openai(requests="0", reset=("17", "0s")), 17.0),
        (_openai(requests="0", reset=("soon", "0s")), None),
        (_openai(requests="-1"), None),
        (_openai(requests="none"), None),
        (_anthropic("requests", "0", IN_A_MINUTE), 60.0),
        (_anthropic("requests", "3", IN_A_MINUTE), None),
        (_anthropic("tokens", "0", "2026-03-01T12:00:05"), 5.0),
        (_anthropic("input-tokens", "0", "2026-03-01T11:00:00Z"), 0.0),
        (_anthropic("output-tokens", "0", "2026-03-01T13:00:10+01:00"), 10.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30.0),
        ({"ratelimit-remaining": "5", "ratelimit-reset": "30"}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=5"}, 5.0),
        ({"ratelimit": "limit=100, remaining=07, reset=5"}, None),
        ({"ratelimit": '"burst";r=0;t=10, "daily";r=500;t=3600'}, 10.0),
        ({"ratelimit": '"burst";r=0;t=10, "daily";r=0;t=3600'}, 3_600.0),
        ({"ratelimit": '"burst";r=50;t=10'}, None),
        ({"ratelimit": '"burst";r=0'}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 9)}, 9.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) * 1_000 + 9_500)}, 9.5),
    ],
)
def test_when_nothing_remains_the_reset_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert exhausted_for_s(headers, now=NOW.timestamp()) == seconds
