"""The wire format over a scripted engine whose tokens are characters."""

from __future__ import annotations

import asyncio
import json
import math
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter

from evalharness.core.errors import ModelError, UsageError
from evalharness.core.types import Request, Response, Sampling
from evalharness.models.openai import make
from evalharness.suite.schema import ModelSpec


@dataclass
class Scores:
    logprobs: tuple
    top: tuple


class Letters:
    """Token i is the letter chr(97 + i); 26 ends a text. The likeliest token is always the next letter."""

    max_length = 12
    n_vocabulary = 27

    def __init__(self, **hooks):
        self.hooks = hooks
        self.batches = []

    def encode(self, prompt):
        if not isinstance(prompt, str):
            prompt = "".join(turn.content for turn in prompt)
        if "!" in prompt:
            raise UsageError("the tokenizer cannot encode this text")
        return tuple(ord(letter) - 97 for letter in prompt) or (26,)

    def n_added(self, text, ids):
        return 0 if text else 1

    def prompt(self, ids):
        return self.decode(ids)

    def decode(self, ids, *, special=True):
        return "".join(chr(97 + i) if i < 26 else "<end>" * special for i in ids)

    def piece(self, token):
        return self.decode([token])

    def ends(self, token):
        return token == 26

    def written(self, response):
        return tuple(response.meta.get("token_ids", ()))

    async def score(self, wanted):
        self.batches.append(len(wanted))
        await asyncio.sleep(self.hooks.get("seconds", 0))
        if "raises" in self.hooks:
            raise self.hooks["raises"]
        return [self.hooks.get("fails") or self.scores(one) for one in wanted]

    def scores(self, one):
        last = len(one.ids) - (not one.follow)
        top = [tuple(((one.ids[i] + k) % 27, -0.5 * k) for k in range(1, max(1, one.top) + 1))
               for i in range(one.first, last)]  # fmt: skip
        value = self.hooks.get("value")
        own = [-0.5 * ((b - a) % 27) if value is None else value
               for a, b in zip(one.ids[one.first :], one.ids[one.first + 1 :], strict=False)]  # fmt: skip
        return Scores(tuple(own), tuple(top))

    def abandon(self, keys):
        self.abandoned = getattr(self, "abandoned", set()) | set(keys)

    async def generate(self, requests):
        self.batches.append(len(requests))
        await asyncio.sleep(self.hooks.get("seconds", 0))
        if "raises" in self.hooks:
            raise self.hooks["raises"]
        return [self.answer(request) for request in requests]

    def answer(self, request):
        if "fails" in self.hooks:
            return Response(key=request.key, status="error", error=self.hooks["fails"])
        s = request.sampling
        if "writes" in self.hooks:
            # Every second letter, so that none is the likeliest, until the alphabet ends.
            ids = [request.prompt[-1:].encode()[0] - 97 + 2 * (k + 1) for k in range(s.max_tokens)]
            ids = [i for i in ids if i <= 26]
            text = self.decode(ids, special=False)
            cut = min((text.find(stop) for stop in s.stop if stop in text), default=None)
            reason = "stop" if cut is not None else "eos" if ids[-1:] == [26] else "length"
            return Response(key=request.key, text=text[:cut], finish_reason=reason, meta={"token_ids": ids},
                            output_tokens=len(ids) - (reason == "eos"))  # fmt: skip
        text = f"<{s.max_tokens} {s.temperature:g} {s.top_p} {s.seed} {list(s.stop)} {request.repeat}>"
        return Response(key=request.key, text=text, finish_reason="length", output_tokens=s.max_tokens)


@pytest.fixture(scope="module")
def server(server_of):
    with server_of(Letters(), aliases=("./other",)) as running:
        yield running


def test_models(server):
    status, answer = server.ask("/v1/models")
    assert status == 200
    assert [model["id"] for model in answer["data"]] == ["tiny"]
    assert answer["data"][0]["max_model_len"] == 12
    assert server.ask("/v1/models/tiny")[1]["object"] == "model"
    assert server.ask("/v1/models/other")[0] == 404
    assert server.ask("/health") == (200, {"status": "ok", "model": "tiny"})


def test_echo_with_logprobs(server):
    answer = server.complete(model="tiny", prompt="abd", max_tokens=0, echo=True, logprobs=2)
    assert answer["object"] == "text_completion"
    assert answer["model"] == "tiny"
    assert answer["created"] == 1_700_000_000
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    (choice,) = answer["choices"]
    assert (choice["index"], choice["text"], choice["finish_reason"]) == (0, "abd", "length")
    assert choice["logprobs"] == {
        "tokens": ["a", "b", "d"],
        "token_logprobs": [None, -0.5, -1.0],
        "top_logprobs": [None, {"b": -0.5, "c": -1.0}, {"c": -0.5, "d": -1.0}],
        "text_offset": [0, 1, 2],
    }


def test_the_token_itself_is_told_beside_the_likeliest(server):
    (choice,) = server.complete(prompt="ad", max_tokens=0, echo=True, logprobs=1)["choices"]
    assert choice["logprobs"]["top_logprobs"] == [None, {"b": -0.5, "d": -1.5}]
    (choice,) = server.complete(prompt="ad", max_tokens=0, echo=True, logprobs=0)["choices"]
    assert choice["logprobs"]["top_logprobs"] == [None, {"d": -1.5}]


def test_echo_with_the_token_that_follows(server):
    (choice,) = server.complete(prompt="ab", max_tokens=1, echo=True, logprobs=1, temperature=0)["choices"]
    assert choice["text"] == "abc"
    assert choice["logprobs"]["tokens"] == ["a", "b", "c"]
    assert choice["logprobs"]["token_logprobs"] == [None, -0.5, -0.5]
    answer = server.complete(prompt="ab", max_tokens=1, logprobs=2, temperature=0)
    (choice,) = answer["choices"]
    assert choice["text"] == "c"
    assert choice["logprobs"] == {
        "tokens": ["c"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"c": -0.5, "d": -1.0}],
        "text_offset": [0],
    }
    assert answer["usage"]["completion_tokens"] == 1


def test_the_token_that_follows_ends_the_text(server):
    (choice,) = server.complete(prompt="z", max_tokens=1, logprobs=1, temperature=0)["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("", "stop")
    assert choice["logprobs"]["tokens"] == ["<end>"]
    (choice,) = server.complete(prompt="a", max_tokens=1, logprobs=1, temperature=0, stop="b")["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("", "stop")


def test_one_token(server):
    (choice,) = server.complete(prompt="a", max_tokens=0, echo=True, logprobs=1)["choices"]
    assert choice["logprobs"]["token_logprobs"] == [None]
    (choice,) = server.complete(prompt="a", max_tokens=0, logprobs=1)["choices"]
    assert choice["logprobs"]["tokens"] == []


def test_added_tokens_are_no_part_of_the_text(server):
    (choice,) = server.complete(prompt="", max_tokens=1, echo=True, logprobs=1, temperature=0)["choices"]
    assert choice["text"] == "a"
    assert choice["logprobs"]["tokens"] == ["<end>", "a"]
    assert choice["logprobs"]["text_offset"] == [0, 0]


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [("ab", ["ab"]), (["ab", "c"], ["ab", "c"]), ([0, 1], ["ab"]), ([[0, 1], [2]], ["ab", "c"])],
)
def test_forms_of_prompt(server, prompt, texts):
    answer = server.complete(prompt=prompt, max_tokens=0, echo=True, logprobs=1)
    assert [choice["text"] for choice in answer["choices"]] == texts
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(texts)))
    assert ["".join(choice["logprobs"]["tokens"]) for choice in answer["choices"]] == texts


def test_generation(server):
    answer = server.complete(
        prompt=["a", "b"], max_tokens=5, temperature=0.5, top_p=0.9, seed=3, stop=["x", "y"], n=2, user="me"
    )
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == [f"<5 0.5 0.9 3 ['x', 'y'] {repeat}>" for _ in "ab" for repeat in (0, 1)]
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 20, "total_tokens": 22}
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}
    assert all(choice["logprobs"] is None for choice in answer["choices"])


@pytest.fixture(scope="module")
def writing(server_of):
    with server_of(Letters(writes=True)) as server:
        yield server


def test_log_probabilities_of_what_is_written(writing):
    answer = writing.complete(prompt="ab", max_tokens=3, logprobs=1)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("dfh", "length")
    assert choice["logprobs"] == {
        "tokens": ["d", "f", "h"],
        "token_logprobs": [-1.0, -1.0, -1.0],
        "top_logprobs": [{"c": -0.5, "d": -1.0}, {"e": -0.5, "f": -1.0}, {"g": -0.5, "h": -1.0}],
        "text_offset": [0, 1, 2],
    }
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    (choice,) = writing.complete(prompt=[0, 1], max_tokens=2, logprobs=0, echo=True, temperature=0)["choices"]
    assert choice["text"] == "abdf"
    assert choice["logprobs"]["token_logprobs"] == [None, -0.5, -1.0, -1.0]
    assert choice["logprobs"]["text_offset"] == [0, 1, 2, 3]
    sampled = writing.complete(prompt=["a", "b"], max_tokens=1, logprobs=0, n=2, best_of=2)["choices"]
    assert [(one["index"], one["logprobs"]["tokens"]) for one in sampled] == [
        (0, ["c"]),
        (1, ["c"]),
        (2, ["d"]),
        (3, ["d"]),
    ]


def test_the_end_of_what_is_written_has_its_log_probability(writing):
    answer = writing.complete(prompt="w", max_tokens=5, logprobs=0)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("y", "stop")
    assert choice["logprobs"]["tokens"] == ["y", "<end>"]
    assert choice["logprobs"]["text_offset"] == [0, 1]
    assert answer["usage"]["completion_tokens"] == 1


def test_tokens_behind_a_stop_string_are_not_told(writing):
    (choice,) = writing.complete(prompt="b", max_tokens=5, logprobs=0, stop="h")["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("df", "stop")
    assert choice["logprobs"]["tokens"] == ["d", "f"]
    assert len(choice["logprobs"]["token_logprobs"]) == len(choice["logprobs"]["top_logprobs"]) == 2
    (choice,) = writing.complete(prompt="b", max_tokens=5, logprobs=0, stop="d", echo=True)["choices"]
    assert (choice["text"], choice["logprobs"]["tokens"]) == ("b", ["b"])


def test_what_is_written_must_fit_also_where_it_is_scored(writing):
    status, answer = writing.ask("/v1/completions", {"prompt": "a" * 10, "max_tokens": 3, "logprobs": 1})
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
    assert writing.complete(prompt="a" * 9, max_tokens=3, logprobs=1)["choices"][0]["text"] == "ceg"


def test_defaults_are_those_of_openai(server):
    with_echo = server.complete(prompt="a", echo=True, max_tokens=4, stop=None, model=None, top_p=None)
    assert with_echo["choices"][0]["text"] == "a<4 1 None 7 [] 0>", "temperature 1, and a seed of the server's"
    assert server.complete(prompt="a", max_tokens=4, temperature=0)["choices"][0]["text"] == "<4 0 None None [] 0>"
    status, answer = server.ask("/v1/completions", {"prompt": "a"})
    assert status == 400
    assert "max_tokens is 16" in answer["error"]["message"]


def test_nothing_is_asked_for(server):
    assert server.complete(prompt="a", max_tokens=0)["choices"][0]["text"] == ""
    assert server.complete(prompt="a", max_tokens=0, echo=True)["choices"][0]["text"] == "a"


def test_chat(server):
    turns = [
        {"role": "system", "content": "ab"},
        {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
    ]
    status, answer = server.ask("/v1/chat/completions", {"messages": turns, "temperature": 0, "model": "./other"})
    assert status == 200
    assert answer["object"] == "chat.completion"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "<8 0 None None [] 0>"}, "what the model has room for"
    body = {"messages": turns, "max_completion_tokens": 3, "temperature": 0}
    assert server.ask("/v1/chat/completions", body)[1]["choices"][0]["message"]["content"].startswith("<3 ")


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "prompt", "prompt is missing"),
        ({"prompt": []}, "prompt", "must be a text"),
        ({"prompt": [[]]}, "prompt", "at least one"),
        ({"prompt": ["a", [1]]}, "prompt", "prompt[0]"),
        ({"prompt": [True]}, "prompt", "prompt[0]"),
        ({"prompt": {"a": 1}}, "prompt", "must be a text"),
        ({"prompt": [0, 27]}, "prompt", "there is no token 27; ids go from 0 to 26"),
        ({"prompt": [-1]}, "prompt", "there is no token -1"),
        ({"prompt": "a!"}, None, "cannot encode"),
        ({"prompt": "a" * 13, "max_tokens": 0, "echo": True}, "prompt", "13 tokens"),
        ({"prompt": ["a", "a" * 9], "max_tokens": 4}, "prompt[1]", "the model reads 12 at most"),
        ({"prompt": "a", "max_tokens": -1}, "max_tokens", "0 or more"),
        ({"prompt": "a", "max_tokens": 1.5}, "max_tokens", "not 1.5"),
        ({"prompt": "a", "max_tokens": True}, "max_tokens", "not true"),
        ({"prompt": "a", "logprobs": -1}, "logprobs", "from 0"),
        ({"prompt": "a", "temperature": -0.1}, "temperature", "from 0"),
        ({"prompt": "a", "temperature": "hot"}, "temperature", '"hot"'),
        ({"prompt": "a", "top_p": 0}, "top_p", "above 0"),
        ({"prompt": "a", "n": 0}, "n", "from 1 to 128"),
        ({"prompt": "a", "n": 2, "max_tokens": 0}, "n", "nothing generated"),
        ({"prompt": "a", "echo": "yes"}, "echo", "true or false"),
        ({"prompt": "a", "stop": [1]}, "stop", "list of texts"),
        ({"prompt": "a", "stop": ["x", "\ud800"]}, "stop", "surrogate"),
        ({"prompt": "a", "seed": "x"}, "seed", "whole number"),
        ({"prompt": "a", "stream": "yes"}, "stream", "must be true or false"),
        ({"prompt": "a", "stream_options": {}}, "stream_options", "go with stream: true"),
        ({"prompt": "a", "stream": True, "stream_options": {"x": 1}}, "stream_options", "include_usage"),
        ({"prompt": "a", "stream": True, "stream_options": {"include_usage": 1}}, "stream_options", "true or false"),
        ({"prompt": "a", "suffix": "b"}, "suffix", "not supported"),
        ({"prompt": "a", "best_of": 2}, "best_of", "must be n, which is 1, not 2"),
        ({"prompt": "a", "logit_bias": {"1": 2}}, "logit_bias", "not supported"),
        ({"prompt": "a", "presence_penalty": 0.5}, "presence_penalty", "not supported"),
        ({"prompt": "a", "max_token": 3}, "max_token", "did you mean 'max_tokens'?"),
        ({"prompt": "a", "model": 3}, "model", "must be a text"),
    ],
)
def test_what_is_wrong_is_said(server, body, param, words):
    status, answer = server.ask("/v1/completions", body)
    assert status == 400
    assert words in answer["error"]["message"]
    assert answer["error"]["param"] == param
    assert answer["error"]["type"] == "invalid_request_error"
    assert set(answer["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "messages", "at least one"),
        ({"messages": []}, "messages", "at least one"),
        ({"messages": ["hello"]}, "messages[0].role", "needs a role"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role", "one of system, user"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "must be a text, not null"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0]",
            "only parts of type text",
        ),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [1]}]}, "messages[0].tool_calls", "texts"),
        ({"messages": [{"role": "user", "content": "a"}], "tools": [{}]}, "tools", "not supported"),
        ({"messages": [{"role": "user", "content": "a"}], "logprobs": True}, "logprobs", "not supported"),
        (
            {"messages": [{"role": "user", "content": "a"}], "max_tokens": 12},
            "messages",
            "1 tokens and max_tokens is 12",
        ),
        ({"messages": [{"role": "user", "content": "a"}], "max_tokens": 0}, "max_tokens", "1 or more"),
    ],
)
def test_what_is_wrong_with_a_chat_is_said(server, body, param, words):
    status, answer = server.ask("/v1/chat/completions", body)
    assert status == 400
    assert words in answer["error"]["message"]
    assert answer["error"]["param"] == param


def streamed(server, path, **body):
    """The chunks of a streamed answer, as JSON."""
    data = json.dumps({**body, "stream": True}).encode()
    with urllib.request.urlopen(urllib.request.Request(server.url + path, data=data), timeout=60) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        events = answer.read().decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def test_a_completion_as_a_stream_says_what_it_says_whole(server):
    asked = {"prompt": ["ab", "c"], "max_tokens": 1, "logprobs": 2, "temperature": 0, "echo": True}
    whole = server.complete(**asked)
    *chunks, last = streamed(server, "/v1/completions", **asked, stream_options={"include_usage": True})
    assert [chunk["choices"][0] for chunk in chunks] == whole["choices"]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert {(chunk["id"], chunk["object"], chunk["model"]) for chunk in [*chunks, last]} == {
        (last["id"], "text_completion", "tiny")
    }
    assert all(chunk["usage"] is None for chunk in chunks)
    assert len(streamed(server, "/v1/completions", **asked)) == len(chunks)


def test_a_chat_as_a_stream_says_what_it_says_whole(server):
    asked = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 3, "temperature": 0, "n": 2}
    whole = server.ask("/v1/chat/completions", asked)[1]
    chunks = streamed(server, "/v1/chat/completions", **asked)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert all("usage" not in chunk for chunk in chunks)
    for choice in whole["choices"]:
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == choice["index"]]
        assert [part["delta"] for part in mine] == [choice["message"], {}]
        assert [part["finish_reason"] for part in mine] == [None, choice["finish_reason"]]


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_our_own_client_reads_the_stream(server, api):
    entry = {"backend": "openai", "model": "tiny", "base_url": f"{server.url}/v1", "api": api}

    async def ask(**more):
        spec = TypeAdapter(ModelSpec).validate_python({**entry, **more})
        model = make("tiny", spec, base=None, environ={}, concurrency=2, allow_code=False)
        await model.open()
        request = Request("k", "tiny", "generate", "k", "ab", sampling=Sampling(max_tokens=4))
        try:
            (found,) = [response async for response in model.generate([request])]
            return found
        finally:
            await model.close()

    whole, stream = asyncio.run(ask()), asyncio.run(ask(stream=True))
    assert whole.text == "<4 0 None None [] 0>"
    read = [(r.status, r.text, r.finish_reason, r.input_tokens, r.output_tokens) for r in (whole, stream)]
    assert read[0] == read[1]
    assert "ttft_s" in stream.meta


def test_what_goes_wrong_before_a_stream_is_a_status(server, server_of):
    status, answer = server.ask("/v1/completions", {"prompt": "a!", "max_tokens": 2, "stream": True})
    assert (status, answer["error"]["message"]) == (400, "the tokenizer cannot encode this text")
    with server_of(Letters(fails="out of memory")) as failing:
        body = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 2, "stream": True}
        assert failing.ask("/v1/chat/completions", body)[0] == 500


def test_another_model_is_not_found(server):
    status, answer = server.ask("/v1/completions", {"prompt": "a", "model": "gpt-4"})
    assert status == 404
    assert answer["error"]["code"] == "model_not_found"
    assert "this server has 'tiny'" in answer["error"]["message"]


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"", b"[" * 100_000])
def test_no_json(server, raw):
    status, answer = server.ask("/v1/completions", raw=raw)
    assert status == 400
    assert "not JSON" in answer["error"]["message"]


def test_a_body_that_is_no_object(server):
    assert "must be a JSON object, not a list" in server.ask("/v1/completions", [1])[1]["error"]["message"]


def test_no_such_route(server):
    status, answer = server.ask("/v1/embeddings", {})
    assert status == 404
    assert "POST /v1/completions" in answer["error"]["message"]
    status, answer = server.ask("/v1/completions")
    assert status == 405
    assert answer["error"]["message"] == "/v1/completions takes POST, not GET"


def test_requests_that_arrive_together_are_one_batch(server_of):
    engine = Letters(seconds=0.05)
    body = {"prompt": ["ab", "cd"], "max_tokens": 0, "echo": True, "logprobs": 1}
    with server_of(engine) as server, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: server.ask("/v1/completions", body), range(16)))
    assert {status for status, _ in found} == {200}
    assert {tuple(c["text"] for c in answer["choices"]) for _, answer in found} == {("ab", "cd")}
    assert sum(engine.batches) == 32
    assert len(engine.batches) < 8, "while one batch is computed the next one gathers"


def test_the_key(server_of):
    with server_of(Letters(), api_key="secret") as server:
        body = {"prompt": "a", "max_tokens": 0}
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Bearer sécret".encode().decode("latin-1")},
        ):
            status, answer = server.ask("/v1/completions", body, headers=headers)
            assert status == 401
            assert answer["error"]["code"] == "invalid_api_key"
        assert server.ask("/v1/completions", body, headers={"Authorization": "Bearer secret"})[0] == 200
        assert server.ask("/health")[0] == 200


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ({"raises": ModelError("the device failed")}, "the device failed"),
        ({"raises": ZeroDivisionError("by nought")}, "internal error: ZeroDivisionError: by nought"),
        ({"fails": "out of memory"}, "the model failed: out of memory"),
        ({"value": math.nan}, "NaN"),
    ],
)
def test_a_failure_of_the_model_is_an_error_of_the_server(server_of, hooks, words):
    with server_of(Letters(**hooks)) as server:
        status, answer = server.ask("/v1/completions", {"prompt": "ab", "max_tokens": 0, "echo": True, "logprobs": 1})
        assert status == 500
        assert words in answer["error"]["message"]
        assert "Traceback" not in answer["error"]["message"]
        assert answer["error"]["type"] == "server_error"
        assert bool(server.reported) == ("raises" in hooks)


def test_an_impossible_token_is_no_infinity_in_json(server_of):
    with server_of(Letters(value=-math.inf)) as server:
        (choice,) = server.complete(prompt="ab", max_tokens=0, echo=True, logprobs=0)["choices"]
    assert choice["logprobs"]["token_logprobs"] == [None, -9999.0]


def test_a_client_that_goes_away_is_not_written_for(server_of):
    import socket

    engine = Letters(seconds=30)
    with server_of(engine, cancels=True) as server:
        body = json.dumps({"prompt": "ab", "max_tokens": 3, "n": 2}).encode()
        with socket.create_connection(server.address) as client:
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            server.until(lambda: engine.batches)
        server.until(lambda: getattr(engine, "abandoned", None))
    assert engine.batches == [2]
    assert len(engine.abandoned) == 2


def test_closing_ends_what_is_being_written(server_of):
    engine = Letters(seconds=30)
    with server_of(engine) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.ask, "/v1/completions", {"prompt": "ab", "max_tokens": 3})
        server.until(lambda: engine.batches)
        server.wait(server.runner.shutdown())
        assert waiting.result(30)[0] == 503
    assert len(engine.abandoned) == 1


def test_closing_answers_who_waits(server_of):
    engine = Letters(seconds=30)
    with server_of(engine) as server, ThreadPoolExecutor(1) as pool:
        body = {"prompt": "ab", "max_tokens": 0, "echo": True, "logprobs": 1}
        waiting = pool.submit(server.ask, "/v1/completions", body)
        while not engine.batches:
            pass
        server.wait(server.runner.shutdown())
        status, answer = waiting.result(10)
    assert status == 503
    assert "shutting down" in answer["error"]["message"]


def test_what_is_read_only_may_be_longer_by_the_token_that_nobody_follows(server):
    """The engine holds 12 tokens: of 13 it reads 12 and scores the last."""
    asked = {"max_tokens": 0, "echo": True, "logprobs": 1}
    (choice,) = server.complete(prompt="abcdefghijklm", **asked)["choices"]
    assert len(choice["logprobs"]["tokens"]) == 13
    status, answer = server.ask("/v1/completions", {"prompt": "abcdefghijklmn", **asked})
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
