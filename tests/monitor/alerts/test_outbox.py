"""The outbox: order, waits, dead letters, leases and tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from evalharness.monitor.alerts import deliver
from evalharness.monitor.outbox import (
    ATTEMPTS,
    Claimed,
    backoff_s,
    claim,
    mark_failed,
    mark_sent,
    prune,
    revive,
    waiting_rows,
)
from evalharness.record.alert_tables import OUTBOX
from evalharness.record.database import reading, writing

from .conftest import HOUR, Clock, Desk, Receiver, look

Make = Callable[..., Desk]


@pytest.fixture
def full(desk: Make) -> Desk:
    """An alert that has begun and ended, and nobody was told."""
    one = desk(heartbeat={"alert": False})
    one.see(0, look("bad"))
    one.see(1, look("ok"))
    return one


def test_an_end_does_not_overtake_its_beginning(full: Desk) -> None:
    receiver = Receiver(["refused"])
    deliver(full.registry, full.clock, receiver)
    assert receiver.told() == []
    full.clock.now += HOUR
    done = deliver(full.registry, full.clock, receiver)
    assert [kind for _, kind in receiver.told()] == ["firing", "resolved"]
    assert (done.n_sent, done.n_perhaps_repeated) == (2, 0)


def test_another_group_does_not_wait_for_one_that_cannot_be_sent(desk: Make) -> None:
    one = desk(group_by=["alert"])
    one.see(0, look("bad", "a"), look("bad", "b"))
    receiver = Receiver(["refused"])
    deliver(one.registry, one.clock, receiver)
    assert len(receiver.told()) == 1


def test_waits_grow_and_differ() -> None:
    waits = [backoff_s("key", n) for n in range(1, 20)]
    for n, wait in enumerate(waits, start=1):
        whole = min(3600.0, 5.0 * 2 ** (n - 1))
        assert whole / 2 <= wait <= whole
    assert len({backoff_s(f"key{i}", 1) for i in range(50)}) == 50
    assert backoff_s("key", 10_000) <= 3600


def test_a_message_is_given_up_in_the_end_and_can_be_revived(full: Desk) -> None:
    receiver = Receiver(["refused"] * ATTEMPTS)
    for _ in range(ATTEMPTS):
        assert len(receiver.got) == 0
        deliver(full.registry, full.clock, receiver, limit=1)
        full.clock.now += HOUR
    with writing(full.registry.engine) as connection:
        dead = [row for row in waiting_rows(connection) if row.state == "dead"]
        assert [(row.kind, row.attempts, row.error) for row in dead] == [("firing", ATTEMPTS, "503 try later")]
        assert revive(connection, full.clock()) == 1
    done = deliver(full.registry, full.clock, receiver)
    assert [kind for _, kind in receiver.told()] == ["firing", "resolved"]
    assert done.n_perhaps_repeated == 0


def test_what_can_never_arrive_is_given_up_at_once(full: Desk) -> None:
    done = deliver(full.registry, full.clock, Receiver(["gone"]))
    assert (done.n_dead, done.n_sent) == (1, 1)


def test_a_message_that_may_have_arrived_says_so_when_it_comes_again(full: Desk) -> None:
    receiver = Receiver(["unknown"])
    deliver(full.registry, full.clock, receiver)
    full.clock.now += HOUR
    done = deliver(full.registry, full.clock, receiver)
    assert [message.may_be_repeated for message in receiver.got] == [False, True, False]
    assert receiver.got[0].key == receiver.got[1].key
    assert done.n_perhaps_repeated == 1


def _claim(one: Desk, holder: str) -> Claimed | None:
    with writing(one.registry.engine) as connection:
        return claim(connection, holder=holder, now=one.clock(), lease_s=120)


def test_a_held_message_is_nobody_elses_until_the_lease_is_over(full: Desk) -> None:
    first = _claim(full, "a")
    assert first is not None
    assert _claim(full, "b") is None
    full.clock.now += timedelta(seconds=120)
    second = _claim(full, "b")
    assert second is not None
    assert (second.key, second.token, second.may_be_repeated) == (first.key, first.token + 1, True)
    with writing(full.registry.engine) as connection:
        # The one that was held up does no harm.
        assert not mark_sent(connection, first, full.clock())
        assert mark_failed(connection, first, full.clock(), error="late") == "fenced"
        assert mark_sent(connection, second, full.clock())
        assert not mark_sent(connection, second, full.clock())


def test_a_message_that_kills_whoever_sends_it_is_given_up(full: Desk) -> None:
    for _ in range(2 * ATTEMPTS):
        assert _claim(full, "a") is not None
        full.clock.now += timedelta(seconds=120)
    following = _claim(full, "a")
    assert following is not None
    assert following.kind == "resolved"
    with reading(full.registry.engine) as connection:
        assert [row.error for row in waiting_rows(connection, states=("dead",))] == ["who sent it never came back"]


def test_who_was_held_up_after_its_claim_does_not_send(full: Desk) -> None:
    class Slow(Clock):
        """Each look at it is a minute later."""

        def __call__(self):  # type: ignore[no-untyped-def]
            self.now += timedelta(seconds=60)
            return self.now

    receiver = Receiver()
    done = deliver(full.registry, Slow(), receiver, limit=1, lease_s=80)
    assert (done.n_fenced, receiver.got) == (1, [])


def test_what_was_sent_long_ago_is_removed(full: Desk) -> None:
    deliver(full.registry, full.clock, Receiver())
    with writing(full.registry.engine) as connection:
        assert prune(connection, full.clock() + timedelta(days=29)) == 0
        connection.execute(update(OUTBOX).where(OUTBOX.c.kind == "resolved").values(state="dead"))
        assert prune(connection, full.clock() + timedelta(days=31)) == 1
    with reading(full.registry.engine) as connection:
        assert connection.execute(select(OUTBOX.c.kind)).scalars().all() == ["resolved"]
