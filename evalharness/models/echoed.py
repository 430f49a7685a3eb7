"""Log-likelihoods from a completions server: what it says of the tokens of a prompt that it was given.

Two ways, by `likelihood` of the model. `echo` asks for the prompt back with log-probabilities (`echo: true`,
`logprobs: 1`; OpenAI's legacy format, which vLLM and `evalharness serve` answer), `prompt_logprobs` is a field of vLLM.
The server's tokenizer is not known here, so context and continuation are told apart in characters: the tokens whose
text begins within the continuation are its tokens. One that begins in the context and ends in the continuation belongs
to neither, and is an error. White space at the end of a context belongs to the continuation, as with the hf-causal
backend and in lm-eval.

Several servers take `echo` or `logprobs` and ignore them. Nothing here is taken on trust: the text must begin with what
was sent, the tokens must be those of that text at the places that the server gives, and every token of the
continuation must have a log-probability. Where anything is missing there is an error, and no number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.core.types import LogLikelihood

from .concurrent import RequestFailed
from .outputs import shown
from .replies import first_choice

__all__ = ["Way", "fields_of", "likelihood_of", "parted"]

Way = Literal["echo", "prompt_logprobs"]

_REMEDY = (
    "likelihoods need a completions server that answers them (vLLM, `evalharness serve`); "
    "`validate --live` tells which of the suite's models can"
)
_LISTS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
# BOS, and perhaps a language's token, that the server puts before the text.
_MOST_HIDDEN = 2
# Of UTF-8: so many tokens may make one sign, and have no text of their own.
_MAX_BYTES = 4
# A log-probability may be rounded to just above 0.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class _Told:
    """What the server says of the tokens of a text, in lists of the same length; `offsets` count characters."""

    tokens: Sequence[Any]
    logprobs: Sequence[Any]
    greedy: Sequence[bool | None]
    offsets: Sequence[int]


def parted(prompt: str, continuation: str, *, first: str | None) -> tuple[str, str]:
    """Context and continuation; nothing in front of a continuation is `first`, the text of BOS, where that is known."""
    context = prompt.rstrip()
    return context or first or "", prompt[len(context) :] + continuation


def fields_of(text: str, *, way: Way, max_tokens: int) -> dict[str, Any]:
    """The fields of the request that scores `text`; `max_tokens` is 0, or 1 for servers that refuse 0."""
    asked: dict[str, Any] = {"prompt": text, "max_tokens": max_tokens, "temperature": 0}
    # With one alternative a place it can be seen whether each token was the likeliest.
    return {**asked, "echo": True, "logprobs": 1} if way == "echo" else {**asked, "prompt_logprobs": 1}


def likelihood_of(reply: Any, context: str, continuation: str, *, way: Way, max_tokens: int) -> LogLikelihood:
    """The log-likelihood of `continuation` after `context`, which were sent as one text.

    Raises:
        RequestFailed: the reply does not say it; the message tells what is there, and the remedy.
    """
    choice = first_choice(reply)
    whole = context + continuation
    told = _of_echo(choice, whole) if way == "echo" else _of_prompt_logprobs(choice, whole)
    places = _places(told, whole)
    n_new = sum(place >= len(whole) for place in places)
    if n_new > max_tokens:
        raise RequestFailed(
            f"the server wrote {n_new} tokens though max_tokens was {max_tokens}: it ignores max_tokens; {_REMEDY}"
        )
    begin = len(context)
    mine = [index for index, place in enumerate(places) if begin <= place < len(whole)]
    if not mine or places[mine[0]] != begin:
        raise RequestFailed(
            f"the server's tokens do not part where the continuation {shown(continuation)} begins: one of them holds "
            f"the end of the prompt, {shown(context[-20:])}, and the beginning of the continuation; let the "
            "continuation begin with a blank (the task's `delimiter`) or the prompt end elsewhere"
        )
    return LogLikelihood(
        total=math.fsum(_logprob(told, index) for index in mine),
        n_tokens=len(mine),
        is_greedy=all(told.greedy[index] for index in mine),
    )


def _of_echo(choice: Mapping[str, Any], whole: str) -> _Told:
    text = choice.get("text")
    if not isinstance(text, str):
        raise RequestFailed(f"the reply's choice has no text, but: {', '.join(map(str, choice))}; {_REMEDY}")
    if not text.startswith(whole):
        raise RequestFailed(
            f"the server does not repeat the prompt: it ignores `echo`, or changes the text; its answer is "
            f"{shown(text)}; {_REMEDY}"
        )
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, Mapping):
        raise RequestFailed(f"the reply has no logprobs: the server ignores `logprobs`; {_REMEDY}")
    lists = [logprobs.get(name) for name in _LISTS]
    lengths = {len(item) if isinstance(item, list) else -1 for item in lists}
    if lengths == {0} or len(lengths) != 1 or -1 in lengths:
        found = ", ".join(
            f"{name} ({len(item) if isinstance(item, list) else type(item).__name__})"
            for name, item in logprobs.items()
        )
        raise RequestFailed(
            f"the reply's logprobs must have {', '.join(_LISTS)}, lists of one length; they have: "
            f"{found or 'nothing'}; {_REMEDY}"
        )
    tokens, values, tops, offsets = (list(item) for item in lists if item is not None)
    if not all(isinstance(offset, int) and not isinstance(offset, bool) for offset in offsets):
        raise RequestFailed(f"text_offset must be whole numbers; got {shown(offsets)}")
    greedy = [_is_greedy(value, top) for value, top in zip(values, tops, strict=True)]
    return _Told(tokens, values, greedy, offsets)


def _is_greedy(value: Any, top: Any) -> bool | None:
    """Whether no alternative in `top` is likelier; None where there is nothing to compare with."""
    if not isinstance(top, Mapping) or not top or not _is_number(value):
        return None
    return all(_is_number(other) and value >= other for other in top.values())


def _of_prompt_logprobs(choice: Mapping[str, Any], whole: str) -> _Told:
    """VLLM's format: of each token a mapping of ids, its own and the likeliest one's, to logprob, rank and text.

    Of the first token nothing is told, not even its text: it is what the others leave of the whole, nothing for BOS.
    """
    found = choice.get("prompt_logprobs")
    if not isinstance(found, list) or not found:
        raise RequestFailed(f"the reply has no prompt_logprobs: the server is not vLLM, or too old; {_REMEDY}")
    own = [_own_entry(place) for place in found[1:]]
    texts = [str(entry["decoded_token"]) for entry in own]
    tokens = [whole[: max(0, len(whole) - sum(map(len, texts)))], *texts]
    return _Told(
        tokens=tokens,
        logprobs=[None, *(entry["logprob"] for entry in own)],
        greedy=[None, *(entry["rank"] == 1 for entry in own)],
        offsets=list(itertools.accumulate(map(len, tokens[:-1]), initial=0)),
    )


def _own_entry(place: Any) -> Mapping[str, Any]:
    """The entry of the text's own token; the likeliest one stands beside it, if it is another, and has rank 1."""
    entries = list(place.values()) if isinstance(place, Mapping) else []
    if not entries or not all(
        isinstance(entry, Mapping) and _is_number(entry.get("rank")) and "logprob" in entry and "decoded_token" in entry
        for entry in entries
    ):
        raise RequestFailed(f"prompt_logprobs must hold logprob, rank and decoded_token; got {shown(place)}; {_REMEDY}")
    found: Mapping[str, Any] = max(entries, key=lambda entry: entry["rank"])
    return found


def _places(told: _Told, whole: str) -> list[int]:
    """Where each token begins in `whole`; -1 for those that the server put before it (BOS).

    Some servers count the text of BOS, some do not; that the texts of the tokens stand where they should decides.
    """
    for n_hidden in range(min(_MOST_HIDDEN, len(told.offsets) - 1) + 1):
        tokens, offsets = told.tokens[n_hidden:], told.offsets[n_hidden:]
        places = [offset - (offsets[0] if n_hidden else 0) for offset in offsets]
        if n_hidden == 0 and tokens[0] == "" and len(tokens) > 1:
            continue  # a special token that is shown as nothing stands before the text
        if places[0] == 0 and _agree(tokens, places, whole):
            return [-1] * n_hidden + places
    raise RequestFailed(
        f"the server's tokens are not those of the text that was sent: it has {shown(list(told.tokens[:6]))} for "
        f"{shown(whole[:40])}, or its text_offset is wrong; {_REMEDY}"
    )


def _agree(tokens: Sequence[Any], places: Sequence[int], whole: str) -> bool:
    """Whether the tokens that can be read are those of `whole`, at their places and without a gap up to its end."""
    n_read, before = 0, 0
    end: int | None = None
    for token, place in zip(tokens, places, strict=True):
        if not isinstance(token, str) or place < before or (end is not None and place != end):
            return False
        if place >= len(whole):
            return n_read > 0 or len(tokens) <= _MAX_BYTES
        before, end = place, None
        # A part of a sign has no text of its own, and its sign is as long as only the next place tells.
        if not token or "�" in token or token.startswith(("token_id:", "bytes:", "<0x")):
            continue
        end = place + len(token)
        # The last token of the text may go on into what the model wrote.
        if not whole.startswith(token[: len(whole) - place], place):
            return False
        n_read += 1
    return (end is None or end >= len(whole)) and (n_read > 0 or len(tokens) <= _MAX_BYTES)


def _logprob(told: _Told, index: int) -> float:
    value = told.logprobs[index]
    if value is None:
        raise RequestFailed(
            "the server says nothing of the first token of a text, and nothing stands before it; give `first_token` "
            'for the model, the text of its BOS or EOS token, such as "<|endoftext|>"'
        )
    if not _is_number(value) or math.isnan(value) or value > _ROUNDING:
        raise RequestFailed(f"a log-probability must be a number of 0 or less; got {shown(value)}")
    if told.greedy[index] is None:
        raise RequestFailed(
            f"the reply has no top_logprobs for the token {shown(told.tokens[index])}, so that it is not known whether "
            f"it was the likeliest; {_REMEDY}"
        )
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
