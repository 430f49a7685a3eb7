"""Writes answers: the `logprobs` of OpenAI's legacy completions, choices and usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .engine import Engine, Scores

__all__ = ["Transcript", "completion", "finish_reason", "label", "transcript", "usage"]

_BROKEN = "�"
# The bytes of one sign of UTF-8, so that no more tokens than these make one together.
_MAX_BYTES = 4


@dataclass(slots=True)
class Transcript:
    """The `logprobs` of one choice: four lists of the same length, one entry a token."""

    tokens: list[str] = field(default_factory=list)
    token_logprobs: list[float | None] = field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = field(default_factory=list)
    text_offset: list[int] = field(default_factory=list)

    def json(self) -> dict[str, object]:
        """As it goes over the wire."""
        return {
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs,
            "text_offset": self.text_offset,
        }


def transcript(
    engine: Engine, ids: Sequence[int], scores: Scores, *, first: int, n_top: int, n_hidden: int = 0
) -> Transcript:
    """The tokens `ids[first:]` with what `scores` says of them: place i of it is the token at `first + i`.

    The very first token of a text has nothing before it: its log-probability and alternatives are null. Each entry of
    `top_logprobs` holds the `n_top` likeliest tokens and the token itself, as OpenAI's does. `text_offset` counts
    characters of the text of `ids[first:]`, the first `n_hidden` tokens being no part of that text.
    """
    found = Transcript(text_offset=_offsets(engine, ids[first:], n_hidden))
    for token in ids[first:]:
        found.tokens.append(label(engine, token))
    if first == 0:
        found.token_logprobs.append(None)
        found.top_logprobs.append(None)
    begin = max(first, 1)
    for token, own, best in zip(ids[begin:], scores.logprobs, scores.top, strict=False):
        top: dict[str, float] = {}
        for other, value in [*best[:n_top], (token, own)]:
            # Of two tokens with one text the likelier counts: whether a token is the likeliest stays visible.
            top.setdefault(label(engine, other), value)
        found.token_logprobs.append(own)
        found.top_logprobs.append(top)
    return found


def label(engine: Engine, token: int) -> str:
    """The text of `token`; `token_id:N` where it is only a part of a sign and has no text of its own."""
    piece = engine.piece(token)
    return f"token_id:{token}" if _BROKEN in piece or not piece else piece


def _offsets(engine: Engine, ids: Sequence[int], n_hidden: int) -> list[int]:
    """Where the text of each token begins; tokens that make one sign together begin where it does."""
    offsets = [0] * min(n_hidden, len(ids))
    at, position = 0, len(offsets)
    while position < len(ids):
        end, text = position + 1, engine.piece(ids[position])
        while _BROKEN in text and end - position < _MAX_BYTES and end < len(ids):
            end += 1
            joined = engine.decode(ids[position:end])
            if _BROKEN not in joined:
                text = joined
                break
        else:
            end = position + 1
        offsets += [at] * (end - position)
        at += len(text)
        position = end
    return offsets


def finish_reason(reason: str | None) -> str:
    """`stop` where the model or a stop string ended the text, `length` where `max_tokens` did."""
    return "length" if reason == "length" else "stop"


def usage(n_prompt: int, n_completion: int) -> dict[str, int]:
    """How many tokens were read and written."""
    return {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
    }


def completion(
    kind: str, *, key: str, created: int, model: str, choices: Sequence[Mapping[str, object]], counts: Mapping[str, int]
) -> dict[str, object]:
    """The whole answer; `kind` is `text_completion` or `chat.completion`."""
    return {
        "id": key,
        "object": kind,
        "created": created,
        "model": model,
        "choices": list(choices),
        "usage": dict(counts),
    }
