"""Leases: one holder at a time, a token that grows, and clocks that are wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.monitor.lease import Lease, LeaseLostError, acquire, confirm, kept, release, renew
from evalharness.record.database import writing

from .conftest import BEGIN, Bench

Make = Callable[..., Bench]


def get(bench: Bench, holder: str, *, after_s: float = 0.0) -> Lease | None:
    moment = BEGIN + timedelta(seconds=after_s)
    return acquire(bench.registry.engine, "monitor:x", holder, clock=lambda: moment, seconds=60)


def test_one_holds_it_until_it_ends_or_is_given_back(bench: Make) -> None:
    b = bench()
    first = get(b, "one")
    assert first is not None
    assert get(b, "two", after_s=59) is None
    second = get(b, "two", after_s=60)
    assert second is not None
    assert second.token == first.token + 1
    release(b.registry.engine, first)  # no longer its own: nothing happens
    assert get(b, "three", after_s=61) is None
    release(b.registry.engine, second)
    third = get(b, "three", after_s=61)
    assert third is not None
    assert third.token == 3


def test_who_lost_it_is_refused_by_the_database(bench: Make) -> None:
    b = bench()
    first = get(b, "one")
    assert first is not None
    renew(b.registry.engine, first, clock=lambda: BEGIN + timedelta(seconds=50))
    assert get(b, "two", after_s=100) is None
    get(b, "two", after_s=120)
    with pytest.raises(LeaseLostError, match="nothing of this one was written"), writing(b.registry.engine) as c:
        confirm(c, first, BEGIN)


def test_its_own_holder_gets_a_new_token_too(bench: Make) -> None:
    b = bench()
    first, second = get(b, "one"), get(b, "one", after_s=1)
    assert first is not None
    assert second is not None
    with pytest.raises(LeaseLostError):
        renew(b.registry.engine, first, clock=lambda: BEGIN)
    renew(b.registry.engine, second, clock=lambda: BEGIN)


def test_a_lease_of_a_clock_that_was_ahead_does_not_last(bench: Make) -> None:
    b = bench()
    assert get(b, "one", after_s=86400) is not None
    assert get(b, "two") is not None


def test_a_lease_is_renewed_while_a_block_runs(bench: Make) -> None:
    b = bench()
    times: list[datetime] = []
    renewed = threading.Event()

    def clock() -> datetime:
        times.append(BEGIN)
        renewed.set()
        return BEGIN

    lease = acquire(b.registry.engine, "monitor:x", "one", clock=lambda: BEGIN, seconds=0.2)
    assert lease is not None
    with kept(b.registry.engine, lease, clock=clock):
        assert renewed.wait(10)
    n = len(times)
    time.sleep(0.15)
    assert len(times) == n


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["get", "give", "write"]), st.integers(-70, 70)), max_size=25)
)
def test_of_all_holders_only_the_newest_can_write(bench: Make, steps: list[tuple[int, str, int]]) -> None:
    b = bench()
    now, newest = 0.0, 0
    held: dict[int, Lease] = {}
    with writing(b.registry.engine) as connection:
        connection.exec_driver_sql("DELETE FROM leases")
    for who, what, seconds in steps:
        now += seconds
        if what == "get":
            lease = get(b, str(who), after_s=now)
            if lease is not None:
                assert lease.token == newest + 1
                newest, held[who] = lease.token, lease
        elif who in held and what == "give":
            release(b.registry.engine, held.pop(who))
        elif who in held:
            try:
                renew(b.registry.engine, held[who], clock=lambda: BEGIN)
            except LeaseLostError:
                assert held[who].token < newest
            else:
                assert held[who].token == newest
