from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.models.fake import make


def _model(kit: Any, **entry: Any) -> Any:
    spec = kit.spec_of(backend="fake", **entry)
    return make("m", spec, base=Path(), environ={}, concurrency=9, allow_code=False)


def test_it_says_what_the_template_says(kit: Any) -> None:
    found = kit.answer(_model(kit), kit.request(prompt="a b c"))
    assert (found.text, found.input_tokens, found.output_tokens, found.finish_reason) == ("a b c", 3, 3, "stop")
    reply = "{{ sample_id }}.{{ repeat }}: {{ messages[-1].content | upper }}"
    request = kit.request(prompt=[("system", "x"), ("user", "hi")], sample_id="s", repeat=1)
    assert kit.answer(_model(kit, reply=reply), request).text == "s.1: HI"


def test_classify_takes_the_reply_as_label_or_probabilities(kit: Any) -> None:
    request = kit.request(kind="classify", prompt="good")
    assert kit.answer(_model(kit, reply=" {{ prompt }} "), request).answer == "good"
    found = kit.answer(_model(kit, reply='{"good": 0.9, "bad": 0.1}'), request)
    assert (found.answer, dict(found.label_probabilities)) == ("good", {"good": 0.9, "bad": 0.1})
    found = kit.answer(_model(kit, reply="{broken"), request)
    assert (found.status, found.label_probabilities) == ("error", {})


def test_likelihoods_follow_the_documented_formula(kit: Any) -> None:
    request = kit.request(kind="loglikelihood", prompt="Is it?", continuations=(" yes", " no way", ""))
    found = kit.answer(_model(kit), request).loglikelihoods
    for continuation, words, given in zip((" yes", " no way", ""), (1, 2, 1), found, strict=True):
        text = json.dumps(["Is it?", continuation], separators=(",", ":"))
        u = int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 2**52
        assert 0 <= u < 1
        assert given.total == -words * (0.5 + 4 * u)
        assert (given.n_tokens, given.is_greedy) == (words, u < 0.1)


def test_rolling_scores_the_whole_prompt(kit: Any) -> None:
    rolling = kit.answer(_model(kit), kit.request(kind="loglikelihood_rolling", prompt="one two three")).loglikelihoods
    given = kit.answer(_model(kit), kit.request(kind="loglikelihood", prompt="", continuations=("one two three",)))
    assert rolling == given.loglikelihoods
    assert rolling[0].n_tokens == 3


def test_a_template_with_an_unknown_name_is_refused(kit: Any) -> None:
    with pytest.raises(UsageError, match=r"models\.m\.reply: .* did you mean 'prompt'"):
        _model(kit, reply="{{ promt }}")


def test_many_requests_are_answered_as_they_are_taken(kit: Any) -> None:
    """The consumer sees the first answer before the last one is made, and the event loop gets its turns."""

    async def scene() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counter = asyncio.create_task(count())
        stream = _model(kit).generate([kit.request(str(i)) for i in range(5_000)])
        n = 0
        async for _ in stream:
            n += 1
        counter.cancel()
        assert n == 5_000
        return turns

    assert asyncio.run(scene()) > 100
