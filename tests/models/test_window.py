from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.models.window import Window


async def _full(window: Window) -> int:
    """Fill the window; how many there was room for."""
    n = 0
    while True:
        try:
            async with asyncio.timeout(0):
                await window.enter()
        except TimeoutError:
            return n
        n += 1


def _round_trip(window: Window, *outcomes: str) -> int:
    """Fill `window`, let each come back as `outcomes` say (the last of them for the rest); the size then."""

    async def scene() -> None:
        sent_in, n = window.round, await _full(window)
        assert n == window.size
        for place in range(n):
            window.leave(sent_in, outcomes[min(place, len(outcomes) - 1)])  # type: ignore[arg-type]

    asyncio.run(scene())
    return window.size


def test_it_starts_with_100_or_with_all_that_is_allowed() -> None:
    assert Window(16).size == 16
    assert Window(100).size == 100
    assert Window(1_000).size == 100


def test_the_first_answers_open_it_for_1000_within_six_round_trips() -> None:
    window = Window(1_000)
    assert [_round_trip(window, "taken") for _ in range(6)][-1] == 1_000


def test_it_does_not_grow_while_something_else_holds_requests_back() -> None:
    async def scene() -> int:
        window = Window(1_000)
        for _ in range(500):
            await window.enter()
            window.leave(window.round, "taken")
        return window.size

    assert asyncio.run(scene()) == 101


def test_however_many_of_a_round_trip_are_refused_it_is_cut_once() -> None:
    window = Window(64)
    assert _round_trip(window, "refused") == 60  # nobody had been refused before: the least cut
    assert window.round == 1
    assert _round_trip(window, "refused") < 45  # most are being refused: nearly the half
    assert window.round == 2


def test_it_is_never_cut_below_one_and_grows_again_when_answers_come() -> None:
    window = Window(100)
    for _ in range(40):
        _round_trip(window, "refused")
    assert window.size == 1
    sizes = [_round_trip(window, "taken") for _ in range(40)]
    assert sizes[4] < 10
    assert sizes[-1] == 100


def test_a_server_that_refuses_one_in_twenty_however_busy_it_is_is_not_starved() -> None:
    window = Window(100)
    sizes = [_round_trip(window, *["taken"] * 10, "refused", "taken") for _ in range(200)]
    assert min(sizes[-100:]) >= 10


def test_what_is_neither_an_answer_nor_a_refusal_changes_nothing() -> None:
    assert _round_trip(Window(1_000), "unknown") == 100


def test_first_come_first_served_also_when_some_leave_the_queue() -> None:
    async def scene() -> list[int]:
        window, order = Window(1), []

        async def one(n: int) -> None:
            await window.enter()
            order.append(n)
            await asyncio.sleep(0)
            window.leave(window.round, "unknown")

        tasks = [asyncio.create_task(one(n)) for n in range(10)]
        await asyncio.sleep(0)
        for n in (3, 1):
            tasks[n].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Nothing is left in the way: there is room at once.
        async with asyncio.timeout(1):
            await window.enter()
        return order

    assert asyncio.run(scene()) == [0, 2, 4, 5, 6, 7, 8, 9]


def test_one_that_is_cancelled_as_its_turn_comes_hands_it_on() -> None:
    async def scene() -> None:
        window = Window(1)
        await window.enter()
        first = asyncio.create_task(window.enter())
        second = asyncio.create_task(window.enter())
        await asyncio.sleep(0)
        window.leave(0, "unknown")  # it is the first one's turn,
        first.cancel()  # and it goes before it knows
        async with asyncio.timeout(1):
            await second
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scene())


@settings(deadline=None)
@given(st.integers(1, 200), st.lists(st.sampled_from(["enter", "taken", "refused", "unknown"]), max_size=400))
def test_whatever_happens_no_more_are_in_than_allowed_and_one_always_may(most: int, events: list[str]) -> None:
    async def scene() -> None:
        window = Window(most)
        tickets: list[int] = []
        for event in events:
            if event == "enter" and len(tickets) < window.size:
                await asyncio.wait_for(window.enter(), 1)
                tickets.append(window.round)
            elif event != "enter" and tickets:
                window.leave(tickets.pop(0), event)  # type: ignore[arg-type]
            assert 1 <= window.size <= most
        for ticket in tickets:
            window.leave(ticket, "unknown")
        assert await _full(window) == window.size

    asyncio.run(scene())
