"""Prompts and continuations as token ids, by the rules that lm-eval's figures rest on.

- A prompt is encoded with the special tokens that the tokenizer puts *before* a text (BOS, where it has one), unless
  the text starts with BOS already; those that it puts behind (EOS) would end the text and are left out.
- Trailing white space of a context belongs to the continuation, since tokens carry the space in front of a word. The
  tokens of a continuation are those of `context + continuation` behind the first `len(encode(context))`.
- Nothing in front of a continuation means BOS, or else EOS, in front of it.
- Chat turns go through the model's own chat template, which writes its special tokens itself: none is added, and the
  white space at its end is the template's, not the answer's.
- What is too long loses tokens at its beginning; the continuation is never cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.types import Prompt, Request

__all__ = ["Encoded", "RequestError", "Split", "TokenPrompt", "Tokens", "max_length_of"]

_DEFAULT_MAX_LENGTH = 2048
_LENGTH_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")
# Their positions count from padding_idx + 1, so that many of the embeddings are never used.
_OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "data2vec-text", "mpnet"}
)
# Tokenizers that know no limit say 1e30.
_NO_LIMIT = 10_000_000


class RequestError(ValueError):
    """One request cannot be answered; the message says why and becomes the error of its response."""


class TokenPrompt(str):
    """A prompt that is given as token ids and read as they stand; as text it is their list, so that it has a digest."""

    ids: tuple[int, ...]

    def __new__(cls, ids: Sequence[int]) -> TokenPrompt:
        """The prompt of `ids`."""
        found = super().__new__(cls, f"token ids {' '.join(map(str, ids))}")
        found.ids = tuple(ids)
        return found


@dataclass(frozen=True, slots=True)
class Split:
    """The tokens of a context and of a continuation, and the special tokens before and behind a whole text.

    `merged` is true where the tokenizer joins the end of the context with the whole continuation into one token; that
    token is then the continuation.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Encoded:
    """A context, special tokens included, and a continuation; `n_cut` tokens at the context's beginning did not fit."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    n_cut: int = 0
    merged: bool = False


def max_length_of(config: Any, tokenizer: Any, *, limit: int | None) -> int:
    """The most tokens that the model reads: `limit`, else what its settings and its tokenizer say, else 2048."""
    if limit is not None:
        return limit
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    found = [getattr(text, key, None) for key in _LENGTH_KEYS]
    known = [value for value in found if isinstance(value, int) and value > 0][:1]
    if known and text.model_type in _OFFSET_POSITIONS:
        known = [known[0] - (text.pad_token_id or 0) - 1]
    of_tokenizer = getattr(tokenizer, "model_max_length", None)
    if isinstance(of_tokenizer, int | float) and 0 < of_tokenizer < _NO_LIMIT:
        known.append(int(of_tokenizer))
    return min(known, default=_DEFAULT_MAX_LENGTH)


class Tokens:
    """A tokenizer under the rules above; `max_length` is the most tokens that the model reads."""

    def __init__(self, tokenizer: Any, *, max_length: int, name: str) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._name = name
        self._known: dict[str, list[int]] = {}
        self.before, self.after = self._special_tokens()

    def _special_tokens(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids that the tokenizer puts before and behind a text."""
        for text in ("a", "the", "1", "."):
            plain = self._encode(text)
            full = list(self.tokenizer(text, add_special_tokens=True)["input_ids"])
            for start in range(len(full) - len(plain) + 1) if plain else ():
                if full[start : start + len(plain)] == plain:
                    return tuple(full[:start]), tuple(full[start + len(plain) :])
        return (), ()

    @property
    def first(self) -> int:
        """The token that stands for nothing before a text: BOS, else EOS.

        Raises:
            RequestError: the tokenizer has neither.
        """
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise RequestError(
            "nothing stands before the text, and the tokenizer has neither a BOS nor an EOS token to put there"
        )

    @property
    def pad(self) -> int:
        """The id to pad with; it is masked, so any does where the tokenizer has none of its own."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, self.tokenizer.bos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _encode(self, text: str) -> list[int]:
        encoding = self.tokenizer(text, add_special_tokens=False)
        return list(encoding["input_ids"])

    def prime(self, requests: Sequence[Request]) -> None:
        """Encode the texts of `requests`, each distinct one once and all at a time; `text` then knows their ids."""
        texts: dict[str, None] = {}
        for request in requests:
            if isinstance(request.prompt, str) and not isinstance(request.prompt, TokenPrompt):
                if request.continuations:
                    texts.setdefault(request.prompt.rstrip())
                    texts.update((request.prompt + continuation, None) for continuation in request.continuations)
                else:
                    texts.setdefault(request.prompt)
        self._known = {}
        asked = [text for text in texts if text]
        if not asked:
            return
        # What cannot be encoded is told of its own request, where it is encoded alone.
        with contextlib.suppress(UnicodeError, TypeError, ValueError, OverflowError):
            found = self.tokenizer(asked, add_special_tokens=False, return_attention_mask=False)["input_ids"]
            self._known = dict(zip(asked, found, strict=True))

    def text(self, text: str) -> list[int]:
        """The ids of `text`, no special token added.

        Raises:
            RequestError: the text cannot be encoded (a lone surrogate).
        """
        if (known := self._known.get(text)) is not None:
            return known
        try:
            return self._encode(text)
        except (UnicodeError, TypeError, ValueError, OverflowError) as error:
            raise RequestError(f"the tokenizer cannot encode this text: {error}") from error

    def chat(self, prompt: Prompt) -> str:
        """The text that the chat template makes of the turns.

        An answer is begun behind the last turn, unless that is the assistant's own: then it is continued.

        Raises:
            RequestError: the model has no chat template, or its template refuses these turns.
        """
        import jinja2

        if self.tokenizer.chat_template is None:
            raise RequestError(
                f"model {self._name!r} has no chat template, so it cannot read chat turns; write `prompt` instead of "
                f"`messages`, or set `chat: false`"
            )
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt if not isinstance(turn, str)]
        own = bool(turns) and turns[-1]["role"] == "assistant"
        try:
            text = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not own, continue_final_message=own
            )
        except (jinja2.TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            raise RequestError(f"the chat template of model {self._name!r} refuses these turns: {error}") from error
        return str(text)

    def prompt(self, prompt: Prompt) -> list[int]:
        """The ids of a whole prompt, with the special tokens before it; BOS or EOS alone for an empty one."""
        if isinstance(prompt, TokenPrompt):
            return list(prompt.ids)
        if not isinstance(prompt, str):
            return self.text(self.chat(prompt))
        return [*self._before(prompt), *self.text(prompt)] or [self.first]

    def _before(self, text: str) -> tuple[int, ...]:
        bos = self.tokenizer.bos_token
        return () if bos and text.startswith(bos) else self.before

    def split(self, prompt: Prompt, continuations: Sequence[str]) -> list[Split]:
        """The tokens of `prompt` and of each of `continuations` after it, not cut.

        Raises:
            RequestError: a continuation has no tokens.
        """
        if isinstance(prompt, str):
            context = prompt.rstrip()
            space = prompt[len(context) :]
            before, after = self._before(context), self.after
        else:
            # The template writes the special tokens.
            context, space, before, after = self.chat(prompt), "", (), ()
        head = self.text(context) if context else []
        found = []
        for continuation in continuations:
            seen, target, merged = self._divided(context, head, space + continuation)
            found.append(Split(seen, target, before, after, merged))
        return found

    def _divided(
        self, context: str, head: list[int], continuation: str
    ) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        whole = self.text(context + continuation)
        at, merged = len(head), False
        if len(whole) <= at and continuation:
            at = next((i for i, (a, b) in enumerate(zip(whole, head, strict=False)) if a != b), len(whole))
            merged = True
        if at >= len(whole):
            raise RequestError(f"the continuation {continuation!r} has no tokens to score")
        return tuple(whole[:at]), tuple(whole[at:]), merged

    def pairs(self, prompt: Prompt, continuations: Sequence[str]) -> list[Encoded]:
        """Context and continuation for each of `continuations` after `prompt`, as a causal model reads them.

        It reads all but the last token, so that `max_length + 1` tokens fit.

        Raises:
            RequestError: a continuation has no tokens, or more than the model reads.
        """
        found = []
        for part in self.split(prompt, continuations):
            context = (*part.before, *part.context) or (self.first,)
            self.check_fits(part.continuation, self.max_length)
            n_cut = max(0, len(context) + len(part.continuation) - (self.max_length + 1))
            found.append(Encoded(context[n_cut:], part.continuation, n_cut, part.merged))
        return found

    def check_fits(self, continuation: Sequence[int], room: int) -> None:
        """Raise a `RequestError` if `continuation` alone is longer than `room`: it is never cut."""
        if len(continuation) > room:
            raise RequestError(f"the continuation has {len(continuation)} tokens; the model reads {room} at most")

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)
