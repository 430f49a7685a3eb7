"""What windows make of alerts, and what receivers are told, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from evalharness.core.errors import UsageError
from evalharness.monitor.alerts import acknowledge, add_silence, deliver, end_silence, forget, observe, parse_matcher
from evalharness.monitor.alerts.store import load
from evalharness.monitor.conditions import Condition, fingerprint
from evalharness.record.alert_tables import ALERT_EVENTS, OUTBOX
from evalharness.record.database import reading, writing

from .conftest import HOUR, Desk, Receiver, look, window

Make = Callable[..., Desk]


def told(desk: Desk) -> list[tuple[str, str]]:
    receiver = Receiver()
    deliver(desk.registry, desk.clock, receiver)
    return receiver.told()


def kinds(desk: Desk) -> list[str]:
    return [kind for _, kind in told(desk)]


def state(desk: Desk) -> str:
    with reading(desk.registry.engine) as connection:
        return next(iter(load(connection).values())).track.state


def test_it_fires_after_enough_bad_windows_and_ends_after_enough_good_ones(desk: Make) -> None:
    one = desk(for_intervals=2, resolve_after=2)
    states, messages = [], []
    for i, said in enumerate(["ok", "bad", "bad", "bad", "ok", "bad", "ok", "ok", "ok"]):
        one.see(i, look(said))
        states.append(state(one))
        messages.append(kinds(one))
    assert states == ["ok", "pending", "firing", "firing", "firing", "firing", "firing", "resolved", "ok"]
    assert messages == [[], [], ["firing"], [], [], [], [], ["resolved"], []]


def test_a_run_of_bad_windows_is_ended_by_a_good_one_but_not_by_one_without_data(desk: Make) -> None:
    one = desk(for_intervals=3)
    for i, said in enumerate(["bad", "bad", "ok", "bad", "no_data", "bad"]):
        one.see(i, look(said))
    assert state(one) == "pending"
    one.see(6, look("bad"))
    assert state(one) == "firing"


@pytest.mark.parametrize("said", ["no_data", "error"])
def test_windows_without_an_answer(desk: Make, said: str) -> None:
    one = desk()
    one.see(0, look(said))
    assert (state(one), kinds(one)) == (said, [said])
    one.see(1, look("bad"))
    assert (state(one), kinds(one)) == ("firing", ["firing"])
    one.see(2, look(said))
    assert (state(one), kinds(one)) == ("firing", [])  # nothing says that it is over
    one.see(3, look("ok"))
    assert kinds(one) == ["resolved"]


@pytest.mark.parametrize(("meaning", "after"), [("ok", "resolved"), ("keep", "firing")])
def test_no_data_may_mean_something_else(desk: Make, meaning: str, after: str) -> None:
    one = desk(no_data=meaning)
    one.see(0, look("bad"))
    one.see(1, look("no_data"))
    assert state(one) == after


def test_a_lower_limit_holds_for_the_end(desk: Make) -> None:
    one = desk()
    for i, (said, value) in enumerate([("bad", 5.0), ("ok", 3.5), ("ok", 2.5), ("ok", 3.5)]):
        one.see(i, look(said, value=value, limit=4.0, resolve_limit=3.0))
        assert state(one) == ["firing", "firing", "resolved", "ok"][i]
    assert Condition("k", "ok", value=1.0, resolve_limit=2.0, worse="below").between
    assert not Condition("k", "ok", value=3.0, resolve_limit=2.0, worse="below").between


def test_a_revision_takes_the_place_of_the_earlier_look(desk: Make) -> None:
    one = desk(for_intervals=2)
    one.see(0, look("bad"))
    one.see(0, look("bad"), revision=1)  # the same window: it counts once
    assert state(one) == "pending"
    one.see(1, look("ok"))
    one.see(1, look("bad"), revision=1)  # bad, as the one before it
    assert state(one) == "firing"


def test_a_window_that_was_seen_changes_nothing(desk: Make) -> None:
    one = desk(for_intervals=2)
    one.see(0, look("bad"))
    assert one.see(0, look("bad")) == ()
    one.see(1, look("ok"), revision=2)
    assert one.see(1, look("bad"), revision=1) == ()
    assert state(one) == "ok"


def test_late_data_of_an_old_window_do_not_fire_what_newer_windows_ended(desk: Make) -> None:
    one = desk()
    one.see(0, look("bad"))
    one.see(1, look("ok"))
    assert kinds(one) == ["firing", "resolved"]
    assert one.see(0, look("bad"), look("bad", "new"), revision=1) == ()
    assert (state(one), kinds(one)) == ("resolved", [])
    with reading(one.registry.engine) as connection:
        late = connection.execute(select(ALERT_EVENTS.c.revision).where(ALERT_EVENTS.c.kind == "late")).all()
        assert late == [(1,), (1,)]
        assert len(load(connection)) == 1


def test_what_is_measured_no_more_ends_unless_something_has_no_answer(desk: Make) -> None:
    one = desk(no_data="keep")
    one.see(0, look("bad", "a"), look("ok", "b"))
    one.see(1, look("no_data", "b"))
    assert kinds(one) == ["firing"]
    one.see(2, look("ok", "b"))
    assert kinds(one) == ["resolved"]


def test_two_conditions_of_one_alert_are_refused(desk: Make) -> None:
    with pytest.raises(UsageError, match="two conditions are one alert: drift:length"):
        desk().see(0, look("ok"), look("bad"))


def test_an_identity_is_of_the_monitor_the_key_and_the_labels_alone() -> None:
    one = Condition("k", "ok", {"a": "1", "b": "2"}, value=1.0)
    assert fingerprint("m", one) == fingerprint("m", Condition("k", "bad", {"b": "2", "a": "1"}, value=9.0))
    others = [fingerprint("n", one), fingerprint("m", Condition("l", "ok", one.labels)), fingerprint("m", look("ok"))]
    assert fingerprint("m", one) not in others


# ── who is told what ──────────────────────────────────────────────────────────────────────────────────────────────


def test_alerts_of_a_group_share_a_message(desk: Make) -> None:
    one = desk(group_by=["column"])
    one.see(0, *(look("bad", f"k{i}", labels={"column": "xy"[i // 2]}) for i in range(3)))
    receiver = Receiver()
    deliver(one.registry, one.clock, receiver)
    bodies = [json.loads(message.body) for message in receiver.got]
    assert sorted((b["group"]["column"], len(b["alerts"])) for b in bodies) == [("x", 2), ("y", 1)]


def test_a_message_says_what_there_is_to_say(desk: Make) -> None:
    one = desk()
    said = {"value": 3.0, "summary": "too long", "picture": "<svg/>", "link": "https://example.org/i/1"}
    one.see(0, look("bad", **said))
    receiver = Receiver()
    deliver(one.registry, one.clock, receiver)
    body = json.loads(receiver.got[0].body)
    assert (body["kind"], body["key"]) == ("firing", receiver.got[0].key)
    alert = body["alerts"][0]
    assert {name: alert[name] for name in said} == said
    assert alert["limit"] is None  # not known
    assert alert["labels"] == {"severity": "warning", "monitor": "bot", "alert": "drift:length"}
    assert alert["window"]["end"] == "2026-03-01T01:00:00+00:00"


def test_channels_get_what_they_ask_for(desk: Make) -> None:
    url = "https://example.org/"
    one = desk(
        channels=[
            {"name": "all", "url": url},
            {"name": "ends", "url": url, "kinds": ["resolved"]},
            {"name": "loud", "url": url, "match": {"severity": "critical"}, "picture": False},
        ]
    )
    for i, said in enumerate(["bad", "ok"]):
        one.see(i, look(said, "a", picture="<svg/>"), look(said, "b", labels={"severity": "critical"}))
    receiver = Receiver()
    deliver(one.registry, one.clock, receiver)
    got: dict[str, list[tuple[str, str]]] = {}
    for message in receiver.got:
        got.setdefault(message.channel, []).extend((a["alert"], a["kind"]) for a in json.loads(message.body)["alerts"])
    both = [(key, kind) for kind in ("firing", "resolved") for key in "ab"]
    assert {name: sorted(each) for name, each in got.items()} == {
        "all": sorted(both),
        "ends": [("a", "resolved"), ("b", "resolved")],
        "loud": [("b", "firing"), ("b", "resolved")],
    }
    assert not any(a["picture"] for m in receiver.got if m.channel == "loud" for a in json.loads(m.body)["alerts"])


def test_a_charts_size_is_bounded(desk: Make) -> None:
    one = desk()
    one.see(0, look("bad", picture="x" * 200_001))
    receiver = Receiver()
    deliver(one.registry, one.clock, receiver)
    assert json.loads(receiver.got[0].body)["alerts"][0]["picture"] is None


def test_an_alert_is_told_again_until_somebody_looks_after_it(desk: Make) -> None:
    one = desk(repeat_s=3600, heartbeat={"alert": False})
    one.see(0, look("bad"))
    assert kinds(one) == ["firing"]
    one.clock.now += HOUR / 2
    assert kinds(one) == []
    one.clock.now += HOUR / 2
    assert kinds(one) == ["repeat"]
    with writing(one.registry.engine) as connection:
        identity = next(iter(load(connection)))
        assert acknowledge(connection, identity[:6], by="ada", now=one.clock(), note="on it").acked_by == "ada"
    one.clock.now += 5 * HOUR
    assert kinds(one) == []
    one.see(1, look("ok"))
    assert kinds(one) == ["resolved"]
    one.see(2, look("bad"))
    assert kinds(one) == ["firing"]
    with reading(one.registry.engine) as connection:
        assert load(connection)[identity].acked_by is None  # that was another time


def test_what_is_said_again_does_not_pile_up_while_nobody_answers(desk: Make) -> None:
    one = desk(repeat_s=3600, heartbeat={"alert": False})
    one.see(0, look("bad"))
    for _ in range(5):
        deliver(one.registry, one.clock, Receiver(["refused"] * 9))
        one.clock.now += HOUR
    with reading(one.registry.engine) as connection:
        assert len(connection.execute(select(OUTBOX.c.id)).all()) == 1


def test_only_what_is_told_of_can_be_acknowledged(desk: Make) -> None:
    one = desk(for_intervals=2)
    one.see(0, look("bad"), look("ok", "other"))
    with writing(one.registry.engine) as connection:
        with pytest.raises(UsageError, match="is pending: there is nothing to acknowledge"):
            acknowledge(connection, fingerprint("bot", look("bad")), by="ada", now=one.clock())
        with pytest.raises(UsageError, match="there is no alert 'zz'"):
            acknowledge(connection, "zz", by="ada", now=one.clock())


def silence(one: Desk, *matchers: str, hours: float = 3) -> int:
    with writing(one.registry.engine) as connection:
        until = one.clock() + hours * HOUR
        return add_silence(connection, [parse_matcher(m) for m in matchers], until=until, now=one.clock())


def test_a_silenced_alert_is_told_of_once_the_silence_is_over(desk: Make) -> None:
    one = desk(heartbeat={"alert": False})
    silence(one, "alert=~drift:.*", "severity!=critical")
    one.see(0, look("bad"), look("bad", "rule:other"))
    assert told(one) == [("rule:other", "firing")]
    one.clock.now += 3 * HOUR
    assert told(one) == [("drift:length", "firing")]


def test_an_alert_that_begins_and_ends_in_silence_is_not_told_of_but_the_end_of_a_told_one_is(desk: Make) -> None:
    one = desk(heartbeat={"alert": False})
    one.see(0, look("bad", "told"))
    number = silence(one, "monitor=bot")
    one.see(1, look("bad", "told"), look("bad", "quiet"))
    one.see(2, look("ok", "told"), look("ok", "quiet"))
    assert told(one) == [("told", "firing"), ("told", "resolved")]
    one.see(3, look("bad", "later"))
    with writing(one.registry.engine) as connection:
        end_silence(connection, number, one.clock())
        with pytest.raises(UsageError, match="no silence 1 that could end"):
            end_silence(connection, number, one.clock())
    assert told(one) == [("later", "firing")]


@pytest.mark.parametrize("text", ["", "severity", "a b=c", "x=~[", "1=2"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_matcher(text)


def test_a_silence_that_would_never_hold_is_refused(desk: Make) -> None:
    one = desk()
    with pytest.raises(UsageError, match="over at"):
        silence(one, "a=b", hours=-1)
    with pytest.raises(UsageError, match="at least one matcher"):
        silence(one)


# ── dead man's switch ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_interval_that_does_not_end_in_time_is_an_alert(desk: Make) -> None:
    one = desk(heartbeat={"grace_s": 600})
    one.see(0, look("ok"), due=one.clock() + HOUR)
    one.clock.now += HOUR + timedelta(minutes=10)
    assert told(one) == []
    one.clock.now += timedelta(seconds=1)
    assert told(one) == [("heartbeat", "firing")]
    assert told(one) == []
    one.see(0, look("ok"), revision=1)  # late data are no newer interval
    assert told(one) == []
    one.see(1, look("ok"))
    assert told(one) == [("heartbeat", "resolved")]


def test_who_catches_up_is_not_late_with_each_interval(desk: Make) -> None:
    one = desk(heartbeat={"grace_s": 600})
    one.clock.now += 100 * HOUR
    for i in range(3):
        one.see(i, look("ok"), due=one.clock() - (90 - i) * HOUR)
        one.clock.now += timedelta(minutes=5)
        assert told(one) == []
    one.clock.now += timedelta(minutes=6)
    assert told(one) == [("heartbeat", "firing")]


def test_a_monitor_that_is_no_more_is_not_expected(desk: Make) -> None:
    one = desk()
    one.see(0, look("ok"))
    with writing(one.registry.engine) as connection:
        assert forget(connection, "bot")
        assert not forget(connection, "bot")
    one.clock.now += 100 * HOUR
    assert told(one) == []


def test_the_address_of_the_heartbeat_is_asked_after_each_interval(desk: Make) -> None:
    one = desk(heartbeat={"url": "${env:PING_URL}"})
    receiver = Receiver()
    for i in range(3):
        one.see(i, look("ok"))
        if i != 1:
            deliver(one.registry, one.clock, receiver)
    assert [m.kind for m in receiver.got] == ["ping", "ping"]  # that of the second was overtaken
    assert "${env:PING_URL}" in receiver.got[0].target


def test_alertmanager_is_reminded(desk: Make) -> None:
    one = desk(
        channels=[{"name": "am", "url": "http://am:9093", "kind": "alertmanager"}, {"name": "x", "url": "http://x/"}],
        heartbeat={"alert": False},
    )
    one.see(0, look("bad"))
    deliver(one.registry, one.clock, Receiver())
    one.clock.now += timedelta(minutes=5)
    receiver = Receiver()
    deliver(one.registry, one.clock, receiver)
    assert [(m.channel, m.kind) for m in receiver.got] == [("am", "refresh")]


def test_nothing_is_kept_of_a_transaction_that_fails(desk: Make) -> None:
    one = desk()
    with one.registry.engine.connect() as connection:
        assert observe(connection, one.bot, window(0), [look("bad")], one.clock())
        connection.rollback()
    with reading(one.registry.engine) as connection:
        tables: list[Any] = [load(connection), connection.execute(select(OUTBOX.c.id)).all()]
    assert tables == [{}, []]
