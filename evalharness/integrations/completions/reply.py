"""Writes answers: the `logprobs` of OpenAI's legacy completions, choices and usage."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .engine import Engine, Scores

__all__ = ["Transcript", "completion", "finish_reason", "label", "transcript", "usage"]

_BROKEN = "�"
# The bytes of one sign of UTF-8, so that no more tokens than these make one together.
_MAX_BYTES = 4
# How many tokens that make no sign are decoded together, at most.
_MAX_RUN = 64


@dataclass(slots=True)
class Transcript:
    """The `logprobs` of one choice: four lists of the same length, one entry a token."""

    tokens: list[str] = field(default_factory=list)
    token_logprobs: list[float | None] = field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = field(default_factory=list)
    text_offset: list[int] = field(default_factory=list)

    def cut(self, n: int) -> None:
        """Leave the first `n` tokens."""
        for values in (self.tokens, self.token_logprobs, self.top_logprobs, self.text_offset):
            del values[n:]

    def json(self) -> dict[str, object]:
        """As it goes over the wire."""
        return {
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs,
            "text_offset": self.text_offset,
        }


def transcript(
    engine: Engine,
    ids: Sequence[int],
    scores: Scores,
    *,
    first: int,
    n_top: int,
    text: str,
    n_prompt: int,
    n_hidden: int = 0,
) -> Transcript:
    """The tokens `ids[first:]` with what `scores` says of them: place i of it is the token at `first + i`.

    The very first token of a text has nothing before it: its log-probability and alternatives are null. Each entry of
    `top_logprobs` holds the `n_top` likeliest tokens and the token itself, as OpenAI's does. `text_offset` counts
    characters of `text`, the text of `ids[first:]`. Its first `n_hidden` tokens are no part of it, and neither are
    special tokens behind the first `n_prompt` ids.
    """
    visible = ids[first + n_hidden :]
    found = Transcript(
        text_offset=[0] * n_hidden + _offsets(engine, visible, text, n_prompt=max(0, n_prompt - first - n_hidden))
    )
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


def _offsets(engine: Engine, ids: Sequence[int], text: str, *, n_prompt: int) -> list[int]:
    """Where the text of each token begins in `text`; tokens that make one sign together begin where it does."""
    offsets: list[int] = []
    at = 0
    while len(offsets) < len(ids):
        position = len(offsets)
        pieces = _pieces(engine, ids, position)
        if position >= n_prompt and not engine.decode(ids[position : position + 1], special=False):
            # A special token inside a text that was written is not shown.
            pieces = [""]
        if not position and not text.startswith(pieces[0]) and text.startswith(pieces[0].removeprefix(" ")):
            # Many tokenizers put a space in front of a text, and take it away again.
            pieces = [pieces[0].removeprefix(" "), *pieces[1:]]
        for piece in pieces:
            offsets.append(at)
            at += len(piece)
    return offsets


def _pieces(engine: Engine, ids: Sequence[int], position: int) -> list[str]:
    """The text that each token from `position` adds, as far as they belong together; of one sign, the last has it."""
    first = engine.piece(ids[position])
    if _BROKEN not in first:
        return [first]
    for end in range(position + 2, min(position + _MAX_BYTES, len(ids)) + 1):
        joined = engine.decode(ids[position:end])
        if _BROKEN not in joined:
            return [*[""] * (end - position - 1), joined]
    # Bytes that make no sign: what each becomes depends on those beside it.
    end = position + 1
    while end < min(position + _MAX_RUN, len(ids)) and _BROKEN in engine.piece(ids[end]):
        end += 1
    whole = engine.decode(ids[position:end])
    agreed = [_n_agreed(whole, engine.decode(ids[position:stop])) for stop in range(position + 1, end)]
    begins = [0, *itertools.accumulate(agreed, max), len(whole)]
    return [whole[begin:stop] for begin, stop in itertools.pairwise(begins)]


def _n_agreed(one: str, other: str) -> int:
    """How many characters the two have in common from their beginning."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


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
