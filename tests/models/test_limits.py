from __future__ import annotations

import asyncio
from typing import Any

from evalharness.models.limits import Limits


def test_quiet_holds_back_everyone_until_it_is_over(kit: Any) -> None:
    time = kit.FakeTime(dice=0.0)
    limits = Limits(time.timing)

    async def scene() -> None:
        await limits.wait()
        assert time.slept == []
        limits.quiet_for(20)
        limits.quiet_for(5)  # the longest counts
        await asyncio.gather(*(limits.wait() for _ in range(3)))

    asyncio.run(scene())
    assert time.now_s == 1_020.0
    assert time.slept == [20.0] * 3


def test_tries_are_spared_only_while_nobody_was_reached(kit: Any) -> None:
    limits = Limits(kit.FakeTime().timing)
    assert not limits.hopeless
    limits.gave_up()
    assert limits.hopeless
    limits.was_reached()
    assert not limits.hopeless
    limits.gave_up()
    assert not limits.hopeless
