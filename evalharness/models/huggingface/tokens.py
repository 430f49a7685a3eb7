"""Prompts and continuations as token ids, by the rules that lm-eval's figures rest on.

- A prompt is encoded with the special tokens that the tokenizer puts *before* a text (BOS, where it has one), unless
  the text starts with BOS already; those that it puts behind (EOS) would end the text and are left out.
- Trailing white space of a context belongs to the continuation, since tokens carry the space in front of a word. The
  tokens of a continuation are those of `context + continuation` behind the first `len(encode(context))`; the context
  before them is `encode(context)`, also where the two do not meet at a border of tokens.
- Nothing in front of a continuation means BOS, or else EOS, in front of it, unless the continuation begins with it.
- Chat turns go through the model's own chat template, which writes its special tokens itself: none is added, and the
  white space at its end is the template's, not the answer's.
- What is too long loses tokens at its beginning; the continuation is never cut.

Where lm-eval does what nobody would ask for, its figures come only after `follow_lm_eval`: a tokenizer's EOS ends a
context of a causal model, and a text that is scored whole is scored with the tokenizer's BOS after the BOS in front.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.types import Prompt, Request

__all__ = ["Encoded", "RequestError", "Split", "TokenPrompt", "Tokens"]


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


class Tokens:
    """A tokenizer under the rules above; `max_length` is the most tokens that the model reads.

    `n_embeddings` is how many tokens the model knows, where the tokenizer may know more.
    """

    def __init__(self, tokenizer: Any, *, max_length: int, name: str, n_embeddings: int | None = None) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._name = name
        self._known: dict[str, list[int]] = {}
        self._first: int | None = None
        self._lm_eval = False
        self._causal = False
        self._n_embeddings = n_embeddings
        self.before, self.after = self._special_tokens()

    def follow_lm_eval(self, *, causal: bool, add_bos: bool | None = None, first: int | None = None) -> None:
        """Encode and decode as `lm_eval --model hf` does, to the letter.

        `add_bos` is its `add_bos_token` (None: as the tokenizer does), `first` its `prefix_token_id` (None: BOS, else
        EOS); `causal` says whether a context and its continuation are one text.
        """
        self._lm_eval = True
        self._causal = causal
        self._first = first
        if add_bos is False:
            self.before, self.after = (), ()

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
    def follows_lm_eval(self) -> bool:
        """Whether `follow_lm_eval` has been called."""
        return self._lm_eval

    @property
    def first(self) -> int:
        """The token that stands for nothing before a text: BOS, else EOS, unless another has been chosen.

        Raises:
            RequestError: the tokenizer has neither.
        """
        for token in (self._first, self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise RequestError(
            "nothing stands before the text, and the tokenizer has neither a BOS nor an EOS token to put there"
        )

    @property
    def room(self) -> int:
        """How many tokens of a text fit beside the special tokens before and behind it.

        Raises:
            RequestError: none does.
        """
        n_special = len(self.before) + len(self.after)
        if self.max_length <= n_special:
            raise RequestError(
                f"max_length {self.max_length} leaves no room for a text beside {n_special} special tokens; raise it"
            )
        return self.max_length - n_special

    @property
    def pad(self) -> int:
        """The id to pad with; it is masked, so any does where the tokenizer has none of its own."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, self.tokenizer.bos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _encode(self, text: str) -> list[int]:
        # What is too long is cut by us: no word of the tokenizer about it.
        encoding = self.tokenizer(text, add_special_tokens=False, verbose=False)
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
            encoded = self.tokenizer(asked, add_special_tokens=False, return_attention_mask=False, verbose=False)
            self._known = dict(zip(asked, encoded["input_ids"], strict=True))

    def text(self, text: str) -> list[int]:
        """The ids of `text`, no special token added.

        Raises:
            RequestError: the text cannot be encoded (a lone surrogate).
        """
        if (known := self._known.get(text)) is not None:
            return self._checked(known)
        try:
            ids = self._encode(text)
        except (UnicodeError, TypeError, ValueError, OverflowError) as error:
            raise RequestError(f"the tokenizer cannot encode this text: {error}") from error
        return self._checked(ids)

    def _checked(self, ids: list[int]) -> list[int]:
        if self._n_embeddings is not None and ids and max(ids) >= self._n_embeddings:
            token = max(ids)
            raise RequestError(
                f"the tokenizer makes token {token} ({self.tokenizer.convert_ids_to_tokens(token)!r}) of this text, "
                f"but the model knows {self._n_embeddings} tokens only; give its own tokenizer with `tokenizer:`"
            )
        return ids

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
        if self._lm_eval and self.tokenizer.bos_token and prompt.startswith(self.tokenizer.bos_token):
            # Here lm-eval looks for the BOS of the tokenizer, whatever its prefix_token_id is.
            return self.text(prompt)
        return [*self._before(prompt), *self.text(prompt), *self._behind(prompt)] or [self.first]

    def source(self, prompt: Prompt, *, scored: bool) -> tuple[tuple[int, ...], int]:
        """What the encoder of an encoder-decoder reads, special tokens included, and how many ids did not fit.

        With `scored` targets the white space at the end of `prompt` is theirs, and an empty one is BOS, or else EOS.
        """
        after: tuple[int, ...] = ()
        if isinstance(prompt, TokenPrompt):
            ids = list(prompt.ids)
        elif not isinstance(prompt, str):
            ids = self.text(self.chat(prompt))
        elif scored and not prompt:
            return (self.first,), 0
        else:
            context = prompt.rstrip() if scored else prompt
            before, after = self.before, self.after
            if self._starts_with_bos(context) and (scored or not self._lm_eval):
                # lm-eval then adds none behind, either, where it scores, and takes no notice where it generates.
                before, after = (), () if self._lm_eval else after
            ids = [*before, *self.text(context)]
        n_cut = max(0, len(ids) + len(after) - self.max_length)
        return (*ids[n_cut:], *after) or (self.first,), n_cut

    def whole(self, text: str) -> list[int]:
        """The ids of a `text` that is scored whole, after `first`."""
        if not self._lm_eval:
            return self.text(text)
        # lm-eval puts the tokenizer's BOS behind its own, and scores it.
        return [*self._before(text), *self.text(text), *self._behind(text)]

    def _starts_with_bos(self, text: str) -> bool:
        # Another `first` is the BOS of likelihoods for lm-eval.
        bos = self.tokenizer.bos_token if self._first is None else self.tokenizer.decode([self._first])
        return bool(bos) and text.startswith(bos)

    def _before(self, text: str) -> tuple[int, ...]:
        return () if self._starts_with_bos(text) else self.before

    def _behind(self, text: str) -> tuple[int, ...]:
        """The special tokens that lm-eval leaves behind a context of a causal model."""
        return self.after if self._lm_eval and self._causal and not self._starts_with_bos(text) else ()

    def split(self, prompt: Prompt, continuations: Sequence[str]) -> list[Split]:
        """The tokens of `prompt` and of each of `continuations` after it, not cut.

        Raises:
            RequestError: a continuation has no tokens.
        """
        if isinstance(prompt, str):
            context = prompt.rstrip()
            space = prompt[len(context) :]
            before, after, behind = self._before(context), self.after, self._behind(context)
        else:
            # The template writes the special tokens.
            context, space, before, after, behind = self.chat(prompt), "", (), (), ()
        head = [*self.text(context), *behind] if context else [*behind]
        found = []
        for continuation in continuations:
            seen, target, merged = self._divided(context, head, space + continuation, behind)
            found.append(Split(seen, target, before, after, merged))
        return found

    def _divided(
        self, context: str, head: list[int], continuation: str, behind: tuple[int, ...]
    ) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        whole = [*self.text(context + continuation), *behind]
        if len(whole) > len(head) or not continuation:
            seen, target, merged = head, whole[len(head) :], False
        else:
            at = next((i for i, (a, b) in enumerate(zip(whole, head, strict=False)) if a != b), len(whole))
            seen, target, merged = whole[:at], whole[at:], True
        if not target:
            raise RequestError(f"the continuation {continuation!r} has no tokens to score")
        return tuple(seen), tuple(target), merged

    def pairs(self, prompt: Prompt, continuations: Sequence[str]) -> list[Encoded]:
        """Context and continuation for each of `continuations` after `prompt`, as a causal model reads them.

        It reads all but the last token, so that `max_length + 1` tokens fit.

        Raises:
            RequestError: a continuation has no tokens, or more than the model reads.
        """
        found = []
        parts = self._alone(continuations) if prompt == "" else self.split(prompt, continuations)
        for part in parts:
            context = (*part.before, *part.context) or (self.first,)
            self.check_fits(part.continuation, self.max_length)
            n_cut = max(0, len(context) + len(part.continuation) - (self.max_length + 1))
            found.append(Encoded(context[n_cut:], part.continuation, n_cut, part.merged))
        return found

    def _alone(self, continuations: Sequence[str]) -> list[Split]:
        """Each of `continuations` after nothing: after `first`, which is not doubled."""
        found = []
        for continuation in continuations:
            target = tuple(self.text(continuation))
            if not target:
                raise RequestError(f"the continuation {continuation!r} has no tokens to score")
            begins = len(target) > 1 and target[0] == self.first
            found.append(Split((self.first,), target[1:] if begins else target, (), ()))
        return found

    def check_fits(self, continuation: Sequence[int], room: int) -> None:
        """Raise a `RequestError` if `continuation` alone is longer than `room`: it is never cut."""
        if len(continuation) > room:
            raise RequestError(f"the continuation has {len(continuation)} tokens; the model reads {room} at most")

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens."""
        # None leaves the tokenizer's own setting, as lm-eval does.
        clean_up = None if self._lm_eval else False
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=clean_up)
        return str(text)
