"""A causal model as a server of completions needs it: token ids in, log-probabilities of each token or text out."""

from __future__ import annotations

import copy
import functools
import math
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.types import Prompt, Request, Response

from .backend import HfCausal
from .hardware import steady_attention
from .loading import Loaded, quiet
from .memory import Failure, free_memory, is_out_of_memory, raise_if_lost, run_batches
from .token_logprobs import TokenScorer, TokenScores, WantedScores, n_inputs
from .token_tree import TreeTokenScorer
from .tokens import RequestError, TokenPrompt, Tokens

__all__ = ["CausalEngine", "ServedCausal"]


class ServedCausal(HfCausal):
    """A causal model that also tells the log-probability of each token."""

    def prepare(self, loaded: Loaded) -> None:
        super().prepare(loaded)
        self.generator.keeps_ids = True
        self.token_scorer: Any = TokenScorer(loaded.model, pad=self.tokens.pad, device=loaded.device)
        self.tree_scorer: TreeTokenScorer | None = None
        # A fast tokenizer may not be used by two threads at once: this one is for the thread that serves.
        self.own_tokens: Any = Tokens(
            copy.deepcopy(loaded.tokenizer), max_length=self.tokens.max_length, name=self.name
        )
        self.n_vocabulary = int(loaded.model.get_input_embeddings().num_embeddings)
        below = loaded.model.get_base_model() if hasattr(loaded.model, "get_base_model") else loaded.model
        ends = getattr(below.generation_config, "eos_token_id", None)
        ends = loaded.tokenizer.eos_token_id if ends is None else ends
        self.ends = frozenset(() if ends is None else [ends] if isinstance(ends, int) else ends)

    def forget(self) -> None:
        super().forget()
        self.token_scorer = self.tree_scorer = self.own_tokens = None

    async def token_scores(self, wanted: Sequence[WantedScores]) -> list[TokenScores | str]:
        """The scores of each list, in order; in place of those that failed, why."""
        await self.open()
        unwanted = threading.Event()
        try:
            return await self._on_worker(lambda: self._token_scores(wanted, unwanted))
        finally:
            # Cancelled: the batch that is being computed is the last one.
            unwanted.set()

    def _token_scores(self, wanted: Sequence[WantedScores], unwanted: threading.Event) -> list[TokenScores | str]:
        found: list[TokenScores | str | None] = [None] * len(wanted)
        with quiet(), steady_attention(self.device):
            for index, scores in self._shared(wanted, unwanted):
                found[index] = scores
            left = [(index, one) for index, one in enumerate(wanted) if found[index] is None]
            for outcomes in run_batches(
                left if not unwanted.is_set() else [],
                length=lambda item: max(1, n_inputs(item[1])),
                size=self.size("loglikelihood"),
                run=lambda batch: self.token_scorer([one for _, one in batch]),
            ):
                for outcome in outcomes:
                    result = outcome.result
                    found[outcome.item[0]] = result.message if isinstance(result, Failure) else result
                if unwanted.is_set():
                    break
        return ["" if scores is None else scores for scores in found]

    def _shared(self, wanted: Sequence[WantedScores], unwanted: threading.Event) -> Iterator[tuple[int, TokenScores]]:
        """The scores of the lists that can be computed as one tree; the others, and what fails, are left."""
        if len(wanted) < 2:
            return
        places = [index for index, one in enumerate(wanted) if self.scorer.shares(n_inputs(one))]
        if not places:
            return
        if self.tree_scorer is None:
            self.tree_scorer = TreeTokenScorer(self.weights, device=self.device)
        size = self.size("tree")
        try:
            for finished in self.tree_scorer([wanted[index] for index in places], size=size):
                # Lists of one tree can spoil one another: the padded way finds out which one it is.
                yield from ((places[at], scores) for at, scores in finished if _is_sound(scores))
                if unwanted.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - the lists that have no scores yet are computed the padded way
            raise_if_lost(str(error))
            if is_out_of_memory(error):
                size.tokens = max(1, (size.tokens or 1) // 2)
                free_memory()


def _is_sound(scores: TokenScores) -> bool:
    return not any(math.isnan(value) for value in scores.logprobs) and not any(
        math.isnan(value) for place in scores.top for _, value in place
    )


class CausalEngine:
    """What `integrations.completions` asks of a model, of an opened `ServedCausal`."""

    def __init__(self, model: ServedCausal) -> None:
        self._model = model
        self._tokens: Tokens = model.own_tokens
        self.max_length = self._tokens.max_length
        self.n_vocabulary = model.n_vocabulary
        self._begun: set[str] = set()
        self.piece = functools.lru_cache(maxsize=200_000)(self._piece)
        # An ordinary token in front keeps decoders from dropping the space that a token begins with.
        self._anchor = self._tokens.text("a")[-1:]
        self._anchor_text = self._decoded(self._anchor)

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids of a whole prompt, as the model is used to reading it.

        Raises:
            UsageError: it cannot be encoded, or the model has no chat template for these turns.
        """
        try:
            return tuple(self._tokens.prompt(prompt))
        except RequestError as error:
            raise UsageError(str(error)) from error

    def n_added(self, text: str, ids: Sequence[int]) -> int:
        """How many special tokens stand before the ids of `text` that are not in the text."""
        bos = self._tokens.tokenizer.bos_token
        if bos and text.startswith(bos):
            return 0
        if not text:
            return len(ids)
        before = self._tokens.before
        return len(before) if tuple(ids[: len(before)]) == before else 0

    def prompt(self, ids: Sequence[int]) -> Prompt:
        """A prompt that stands for exactly these ids."""
        return TokenPrompt(ids)

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """The text of `ids`, special tokens included unless `special` is false."""
        return self._decoded(list(ids)) if special else self._tokens.decode(ids)

    def ends(self, token: int) -> bool:
        """Whether `token` ends a text."""
        return token in self._model.ends

    def _piece(self, token: int) -> str:
        text = self._decoded([*self._anchor, token])
        return text[len(self._anchor_text) :] if text.startswith(self._anchor_text) else self._decoded([token])

    def _decoded(self, ids: list[int]) -> str:
        return str(self._tokens.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def written(self, response: Response) -> tuple[int, ...]:
        """The ids that were written for `response`, with the end token behind them if the model ended the text."""
        ids = response.meta.get("token_ids")
        return tuple(int(str(token)) for token in ids) if isinstance(ids, list) else ()

    async def score(self, wanted: Sequence[WantedScores]) -> Sequence[TokenScores | str]:
        """The scores of each list, in order; in place of those that failed, why."""
        return await self._model.token_scores(wanted)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        """The response to each request, in order."""
        keys = {request.key for request in requests}
        self._begun |= keys
        found = {response.key: response async for response in self._model.generate(requests)}
        self._begun -= keys
        self._model.generator.unwanted.difference_update(keys)
        return [found[request.key] for request in requests]

    def abandon(self, keys: Collection[str]) -> None:
        """End the texts of these requests, if any are being written: nobody waits for them any more."""
        self._model.generator.unwanted.update(self._begun.intersection(keys))
