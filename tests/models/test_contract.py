"""What every backend owes to the runner; a new backend is one more builder here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evalharness.core.canonical import digest
from evalharness.core.errors import CapabilityError
from evalharness.core.protocols import Model
from evalharness.core.registry import registry
from evalharness.core.types import KINDS

SECRET = "sk-planted-0123456789"
ENVIRON = {"KEY": SECRET, "HOST_URL": f"https://host.example/{SECRET}/v1"}


class Case(NamedTuple):
    model: Any
    kind: str
    failing: str  # a sample id whose request fails


CODE = f"""
import asyncio
def sync(prompt, key):
    if prompt == "boom":
        raise ValueError("no answer for boom, key " + key)
    return prompt.upper() + key
async def slow(prompt):
    if prompt == "boom":
        return 7
    await asyncio.sleep(0)
    return {{"yes": 0.75, "no": 0.25}}
def score(prompt, continuations):
    return [-1.0] * (len(continuations) - (prompt == "boom"))
SECRET = {len(SECRET)}
"""


def _fake(kit: Any, base: Path) -> Case:
    reply = "{% if prompt == 'boom' %}{{ messages[9].content }}{% endif %}{{ prompt }}"
    return Case(_made(kit, base, backend="fake", reply=reply), "generate", "boom")


def _fake_likelihood(kit: Any, base: Path) -> Case:
    return Case(_made(kit, base, backend="fake"), "loglikelihood", "")


def _fake_rolling(kit: Any, base: Path) -> Case:
    return Case(_made(kit, base, backend="fake"), "loglikelihood_rolling", "")


def _replay(kit: Any, base: Path) -> Case:
    rows = [{"id": f"s{i}", "output": f"text {i}"} for i in range(40)]
    (base / "out.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Case(_made(kit, base, backend="replay", path="out.jsonl"), "generate", "boom")


def _python(kit: Any, base: Path) -> Case:
    (base / "contract_code.py").write_text(CODE)
    options = {"key": "${env:KEY}"}
    return Case(_made(kit, base, backend="python", function="contract_code:sync", options=options), "generate", "boom")


def _python_async(kit: Any, base: Path) -> Case:
    (base / "contract_code.py").write_text(CODE)
    model = _made(kit, base, backend="python", function="contract_code:slow", kind="classify")
    return Case(model, "classify", "boom")


def _python_score(kit: Any, base: Path) -> Case:
    (base / "contract_code.py").write_text(CODE)
    model = _made(kit, base, backend="python", function="contract_code:score", kind="loglikelihood")
    return Case(model, "loglikelihood", "boom")


def _echo(kit: Any, answer: Callable[[Any], Any]) -> Any:
    """A server that repeats the secrets it was sent, in its answers and in its errors."""

    def reply(request: Any) -> Any:
        heard = " ".join((request.url, *request.headers.values()))
        if "boom" in (request.body or b"").decode() + request.url:
            return kit.reply(f"<html>refused {heard}</html>", 400)
        found = answer(heard)
        return kit.reply(found) if isinstance(found, str | dict) else found

    return kit.FakeTransport(reply)


def _openai(kit: Any, base: Path) -> Case:
    entry = {"backend": "openai", "model": "x", "base_url": "${env:HOST_URL}", "api_key": "${env:KEY}"}
    transport = _echo(
        kit, lambda heard: {"id": heard, "choices": [{"message": {"content": heard, "reasoning_content": heard}}]}
    )
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _openai_completions(kit: Any, base: Path) -> Case:
    entry = {"backend": "openai", "model": "x", "api": "completions", "headers": {"X-Api-Key": "${env:KEY}"}}
    transport = _echo(kit, lambda heard: {"choices": [{"text": heard}]})
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _openai_likelihoods(kit: Any, base: Path) -> Case:
    entry = {"backend": "openai", "model": "x", "api": "completions", "headers": {"X-Api-Key": "${env:KEY}"}}

    def answer(request: Any) -> Any:
        text = json.loads(request.body)["prompt"]
        if "boom" in text:
            return kit.reply("<html>refused</html>", 400)
        told = {
            "tokens": list(text),
            "token_logprobs": [None, *[-1.0] * (len(text) - 1)],
            "top_logprobs": [None, *[{"x": -1.0}] * (len(text) - 1)],
            "text_offset": list(range(len(text))),
        }
        return kit.reply({"id": SECRET, "choices": [{"text": text, "logprobs": told}]})

    return Case(kit.api_model(entry, kit.FakeTransport(answer), environ=ENVIRON), "loglikelihood", "boom")


def _openai_responses(kit: Any, base: Path) -> Case:
    entry = {"backend": "openai", "model": "x", "api": "responses", "api_key": "${env:KEY}"}
    transport = _echo(
        kit,
        lambda heard: {
            "id": heard,
            "output": [
                {"type": "reasoning", "content": [{"type": "reasoning_text", "text": heard}]},
                {"type": "message", "content": [{"type": "output_text", "text": heard}]},
            ],
        },
    )
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _openai_stream(kit: Any, base: Path) -> Case:
    entry = {"backend": "openai", "model": "x", "base_url": "${env:HOST_URL}", "api_key": "${env:KEY}", "stream": True}
    transport = _echo(
        kit,
        lambda heard: kit.stream_of(
            {"id": heard, "choices": [{"delta": {"content": heard[:9], "reasoning_content": heard}}]},
            {"choices": [{"delta": {"content": heard[9:]}, "finish_reason": "stop"}]},
        ),
    )
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _anthropic(kit: Any, base: Path) -> Case:
    entry = {"backend": "anthropic", "model": "x", "base_url": "${env:HOST_URL}", "api_key": "${env:KEY}"}
    blocks = ({"type": "thinking", "thinking": "…"}, {"type": "text", "text": "…"}, {"type": "tool_use", "input": "…"})
    transport = _echo(
        kit,
        lambda heard: {"id": heard, "content": [{k: heard if v == "…" else v for k, v in b.items()} for b in blocks]},
    )
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _anthropic_stream(kit: Any, base: Path) -> Case:
    entry = {"backend": "anthropic", "model": "x", "api_key": "${env:KEY}", "stream": True}
    transport = _echo(
        kit,
        lambda heard: kit.stream_of(
            {"type": "message_start", "message": {"id": heard}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": heard}},
            {"type": "message_stop"},
        ),
    )
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _http_stream(kit: Any, base: Path) -> Case:
    headers = {"Authorization": "Bearer ${env:KEY}"}
    entry = {"backend": "http", "url": "${env:HOST_URL}", "headers": headers, "stream": True}
    transport = _echo(kit, lambda heard: kit.stream_of({"text": heard[:9]}, {"text": heard[9:]}))
    return Case(kit.api_model(entry, transport, environ=ENVIRON), "generate", "boom")


def _http(kit: Any, base: Path) -> Case:
    entry = {"backend": "http", "url": "${env:HOST_URL}", "headers": {"Authorization": "Bearer ${env:KEY}"}}
    return Case(kit.api_model(entry, _echo(kit, lambda heard: {"text": heard}), environ=ENVIRON), "generate", "boom")


def _http_get(kit: Any, base: Path) -> Case:
    entry = {"backend": "http", "url": "http://host.example/ask?k=${env:KEY}", "method": "GET", "response": "."}
    return Case(kit.api_model(entry, _echo(kit, lambda heard: heard), environ=ENVIRON), "generate", "boom")


BUILDERS = [
    _fake,
    _fake_likelihood,
    _fake_rolling,
    _replay,
    _python,
    _python_async,
    _python_score,
    _openai,
    _openai_completions,
    _openai_likelihoods,
    _openai_responses,
    _openai_stream,
    _anthropic,
    _anthropic_stream,
    _http,
    _http_stream,
    _http_get,
]


def _made(kit: Any, base: Path, **entry: Any) -> Any:
    spec = kit.spec_of(**entry)
    make = registry("models").load(spec.backend)
    return make("m", spec, base=base, environ=ENVIRON, concurrency=4, allow_code=True)


@pytest.fixture(params=BUILDERS, ids=lambda builder: builder.__name__.lstrip("_"))
def build(request: pytest.FixtureRequest, kit: Any, tmp_path: Path) -> Callable[[], Case]:
    return lambda: request.param(kit, tmp_path)


def _requests(kit: Any, case: Case, n: int = 25) -> list[Any]:
    more = {"continuations": (" yes", " no")} if case.kind == "loglikelihood" else {}
    asked = [kit.request(f"k{i}", f"prompt {i}", sample_id=f"s{i}", kind=case.kind, **more) for i in range(n)]
    if case.failing:
        asked.insert(n // 2, kit.request("bad", "boom", sample_id=case.failing, kind=case.kind, **more))
    return asked


def test_it_looks_like_a_model(build: Callable[[], Case]) -> None:
    case = build()
    assert isinstance(case.model, Model)
    assert case.model.name == "m"
    assert case.kind in case.model.capabilities <= set(KINDS)


def test_every_request_is_answered_once_and_a_failure_is_a_state(kit: Any, build: Callable[[], Case]) -> None:
    case = build()
    asked = _requests(kit, case)
    found = kit.answers(case.model, asked)
    failed = {key for key, response in found.items() if response.status == "error"}
    assert failed == ({"bad"} if case.failing else set())
    for request in asked:
        response = found[request.key]
        assert response.created_utc.endswith("+00:00")
        if response.status == "error":
            assert response.error
            assert response.text is None
        elif request.kind == "loglikelihood":
            assert len(response.loglikelihoods) == len(request.continuations)
        elif request.kind == "loglikelihood_rolling":
            assert len(response.loglikelihoods) == 1
        else:
            assert response.text


def test_no_requests_give_no_responses(build: Callable[[], Case]) -> None:
    async def ask() -> list[Any]:
        case = build()
        await case.model.open()
        found = [response async for response in getattr(case.model, case.kind)([])]
        await case.model.close()
        return found

    assert asyncio.run(ask()) == []


def test_what_it_cannot_do_is_refused(kit: Any, build: Callable[[], Case]) -> None:
    case = build()
    for kind in set(KINDS) - {"study"} - case.model.capabilities:  # studies are the runner's
        with pytest.raises(CapabilityError, match=kind):
            kit.answers(case.model, [kit.request(kind=kind)])


def test_identity_is_json_stable_and_needs_no_open(build: Callable[[], Case]) -> None:
    first, second = build().model.identity(), build().model.identity()
    assert json.loads(json.dumps(dict(first))) == first
    assert digest(first) == digest(second)
    assert first["backend_version"]


def test_identity_does_not_change_by_being_opened(kit: Any, build: Callable[[], Case]) -> None:
    case = build()
    before = digest(case.model.identity())
    kit.answers(case.model, _requests(kit, case, 2))
    assert digest(case.model.identity()) == before


def test_secrets_appear_nowhere(kit: Any, build: Callable[[], Case]) -> None:
    case = build()
    found = kit.answers(case.model, _requests(kit, case))
    assert SECRET not in json.dumps(dict(case.model.identity()))
    assert SECRET not in repr(found)
    assert SECRET not in repr(case.model)
    assert "planted" not in repr(found)


def test_it_can_be_closed_twice_and_opened_again(kit: Any, build: Callable[[], Case]) -> None:
    case = build()
    asyncio.run(case.model.close())
    first = kit.answers(case.model, _requests(kit, case, 3))
    asyncio.run(case.model.close())
    assert kit.answers(case.model, _requests(kit, case, 3)).keys() == first.keys()


@pytest.mark.parametrize("how", ["break", "cancel"])
def test_nothing_is_left_running(kit: Any, build: Callable[[], Case], how: str) -> None:
    async def ask() -> None:
        case = build()
        await case.model.open()
        stream = getattr(case.model, case.kind)(_requests(kit, case, 200))
        if how == "break":
            async for _ in stream:
                break
            await stream.aclose()
        else:
            got = asyncio.Event()

            async def take() -> None:
                async for _ in stream:
                    got.set()
                    await asyncio.sleep(3600)

            task = asyncio.create_task(take())
            await got.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await stream.aclose()
        await case.model.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(ask())
