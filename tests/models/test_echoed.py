"""Likelihoods from a completions server, over transports that answer as vLLM, OpenAI and our own server do, or not."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from evalharness.core.errors import CapabilityError
from evalharness.core.types import LogLikelihood
from evalharness.models.echoed import likelihood_of, parted

ENTRY = {"backend": "openai", "model": "tiny", "base_url": "http://host.example/v1", "api": "completions"}


def pieces(text: str) -> list[str]:
    """Words with the blank before them, as tokens are."""
    return re.findall(r"\s?\S+|\s+", text)


def logprob(token: str) -> float:
    return -0.25 * (1 + sum(map(ord, token)) % 16)


def choice(text: str, *, bos: str = "", counted: bool = False, new: str = "") -> dict[str, Any]:
    """What a server that echoes says of `text`: with `bos` before it, whose own text is `counted` in text_offset."""
    tokens = [*([bos] if bos else []), *pieces(text), *([new] if new else [])]
    offsets, at = [], 0
    for index, token in enumerate(tokens):
        offsets.append(at)
        at += 0 if bos and index == 0 and not counted else len(token)
    values: list[float | None] = [None, *map(logprob, tokens[1:])]
    tops = [None, *({token: logprob(token), "zzz": -2.0} for token in tokens[1:])]
    told = {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}
    return {"text": text + new, "logprobs": told, "finish_reason": "length"}


def vllm(text: str, *, bos: bool) -> dict[str, Any]:
    """The same in vLLM's own field, which tells nothing of the first token; the likeliest stands beside the own."""
    found: list[Any] = [None]
    for index, token in enumerate(pieces(text)[0 if bos else 1 :]):
        likeliest = logprob(token) >= -2.0
        own = {str(index): {"logprob": logprob(token), "rank": 1 if likeliest else 7, "decoded_token": token}}
        best = {} if likeliest else {"999": {"logprob": -2.0, "rank": 1, "decoded_token": "zzz"}}
        found.append({**best, **own})
    return {"text": "x", "prompt_logprobs": found}


def expected(tokens: list[str]) -> LogLikelihood:
    values = [logprob(token) for token in tokens]
    return LogLikelihood(math.fsum(values), len(values), all(value >= -2.0 for value in values))


def scored(kit: Any, transport: Any, *, prompt: Any, kind: str = "loglikelihood", **more: Any) -> Any:
    continuations = more.pop("continuations", ())
    model = kit.api_model({**ENTRY, **more}, transport)
    return kit.answer(model, kit.request(prompt=prompt, kind=kind, continuations=continuations))


def echoing(kit: Any, **how: Any) -> Any:
    def reply(request: Any) -> Any:
        text = json.loads(request.body)["prompt"]
        return kit.reply({"id": "c", "choices": [choice(text, **how)], "usage": {"prompt_tokens": 3}})

    return kit.FakeTransport(reply)


@pytest.mark.parametrize("how", [{}, {"bos": "<s>"}, {"bos": "<s>", "counted": True}, {"bos": ""}])
def test_choices_are_scored_by_the_tokens_behind_the_prompt(kit: Any, how: Any) -> None:
    transport = echoing(kit, **how)
    found = scored(kit, transport, prompt="The capital of France is", continuations=(" Paris now", " Rome"))
    assert (found.status, found.error) == ("ok", None)
    assert found.loglikelihoods == (expected([" Paris", " now"]), expected([" Rome"]))
    assert (found.input_tokens, found.output_tokens, found.meta) == (6, None, {"id": "c"})
    assert transport.body() == {
        "model": "tiny",
        "prompt": "The capital of France is Paris now",
        "max_tokens": 0,
        "temperature": 0,
        "echo": True,
        "logprobs": 1,
    }


def test_what_scores_is_not_changed_by_extra_body(kit: Any) -> None:
    transport = echoing(kit)
    extra = {"max_tokens": None, "logprobs": 5, "temperature": 1, "user": "me"}
    scored(kit, transport, prompt="a b", continuations=(" c",), extra_body=extra)
    body = transport.body()
    assert (body["max_tokens"], body["logprobs"], body["temperature"], body["user"]) == (0, 1, 0, "me")


def test_white_space_at_the_end_of_the_prompt_belongs_to_the_continuation(kit: Any) -> None:
    assert parted("a b \n", "c", first="<s>") == ("a b", " \nc")
    assert parted("  ", "c", first="<s>") == ("<s>", "  c")
    found = scored(kit, echoing(kit), prompt="a b ", continuations=("c",))
    assert found.loglikelihoods == (expected([" c"]),)


@pytest.mark.parametrize("bos", [True, False])
def test_vllms_own_field(kit: Any, bos: bool) -> None:
    transport = kit.FakeTransport(lambda r: kit.reply({"choices": [vllm(json.loads(r.body)["prompt"], bos=bos)]}))
    found = scored(kit, transport, prompt="a b", continuations=(" c", " dd e"), likelihood="prompt_logprobs")
    assert found.loglikelihoods == (expected([" c"]), expected([" dd", " e"]))
    assert (transport.body()["prompt_logprobs"], transport.body()["max_tokens"]) == (1, 1)
    assert "echo" not in transport.body()


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_that_refuses_to_write_nothing_writes_one_token_that_is_left_out(kit: Any, status: int) -> None:
    def reply(request: Any) -> Any:
        body = json.loads(request.body)
        if body["max_tokens"] == 0:
            return kit.reply({"error": {"message": "max_tokens must be at least 1"}}, status)
        return kit.reply({"choices": [choice(body["prompt"], new=" more")]})

    transport = kit.FakeTransport(reply)
    found = scored(kit, transport, prompt="a b", continuations=(" c", " d", " e"), max_retries=0)
    assert found.loglikelihoods == tuple(expected([token]) for token in (" c", " d", " e"))
    # Learned once: the second and third continuation are not refused again.
    assert [transport.body(index)["max_tokens"] for index in range(4)] == [0, 1, 1, 1]


def test_another_refusal_is_the_error_of_the_sample(kit: Any) -> None:
    transport = kit.FakeTransport(lambda request: kit.reply({"error": {"message": "too long"}}, 400))
    found = scored(kit, transport, prompt="a b", continuations=(" c",))
    assert (found.status, found.loglikelihoods) == ("error", ())
    assert "too long" in found.error
    transport = kit.FakeTransport(lambda request: kit.reply({"error": {"message": "no"}}, 403))
    assert scored(kit, transport, prompt="a b", continuations=(" c",)).status == "error"
    assert len(transport.sent) == 1


def test_a_whole_text_is_scored_after_the_first_token(kit: Any) -> None:
    found = scored(kit, echoing(kit, bos="<s>"), prompt="a b", kind="loglikelihood_rolling")
    assert found.loglikelihoods == (expected(["a", " b"]),)
    transport = kit.FakeTransport(
        lambda r: kit.reply({"choices": [split_first(json.loads(r.body)["prompt"])]}),
    )
    found = scored(kit, transport, prompt="a b", kind="loglikelihood_rolling", first_token="<|e|>")
    assert transport.body()["prompt"] == "<|e|>a b"
    assert found.loglikelihoods == (expected(["a", " b"]),)


def split_first(text: str) -> dict[str, Any]:
    """A server to which `<|e|>` in a text is one token."""
    rest = text.removeprefix("<|e|>")
    found = choice(rest, bos="<|e|>", counted=True)
    return {**found, "text": text}


@pytest.mark.parametrize("kind", ["loglikelihood", "loglikelihood_rolling"])
def test_without_anything_before_it_the_first_token_is_no_number(kit: Any, kind: str) -> None:
    continuations = ("a b",) if kind == "loglikelihood" else ()
    prompt = "" if kind == "loglikelihood" else "a b"
    found = scored(kit, echoing(kit), prompt=prompt, kind=kind, continuations=continuations)
    assert found.status == "error"
    assert "give `first_token`" in found.error


def test_an_empty_text_has_no_tokens_and_is_not_sent(kit: Any) -> None:
    transport = kit.FakeTransport([])
    found = scored(kit, transport, prompt="", kind="loglikelihood_rolling")
    assert (found.loglikelihoods, transport.sent) == ((LogLikelihood(0.0, 0, True),), [])


def test_a_token_across_the_border_is_an_error(kit: Any) -> None:
    found = scored(kit, echoing(kit), prompt="a (", continuations=("b",))
    assert found.status == "error"
    assert "one of them holds the end of the prompt, str 'a ('" in found.error
    assert "`delimiter`" in found.error


def test_turns_and_other_endpoints_are_refused(kit: Any) -> None:
    found = scored(kit, kit.FakeTransport([]), prompt=[("user", "hi")], continuations=(" c",))
    assert "api: chat" in found.error
    with pytest.raises(CapabilityError, match="it can do: generate"):
        kit.answer(kit.api_model({**ENTRY, "api": "chat"}, kit.FakeTransport([])), kit.request(kind="loglikelihood"))


def without(found: dict[str, Any], *names: str) -> dict[str, Any]:
    told = {key: value for key, value in found["logprobs"].items() if key not in names}
    return {**found, "logprobs": told}


def changed(found: dict[str, Any], **lists: Any) -> dict[str, Any]:
    return {**found, "logprobs": {**found["logprobs"], **lists}}


WHOLE = choice("a b c")
NEW_ONLY = {"tokens": [" x"], "token_logprobs": [-1.0], "top_logprobs": [{" x": -1.0}], "text_offset": [0]}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"text": " x"}, "ignores `echo`"),
        ({"text": " x", "logprobs": NEW_ONLY}, "ignores `echo`"),
        ({"text": None}, "has no text, but: text"),
        ({"text": "a b c"}, "ignores `logprobs`"),
        ({"text": "a b c", "logprobs": None}, "ignores `logprobs`"),
        ({"text": "a b c", "logprobs": {"content": []}}, "they have: content (0)"),
        (without(WHOLE, "top_logprobs"), "must have tokens, token_logprobs, top_logprobs, text_offset"),
        (changed(WHOLE, tokens=["a"]), "lists of one length; they have: tokens (1)"),
        (changed(WHOLE, **{name: [] for name in WHOLE["logprobs"]}), "they have: tokens (0)"),
        ({"text": "a b c x", "logprobs": NEW_ONLY}, "not those of the text that was sent"),
        (changed(WHOLE, text_offset=[0, 0, 0]), "not those of the text that was sent"),
        (changed(WHOLE, text_offset=[0, 1, 9]), "not those of the text that was sent"),
        (changed(WHOLE, text_offset=[0, 1, "3"]), "must be whole numbers"),
        (changed(WHOLE, tokens=["a", " b", " d"]), "not those of the text that was sent"),
        (choice("a b c", new=" x y"), None),
        (changed(WHOLE, token_logprobs=[None, -1.0, None]), "first token of a text"),
        (changed(WHOLE, token_logprobs=[None, -1.0, math.nan]), "must be a number of 0 or less; got float nan"),
        (changed(WHOLE, token_logprobs=[None, -1.0, 0.7]), "must be a number of 0 or less; got float 0.7"),
        (changed(WHOLE, token_logprobs=[None, -1.0, "-1"]), "must be a number of 0 or less; got str"),
        (changed(WHOLE, top_logprobs=[None, None, None]), "has no top_logprobs for the token str ' c'"),
        (changed(WHOLE, top_logprobs=[None, {}, {}]), "has no top_logprobs"),
    ],
)
def test_a_server_that_ignores_what_was_asked_gives_an_error_and_no_number(kit: Any, told: Any, said: Any) -> None:
    found = scored(kit, kit.FakeTransport([kit.reply({"choices": [told]})] * 2), prompt="a b", continuations=(" c",))
    assert (found.status, found.loglikelihoods) == ("error", ())
    assert (said or "wrote 1 tokens though max_tokens was 0") in found.error


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"text": "x"}, "no prompt_logprobs"),
        ({"prompt_logprobs": []}, "no prompt_logprobs"),
        ({"prompt_logprobs": [None, {"1": {"logprob": -1.0}}]}, "must hold logprob, rank and decoded_token"),
        ({"prompt_logprobs": [None, {"1": -1.0}]}, "must hold logprob, rank and decoded_token"),
        ({"prompt_logprobs": [None, None]}, "must hold logprob, rank and decoded_token"),
        ({"prompt_logprobs": [None]}, "do not part where the continuation"),
        (
            {"prompt_logprobs": [None, {"1": {"logprob": -1.0, "rank": 1, "decoded_token": "z"}}]},
            "not those of the text",
        ),
    ],
)
def test_the_same_of_vllms_field(kit: Any, told: Any, said: str) -> None:
    transport = kit.FakeTransport([kit.reply({"choices": [told]})])
    found = scored(kit, transport, prompt="a b", continuations=(" c",), likelihood="prompt_logprobs")
    assert (found.status, found.loglikelihoods) == ("error", ())
    assert said in found.error


def test_parts_of_a_sign_are_placed_by_their_offsets() -> None:
    told = {
        "tokens": ["hi", " ", "bytes:\\xf0\\x9f", "token_id:7", "!"],
        "token_logprobs": [None, -1.0, -2.0, -3.0, -4.0],
        "top_logprobs": [None, *({"x": value} for value in (-1.0, -2.0, -1.0, -4.0))],
        "text_offset": [0, 2, 3, 3, 4],
    }
    reply = {"choices": [{"text": "hi 🙂!", "logprobs": told}]}
    assert likelihood_of(reply, "hi", " 🙂!", way="echo", max_tokens=0) == LogLikelihood(-10.0, 4, False)
    assert likelihood_of(reply, "hi ", "🙂!", way="echo", max_tokens=0) == LogLikelihood(-9.0, 3, False)


def test_tries_and_times_of_all_continuations_count(kit: Any) -> None:
    time = kit.FakeTime()
    bodies = iter([(503, None), (200, choice("a b")), (503, None), (503, None), (200, choice("a c"))])

    def reply(request: Any) -> Any:
        status, told = next(bodies)
        return kit.reply({"choices": [told]}, status)

    model = kit.api_model(ENTRY, kit.FakeTransport(reply), timing=time.timing)
    found = kit.answer(model, kit.request(prompt="a", kind="loglikelihood", continuations=(" b", " c")))
    assert (found.status, found.n_retries) == ("ok", 3)


def test_the_way_and_the_first_token_are_part_of_the_identity(kit: Any) -> None:
    plain = kit.api_model(ENTRY).identity()
    assert not {"likelihood", "first_token", "split_thinking"} & set(plain)
    for more in ({"likelihood": "prompt_logprobs"}, {"first_token": "<s>"}, {"split_thinking": False}):
        assert kit.api_model({**ENTRY, **more}).identity() == {**plain, **more}
