"""How many tokens a request may take, told before it is sent."""

from __future__ import annotations

from typing import NamedTuple

from evalharness.core.types import Request
from evalharness.suite.schema import Price, Suite

__all__ = ["Tokens", "estimate", "estimated_usd", "most_output_tokens"]

# English text has about four characters a token; texts of other scripts have more bytes a character, and more tokens.
_BYTES_PER_TOKEN = 4
# What a chat template puts around a turn.
_TOKENS_PER_TURN = 4
_MOST_OUTPUT = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Tokens(NamedTuple):
    """Tokens of the prompt, estimated, and the most that the answer may have."""

    input: int
    output: int


def estimate(request: Request, *, most_output: int | None = None) -> Tokens:
    """The tokens of `request`: UTF-8 bytes of its prompt by four, and `max_tokens` (or `most_output`) for the answer.

    A likelihood reads the prompt once with each continuation and answers with no tokens.
    """
    if isinstance(request.prompt, str):
        prompt = _tokens(request.prompt)
    else:
        prompt = sum(_tokens(turn.content) + _TOKENS_PER_TURN for turn in request.prompt)
    if request.kind == "loglikelihood":
        return Tokens(sum(prompt + _tokens(text) for text in request.continuations), 0)
    if request.kind != "generate":
        return Tokens(prompt, 0)
    return Tokens(prompt, request.sampling.max_tokens if most_output is None else most_output)


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
