"""Patience and messages, over a fake transport and a fake clock."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from evalharness.core.allowance import granted_by
from evalharness.core.errors import ModelDownError, UsageError
from evalharness.models.addresses import check_address, check_secrets, merged_headers
from evalharness.models.endpoint import excerpt
from evalharness.models.transport import HttpReply, TransportError
from evalharness.models.values import Secrets

ENTRY = {"backend": "openai", "model": "x", "base_url": "http://host.example/v1", "api_key": "${env:MY_KEY}"}
ENVIRON = {"MY_KEY": "sk-planted-0123456789"}


def _asked(kit: Any, script: list[Any], *, entry: dict[str, Any] | None = None, dice: float = 0.5) -> tuple[Any, ...]:
    transport, time = kit.FakeTransport(script), kit.FakeTime(dice)
    model = kit.api_model({**ENTRY, **(entry or {})}, transport, timing=time.timing, environ=ENVIRON)
    return kit.answer(model), transport, time


def test_it_asks_again_after_a_failure_that_passes(kit: Any) -> None:
    script = [kit.reply("busy", 503), TransportError("lost", "gone"), kit.reply({}, 429), kit.chat_reply("hi")]
    found, transport, time = _asked(kit, script)
    assert (found.status, found.text, found.n_retries) == ("ok", "hi", 3)
    assert len(transport.sent) == 4
    assert time.slept == [0.25, 0.5, 1.0]


def test_it_does_not_ask_again_where_the_budget_grants_no_further_try(kit: Any) -> None:
    grants = iter([True, False])
    with granted_by(lambda: next(grants)):
        found, transport, _ = _asked(kit, [kit.reply("busy", 503)] * 3)
    assert (found.status, found.n_retries, len(transport.sent)) == ("error", 1, 2)
    assert "execution.max_requests leaves no further try (tried 2 times)" in found.error


def test_it_waits_as_long_as_the_server_asks(kit: Any) -> None:
    _, _, time = _asked(kit, [kit.reply("later", 429, retry_after="7"), kit.chat_reply()], dice=0.0)
    assert time.slept[0] == 7.0
    assert time.now_s == 1_007.0


def test_a_wait_that_is_too_long_ends_the_tries_and_is_named(kit: Any) -> None:
    found, transport, time = _asked(kit, [kit.reply("later", 429, retry_after="3600")])
    assert found.status == "error"
    assert "wait of 3600 s" in found.error
    assert (len(transport.sent), time.slept) == (1, [])


def test_retry_after_holds_back_the_other_requests_too(kit: Any) -> None:
    time = kit.FakeTime(dice=0.0)
    sent_at: list[float] = []

    def reply(request: Any) -> HttpReply:
        sent_at.append(time.now_s)
        return kit.reply("later", 429, retry_after="60") if len(sent_at) == 1 else kit.chat_reply()

    model = kit.api_model(ENTRY, kit.FakeTransport(reply), timing=time.timing, environ=ENVIRON, concurrency=2)
    found = kit.answers(model, [kit.request(str(i)) for i in range(20)])
    assert all(response.status == "ok" for response in found.values())
    # Two were in flight when the server asked for quiet; all others came after it.
    assert sorted(sent_at)[2] >= 1_060.0


def test_it_gives_up_after_max_retries_and_says_so(kit: Any) -> None:
    found, transport, _ = _asked(kit, [kit.reply("overloaded", 503)] * 3, entry={"max_retries": 2})
    assert (found.status, found.n_retries, len(transport.sent)) == ("error", 2, 3)
    assert found.error == (
        "HTTP 503 from http://host.example/v1: overloaded; the server failed; look into its log (tried 3 times)"
    )


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (HttpReply(401, b'{"error": {"message": "Incorrect API key"}}'), "Incorrect API key; check the value of the "),
        (HttpReply(401, b""), "environment variable MY_KEY"),
        (HttpReply(403, b'{"detail": "not yours"}'), "HTTP 403 from http://host.example/v1: not yours; "),
        (HttpReply(404, b'{"message": "no model x"}'), "check the address and the name of the model"),
        (HttpReply(400, b'{"error": "use max_completion_tokens"}'), "extra_body: {max_tokens: null"),
        (HttpReply(302, b"", {"location": "https://else.example"}), "https://else.example"),
        (HttpReply(429, b'{"error": {"message": "pay", "code": "insufficient_quota"}}'), "no credit left"),
        (HttpReply(418, b"\xff\xfe teapot"), "teapot"),
    ],
)
def test_other_refusals_are_final_and_have_a_remedy(kit: Any, reply: HttpReply, said: str) -> None:
    found, transport, time = _asked(kit, [reply])
    assert found.status == "error"
    assert said in found.error
    assert (len(transport.sent), time.slept, found.n_retries) == (1, [], 0)


def test_without_a_key_the_remedy_is_to_give_one(kit: Any) -> None:
    found, *_ = _asked(kit, [kit.reply("who?", 401)], entry={"api_key": None})
    assert "wants a key: give it one, as ${env:NAME}" in found.error


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [("untrusted", "certificate"), ("unsendable", "headers"), ("too large", "check the address")],
)
def test_faults_that_stay_are_final(kit: Any, fault: Any, remedy: str) -> None:
    found, transport, _ = _asked(kit, [TransportError(fault, f"bad {ENVIRON['MY_KEY']}")])
    assert remedy in found.error
    assert "bad [redacted]" in found.error
    assert len(transport.sent) == 1


def test_a_server_that_nobody_reaches_costs_the_tries_of_one_request_and_ends_the_run(kit: Any) -> None:
    transport, time = kit.FakeTransport(lambda _: TransportError("unreachable", "refused")), kit.FakeTime()
    model = kit.api_model(ENTRY, transport, timing=time.timing, environ=ENVIRON, concurrency=2)
    with pytest.raises(ModelDownError) as caught:
        kit.answers(model, [kit.request(str(i)) for i in range(5_000)])
    assert str(caught.value) == (
        "http://host.example/v1 is down: 10 requests in a row got no answer; the last one: "
        "no reply from http://host.example/v1: refused; check the address, and that the server runs"
    )
    assert len(transport.sent) <= 2 * 6 + 9


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (HttpReply(503, b"overloaded"), "overloaded; the server failed; look into its log"),
        (HttpReply(401, b"Incorrect key"), "Incorrect key; check the value of the environment variable MY_KEY"),
        (HttpReply(404, b"no such model"), "check the address and the name of the model"),
        (HttpReply(429, b"later", {"retry-after": "3600"}), "wants a wait of 3600 s"),
        (HttpReply(429, b"insufficient_quota"), "no credit left"),
        (TransportError("timeout", "no answer"), "raise timeout_s"),
    ],
)
def test_ten_requests_in_a_row_without_an_answer_end_the_run(kit: Any, reply: Any, said: str) -> None:
    transport, time = kit.FakeTransport(lambda _: reply), kit.FakeTime()
    entry = {**ENTRY, "max_retries": 1}
    model = kit.api_model(entry, transport, timing=time.timing, environ=ENVIRON, concurrency=1)
    with pytest.raises(ModelDownError, match="10 requests in a row got no answer") as caught:
        kit.answers(model, [kit.request(str(i)) for i in range(5_000)])
    assert said in str(caught.value)
    assert len(transport.sent) in (10, 11, 20)  # without retries; sparing them as nobody was reached; with all of them


def _prompt_of(request: Any) -> str:
    return str(json.loads(request.body)["messages"][-1]["content"])


@pytest.mark.parametrize("first", ["good", "bad"])
def test_a_server_that_fails_at_some_prompts_alone_is_not_down(kit: Any, first: str) -> None:
    """They may all stand together: at the end, or at the beginning, where each new run would meet them first."""
    transport = kit.FakeTransport(lambda r: kit.chat_reply() if "good" in _prompt_of(r) else HttpReply(500, b"cannot"))
    time, bad = kit.FakeTime(), [f"bad {i}" for i in range(45)]
    good = ["good and long", "good"]
    model = kit.api_model({**ENTRY, "max_retries": 1}, transport, timing=time.timing, environ=ENVIRON, concurrency=1)
    prompts = [*good, *bad] if first == "good" else [*bad, *good]
    found = kit.answers(model, [kit.request(text, text) for text in prompts])
    assert {text for text, response in found.items() if response.status == "ok"} == set(good)
    assert all("HTTP 500" in found[text].error for text in bad)
    asked = [_prompt_of(request) for request in transport.sent]
    if first == "good":
        # After each ten that failed, the shortest that was answered shows that the server is there.
        assert asked.count("good") == 1 + 45 // 10
        assert asked.count("good and long") == 1
        assert len(asked) == 2 + 45 * 2 + 45 // 10
        # They are counted as further tries.
        assert sum(response.n_retries for response in found.values()) == len(asked) - len(prompts)
    else:
        # Nothing is known to be answered: after ten the others are tried once each.
        assert len(asked) == 10 * 2 + 35 + 2


def test_a_server_that_goes_down_is_given_up_although_it_answered_before(kit: Any) -> None:
    n_sent = 0

    def reply(_: Any) -> Any:
        nonlocal n_sent
        n_sent += 1
        return kit.chat_reply() if n_sent <= 20 else HttpReply(500, b"out of memory")

    transport, time = kit.FakeTransport(reply), kit.FakeTime()
    model = kit.api_model({**ENTRY, "max_retries": 1}, transport, timing=time.timing, environ=ENVIRON, concurrency=4)
    with pytest.raises(ModelDownError, match="10 requests in a row got no answer; the last one: HTTP 500") as caught:
        kit.answers(model, [kit.request(str(i)) for i in range(5_000)])
    assert "out of memory" in str(caught.value)
    # Ten with two tries each, what was in flight beside the last answer and beside the tenth, and two tries at one that
    # had been answered.
    assert len(transport.sent) <= 20 + 2 * (3 + 10 + 3) + 2


def test_what_is_no_question_to_the_model_is_not_sent_again_to_find_out(kit: Any) -> None:
    n_sent = 0

    def reply(_: Any) -> Any:
        nonlocal n_sent
        n_sent += 1
        return kit.chat_reply() if n_sent == 1 else HttpReply(500, b"cannot")

    transport = kit.FakeTransport(reply)
    model = kit.api_model({**ENTRY, "max_retries": 0}, transport, timing=kit.FakeTime().timing, environ=ENVIRON)

    async def scene() -> list[Any]:
        await model.open()
        await model.ask_about("POST", "/batches", body=b"{}", once=True)
        return [found async for found in model.generate([kit.request(str(i)) for i in range(30)])]

    found = asyncio.run(scene())
    assert {response.status for response in found} == {"error"}
    assert [request.url for request in transport.sent].count(transport.sent[0].url) == 1
    assert len(transport.sent) == 31


def test_a_budget_that_leaves_no_further_try_leaves_none_for_finding_out(kit: Any) -> None:
    n_sent = 0

    def reply(_: Any) -> Any:
        nonlocal n_sent
        n_sent += 1
        return kit.chat_reply() if n_sent == 1 else HttpReply(500, b"cannot")

    transport = kit.FakeTransport(reply)
    model = kit.api_model({**ENTRY, "max_retries": 1}, transport, timing=kit.FakeTime().timing, environ=ENVIRON)
    with granted_by(lambda: False):
        found = kit.answers(model, [kit.request(str(i)) for i in range(60)])
    assert len(transport.sent) == len(found) == 60


@pytest.mark.parametrize("between", [HttpReply(400, b"too long"), HttpReply(403, b"blocked"), None])
def test_refusals_that_concern_one_request_do_not(kit: Any, between: Any) -> None:
    n_sent = 0

    def reply(_: Any) -> HttpReply:
        nonlocal n_sent
        n_sent += 1
        return HttpReply(500, b"oops") if n_sent % 10 else between or kit.chat_reply()

    model = kit.api_model({**ENTRY, "max_retries": 0}, kit.FakeTransport(reply), environ=ENVIRON, concurrency=1)
    assert len(kit.answers(model, [kit.request(str(i)) for i in range(100)])) == 100
    model = kit.api_model({**ENTRY, "max_retries": 0}, kit.FakeTransport(lambda _: HttpReply(400)), environ=ENVIRON)
    assert len(kit.answers(model, [kit.request(str(i)) for i in range(100)])) == 100


def test_a_deadline_holds_over_all_tries(kit: Any) -> None:
    entry = {"deadline_s": 5, "max_retries": 100}
    found, transport, time = _asked(kit, [kit.reply("busy", 500)] * 20, entry=entry, dice=1.0)
    # 0.5 + 1 + 2 s of waiting leave 1.5 s, and the next wait would be of 4 s.
    assert (len(transport.sent), sum(time.slept)) == (4, 3.5)
    assert found.error.endswith("(tried 4 times); deadline_s: 5 leaves no time for another try")
    # What is left is all that a try may take.
    assert [request.timeout_s for request in transport.sent] == [5.0, 4.5, 3.5, 1.5]


def test_a_request_that_is_held_back_beyond_its_deadline_is_not_sent_again(kit: Any) -> None:
    time = kit.FakeTime(dice=0.0)
    n_sent = 0

    def reply(_: Any) -> HttpReply:
        nonlocal n_sent
        n_sent += 1
        # The first one is to try again at once, when the second one hears that the server wants a minute's quiet.
        return kit.reply("busy", 500) if n_sent == 1 else kit.reply("later", 429, retry_after="60")

    entry = {**ENTRY, "deadline_s": 5}
    model = kit.api_model(entry, kit.FakeTransport(reply), timing=time.timing, environ=ENVIRON, concurrency=2)
    found = kit.answers(model, [kit.request(str(i)) for i in range(2)])
    assert n_sent == 2
    assert all("deadline_s: 5 leaves no time" in response.error for response in found.values())


def test_when_the_server_says_that_nothing_remains_nobody_asks_until_the_reset(kit: Any) -> None:
    time = kit.FakeTime(dice=0.0)
    sent_at: list[float] = []

    def reply(_: Any) -> HttpReply:
        sent_at.append(time.now_s - 1_000)
        left = {"x_ratelimit_remaining_requests": str(2 - (len(sent_at) - 1) % 3), "x_ratelimit_reset_requests": "10s"}
        return kit.reply({"choices": [{"message": {"content": "hi"}}]}, **left)

    model = kit.api_model(ENTRY, kit.FakeTransport(reply), timing=time.timing, environ=ENVIRON, concurrency=1)
    kit.answers(model, [kit.request(str(i)) for i in range(9)])
    assert sent_at == [0] * 3 + [10] * 3 + [20] * 3


def test_requests_and_tokens_a_minute_are_kept(kit: Any) -> None:
    time = kit.FakeTime()
    sent_at: list[float] = []

    def reply(_: Any) -> HttpReply:
        sent_at.append(time.now_s - 1_000)
        return kit.reply({"choices": [{"message": {"content": "hi"}}], "usage": {"total_tokens": 600}})

    def ask(**limits: float) -> list[float]:
        sent_at.clear()
        time.now_s = 1_000.0
        model = kit.api_model(
            {**ENTRY, **limits}, kit.FakeTransport(reply), timing=time.timing, environ=ENVIRON, concurrency=1
        )
        kit.answers(model, [kit.request(str(i), "x" * 2_000) for i in range(4)])
        return list(sent_at)

    assert ask(requests_per_minute=20) == pytest.approx([0, 3, 6, 9])
    # 100 tokens a second, 500 (and a few) estimated, 600 used.
    assert ask(tokens_per_minute=6_000) == pytest.approx([0, 6, 12, 18], abs=0.1)


def test_a_server_that_was_reached_once_is_given_all_tries(kit: Any) -> None:
    script = [kit.chat_reply(), *[TransportError("unreachable", "refused")] * 12]
    transport, time = kit.FakeTransport(script), kit.FakeTime()
    model = kit.api_model(ENTRY, transport, timing=time.timing, environ=ENVIRON, concurrency=1)
    found = kit.answers(model, [kit.request(str(i)) for i in range(3)])
    assert [found[k].n_retries for k in "012"] == [0, 5, 5]


def test_latency_is_that_of_the_try_that_was_answered(kit: Any) -> None:
    time = kit.FakeTime(dice=1.0)

    class Slow(kit.FakeTransport):  # type: ignore[misc, name-defined]
        async def send(self, request: Any) -> HttpReply:
            time.now_s += 3
            return await super().send(request)  # type: ignore[no-any-return]

    transport = Slow([kit.reply("busy", 500), kit.chat_reply()])
    found = kit.answer(kit.api_model(ENTRY, transport, timing=time.timing, environ=ENVIRON))
    assert found.latency_s == 3.0


def test_no_more_are_in_flight_than_allowed(kit: Any) -> None:
    transport = kit.FakeTransport(lambda _: kit.chat_reply())
    model = kit.api_model({**ENTRY, "concurrency": 7}, transport, environ=ENVIRON, concurrency=100)
    kit.answers(model, [kit.request(str(i)) for i in range(100)])
    assert transport.most_in_flight == 7


def test_an_excerpt_is_cut_after_it_is_redacted() -> None:
    secrets = Secrets({"K": "s3cret/+ value"}, "${env:K}")
    long = excerpt(HttpReply(500, b"x" * 295 + b" s3cret/+ value " + b"y" * 100), secrets)
    assert "s3c" not in long
    assert long.endswith("…")
    assert len(long) == 301
    for spelling in ("s3cret/+ value", "s3cret%2F%2B+value", "s3cret%2F%2B%20value", "s3cret/%2B%20value"):
        assert excerpt(HttpReply(500, f"<p>got {spelling}!</p>".encode()), secrets) == "got [redacted]!"


def test_an_html_page_is_read_without_its_markup() -> None:
    page = b"<!doctype html><style>p {}</style><script>x()</script><title>502</title>\n<p>Bad  gateway</p>"
    assert excerpt(HttpReply(502, page), Secrets({})) == "502 Bad gateway"


@pytest.mark.parametrize(
    ("url", "headers", "place"),
    [
        ("http://h/", {"Authorization": "Bearer abc"}, "models.m.headers.Authorization"),
        ("http://h/", {"x-api-key": "abc"}, "models.m.headers.x-api-key"),
        ("http://h/", {"Cookie": "a=b"}, "models.m.headers.Cookie"),
        ("http://h/?api_key=abc", {}, "models.m: api_key in the address"),
        ("http://u:pw@h/", {}, "models.m: the password in the address"),
    ],
)
def test_secrets_that_are_written_out_are_refused(url: str, headers: dict[str, str], place: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_secrets("models.m", url=url, headers=headers)
    assert str(caught.value).startswith(place)
    assert "abc" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_placeholders_and_harmless_headers_are_not() -> None:
    headers = {"Authorization": "Bearer ${env:K}", "X-Variant": "b", "Idempotency-Key": "1"}
    check_secrets("models.m", url="http://u:${env:K}@h/?token=${env:K}&q=1", headers=headers)


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://h/", "http://", "http://h:99999/", "http://h/a b", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"^models\.m\.url: '\$\{env:U\}' is not an address"):
        check_address(url, place="models.m.url", written="${env:U}")


def test_headers_are_merged_whatever_their_case_and_checked() -> None:
    assert merged_headers({"Content-Type": "a"}, {"content-type": "b"}, place="p") == {"content-type": "b"}
    for name, value in (("X", "sk-planted\n"), ("X Y", "v"), ("", "v"), ("X:", "v")):
        with pytest.raises(UsageError, match="cannot be sent") as caught:
            merged_headers({}, {name: value}, place="p")
        assert "planted" not in str(caught.value)


def test_a_key_that_is_not_set_is_named_when_the_model_is_opened(kit: Any) -> None:
    model = kit.api_model(ENTRY, kit.FakeTransport([]), environ={})
    assert model.identity()["base_url"] == "http://host.example/v1"
    with pytest.raises(UsageError, match="MY_KEY is not set"):
        asyncio.run(model.open())
