"""How old a text may be: what is from the last moment that counts as old goes, what is younger stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from evalharness.monitor.forget_texts import younger

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_text_of_the_last_moment_goes() -> None:
    times = (UNTIL - timedelta(days=1), UNTIL, UNTIL + timedelta(microseconds=1), UNTIL + timedelta(days=1))
    assert younger([{"at": at.isoformat()} for at in times], UNTIL) == [2, 3]
