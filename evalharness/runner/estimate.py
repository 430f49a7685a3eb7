"""How many tokens a request may take, told before it is sent."""

from __future__ import annotations

import json
from typing import NamedTuple

from evalharness.core.types import Request
from evalharness.core.words import words
from evalharness.suite.schema import Price, Suite

__all__ = ["Tokens", "estimate", "estimated_usd", "is_attack", "model_calls", "most_output_tokens"]

# English text has about four characters a token; texts of other scripts have more bytes a character, and more tokens.
_BYTES_PER_TOKEN = 4
# What a chat template puts around a turn.
_TOKENS_PER_TURN = 4
# Words of which all sets are looked at, at most; and the orders, its own and random ones, there and back, in which
# words are masked one by one to measure the quality.
_MOST_EXACT = 12
_ENDS, _STEPS = 2, 32
_DRAWS = frozenset({"permutation", "lime"})  # what a seed changes, which is explained with another one as well
_RANKINGS = 8
# At so many places, at most: a hundred steps, and the shares at which comprehensiveness and sufficiency are taken.
_MOST_PLACES = 106
_MOST_OUTPUT = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Tokens(NamedTuple):
    """Tokens of the prompt, estimated, and the most that the answer may have."""

    input: int
    output: int


def estimate(request: Request, *, most_output: int | None = None) -> Tokens:
    """The tokens of `request`: UTF-8 bytes of its prompt by four, and `max_tokens` (or `most_output`) for the answer.

    A likelihood reads the prompt once with each continuation and answers with no tokens. A study reads it, in part
    masked, as often as it may (`model_calls`).
    """
    if isinstance(request.prompt, str):
        prompt = _tokens(request.prompt)
    else:
        prompt = sum(_tokens(turn.content) + _TOKENS_PER_TURN for turn in request.prompt)
    if request.kind == "loglikelihood":
        alone = 1 + bool(request.sampling.unconditional)  # and once more after nothing
        return Tokens(sum(prompt + alone * _tokens(text) for text in request.continuations), 0)
    if request.kind == "study":
        asked = model_calls(request)
        return Tokens(asked * (prompt + sum(_tokens(text) for text in request.continuations)), 0)
    if request.kind != "generate":
        return Tokens(prompt, 0)
    return Tokens(prompt, request.sampling.max_tokens if most_output is None else most_output)


def model_calls(request: Request) -> int:
    """How often a model is asked, at most, for `request`: once, but for studies.

    An explanation asks as often as `max_evals` lets it, about each word (occlusion) or set of words (exact) once, about
    the text and the masked text (attention), and about places on the way between them (integrated gradients); its
    quality takes another explanation with another seed where the method draws, one of the model with random weights
    where that is asked for, and each text masked word by word in some orders. An attack asks as often as `max_queries`
    lets it.
    """
    if request.kind != "study":
        return 1
    options = json.loads(request.sampling.study or "{}")
    if options.get("procedure") == "attack":
        return int(options["max_queries"])
    text = request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content
    n_words = len(words(text))
    most = int(options.get("max_evals", 1))
    if options.get("method") == "occlusion":
        most = n_words + 2
    elif options.get("method") == "attention":
        most = _ENDS + 1
    elif options.get("method") == "integrated_gradients":
        most = _ENDS + int((options.get("options") or {}).get("steps", _STEPS))
    elif options.get("method") == "exact":
        most = 2 ** min(n_words, int((options.get("options") or {}).get("max_players", _MOST_EXACT)))
    if not options.get("quality"):
        return most
    n_explanations = 1 + (options.get("method") in _DRAWS) + bool(options.get("randomisation"))
    return n_explanations * most + _RANKINGS * min(n_words + 1, _MOST_PLACES)


def is_attack(request: Request) -> bool:
    """Whether `request` is a search for words that turn an answer round."""
    return request.kind == "study" and json.loads(request.sampling.study or "{}").get("procedure") == "attack"


def most_output_tokens(suite: Suite) -> dict[str, int]:
    """The most tokens of an answer by model, where its `extra_body` says it: that wins over `max_tokens`."""
    found: dict[str, int] = {}
    for name, spec in suite.models.items():
        body = getattr(spec, "extra_body", None) or {}
        given = [body[field] for field in _MOST_OUTPUT if isinstance(body.get(field), int)]
        if given:
            found[name] = max(given)
    return found


def estimated_usd(tokens: Tokens, price: Price) -> float:
    """What so many tokens cost, in US dollars, if none of them is cached."""
    return (tokens.input * price.input + tokens.output * price.output) / 1e6


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)
