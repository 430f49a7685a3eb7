"""The four Hugging Face models, and the factories that the registry names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from evalharness.core.errors import UsageError
from evalharness.core.types import Json, Kind, Request, Response

from .base import HfModel
from .hardware import resolve_devices
from .replicas import Replicas
from .spec import Backend, HfSpec
from .tokens import Tokens

if TYPE_CHECKING:
    from evalharness.core.games import WhiteBox

    from .loading import Loaded
    from .rows import Plan

M = TypeVar("M", bound=HfModel)

__all__ = [
    "HfCausal",
    "HfClassifier",
    "HfMasked",
    "HfSeq2Seq",
    "make_causal",
    "make_classifier",
    "make_masked",
    "make_seq2seq",
]


class HfCausal(HfModel):
    """Causal language models: text, log-likelihoods of continuations, log-likelihood of whole texts."""

    backend: ClassVar[Backend] = "hf-causal"
    capabilities: frozenset[Kind] = frozenset({"generate", "loglikelihood", "loglikelihood_rolling"})

    def prepare(self, loaded: Loaded) -> None:
        super().prepare(loaded)
        from .generation import Generator
        from .likelihood import CausalLikelihood
        from .scoring import CausalScorer

        model, device = loaded.model, loaded.device
        side = self.spec.padding_side
        plain = CausalScorer(model, pad=self.tokens.pad, device=device, side=side or "right")
        asked = None if side is None else f"padding_side: {side} asks for padded batches"
        self.scorer: Any = CausalLikelihood(model, plain=plain, device=device, force_plain=asked)
        self.generator: Any = Generator(model, self.tokens, device=device, encoder_decoder=False)

    def forget(self) -> None:
        super().forget()
        self.scorer = self.generator = None

    def forget_computed(self) -> None:
        self.scorer.reset()

    def report(self) -> Mapping[str, Mapping[str, Json]]:
        found = {"loglikelihood": self.scorer.report(), "generate": self.generator.report()}
        return {**super().report(), **{kind: work for kind, work in found.items() if work}}

    def respond(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .plans import causal_plan

        if kind == "generate":
            return iter(self.generator(requests, size=self.size(kind), read_size=self.size("tree")))
        if kind == "loglikelihood_rolling":
            return self._whole_texts(requests)
        return self._scored(requests, causal_plan)

    def _whole_texts(self, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .plans import causal_rolling_plan

        for wants_tokens, some in itertools.groupby(
            requests, lambda request: request.sampling.top_logprobs is not None
        ):
            if wants_tokens:
                yield from self._token_by_token(some)
            else:
                yield from self._scored(some, causal_rolling_plan)

    def _token_by_token(self, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .distributions import distributions
        from .token_logprobs import TokenScorer

        model = self.weights
        return distributions(
            requests,
            tokens=self.tokens,
            scorer=TokenScorer(model, pad=self.tokens.pad, device=self.device),
            size=self.size("loglikelihood"),
            n_vocabulary=int(model.get_input_embeddings().num_embeddings),
        )

    def _scored(self, requests: Iterable[Request], plan: Callable[[Request, Tokens], Plan]) -> Iterator[list[Response]]:
        from .rows import score

        size, plain_size = self.size("tree"), self.size("loglikelihood")
        return score(
            requests,
            plan=lambda request: plan(request, self.tokens),
            compute=lambda rows: self.scorer(rows, size=size, plain_size=plain_size),
            prepare=self.tokens.prime,
            # On a CPU the two would take the cores from one another.
            ahead=self.device != "cpu",
        )

    def game(self, request: Request, **options: Any) -> WhiteBox:
        """The request's text as a game of its words, for `explain`; `options` are those of `make_games.Options`.

        Raises:
            UsageError: an option is wrong.
            GameError: this text cannot be explained.
        """
        from .make_games import causal_game, options_of

        size, plain_size = self.size("tree"), self.size("loglikelihood")
        return causal_game(
            request,
            options_of(options),
            model=self.weights,
            tokens=self.tokens,
            compute=lambda rows: self.scorer(rows, size=size, plain_size=plain_size),
            device=self.device,
        )


class HfSeq2Seq(HfModel):
    """Encoder-decoder models: text from a source, log-likelihood of targets given a source."""

    backend: ClassVar[Backend] = "hf-seq2seq"
    capabilities: frozenset[Kind] = frozenset({"generate", "loglikelihood"})
    scorer: Any = None
    generator: Any = None

    def prepare(self, loaded: Loaded) -> None:
        super().prepare(loaded)
        from .generation import Generator
        from .padding import encoder_decoder_probes, row_batches
        from .scoring import EncoderDecoderScorer

        model, device = loaded.model, loaded.device
        self._begin = _decoder_begin(model, self.tokens)
        self.scorer = EncoderDecoderScorer(model, pad=self.tokens.pad, device=device)
        self.batches = row_batches(
            self.scorer, model=model, probes=lambda: encoder_decoder_probes(model, self.tokens, begin=self._begin)
        )
        self.generator = Generator(model, self.tokens, device=device, encoder_decoder=True)

    def forget(self) -> None:
        super().forget()
        self.scorer = self.generator = None

    def report(self) -> Mapping[str, Mapping[str, Json]]:
        found = dict(super().report())
        if self.scorer is not None and self.scorer.n_computed:
            plain = {"way": "plain", "why_plain": "an encoder-decoder shares what its encoder makes of a source"}
            computed = {"tokens_computed": self.scorer.n_computed}
            found["loglikelihood"] = {**plain, **computed, **found.get("loglikelihood", {})}
        if self.generator is not None and (work := self.generator.report()):
            found["generate"] = work
        return found

    def respond(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .plans import encoder_decoder_plan
        from .rows import score

        if kind == "generate":
            return iter(self.generator(requests, size=self.size(kind), read_size=self.size("tree")))
        return score(
            requests,
            plan=lambda request: encoder_decoder_plan(request, self.tokens, begin=self._begin),
            compute=lambda rows: self.batches(rows, size=self.size(kind)),
        )

    def game(self, request: Request, **options: Any) -> WhiteBox:
        """The request's text as a game of its words, for `explain`; `options` are those of `make_games.Options`.

        Raises:
            UsageError: an option is wrong.
            GameError: this text cannot be explained.
        """
        from .make_games import encoder_decoder_game, options_of

        size = self.size("loglikelihood")
        return encoder_decoder_game(
            request,
            options_of(options),
            model=self.weights,
            tokens=self.tokens,
            compute=lambda rows: self.batches(rows, size=size),
            begin=self._begin,
            device=self.device,
        )


def _decoder_begin(model: Any, tokens: Tokens) -> tuple[int, ...]:
    """What generation puts before a target: the decoder's start token, and the BOS or language that is forced."""
    settings = model.generation_config
    start = settings.decoder_start_token_id
    if start is None:
        start = getattr(model.config, "decoder_start_token_id", None)
    if start is None:
        start = tokens.first
    forced = settings.forced_bos_token_id
    return (int(start),) if forced is None else (int(start), int(forced))


class HfMasked(HfModel):
    """Masked language models: pseudo-log-likelihoods, one token masked at a time."""

    backend: ClassVar[Backend] = "hf-masked"
    capabilities: frozenset[Kind] = frozenset({"loglikelihood", "loglikelihood_rolling"})

    def prepare(self, loaded: Loaded) -> None:
        super().prepare(loaded)
        from .padding import masked_probes, row_batches
        from .scoring import MaskedScorer

        mask = loaded.tokenizer.mask_token_id
        if mask is None:
            raise UsageError(f"model {self.name!r}: its tokenizer has no mask token, so hf-masked cannot use it")
        self.scorer: Any = MaskedScorer(loaded.model, pad=self.tokens.pad, device=loaded.device, mask=int(mask))
        self.batches = row_batches(
            self.scorer, model=loaded.model, probes=lambda: masked_probes(loaded.model, self.tokens)
        )

    def forget(self) -> None:
        super().forget()
        self.scorer = None

    def respond(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .plans import masked_plan, masked_rolling_plan
        from .rows import score

        plan = masked_plan if kind == "loglikelihood" else masked_rolling_plan
        return score(
            requests,
            plan=lambda request: plan(request, self.tokens),
            compute=lambda rows: self.batches(rows, size=self.size("loglikelihood")),
        )


class HfClassifier(HfModel):
    """Sequence classifiers: label probabilities of a text, for two labels, several, or several at once."""

    backend: ClassVar[Backend] = "hf-classifier"
    capabilities: frozenset[Kind] = frozenset({"classify"})
    padded_kind: ClassVar[Kind] = "classify"

    def prepare(self, loaded: Loaded) -> None:
        super().prepare(loaded)
        from .classification import head_of
        from .classifier import classifier_batches

        config = loaded.model.config
        self.labels = head_of(config, labels=self.spec.labels, threshold=self.spec.threshold, shown=self.spec.path)
        if config.pad_token_id is None:
            # Decoders with a classification head find the last token of a text as the last that is not padding.
            config.pad_token_id = self.tokens.pad
        self.batches = classifier_batches(loaded.model, tokens=self.tokens, device=loaded.device)

    def respond(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .classifier import classify

        return classify(requests, batches=self.batches, tokens=self.tokens, labels=self.labels, size=self.size(kind))

    def game(self, request: Request, **options: Any) -> WhiteBox:
        """The request's text as a game of its words, for `explain`; `options` are those of `make_games.Options`.

        Raises:
            UsageError: an option is wrong.
            GameError: this text cannot be explained.
        """
        from .make_games import classifier_game, options_of

        return classifier_game(
            request,
            options_of(options),
            model=self.weights,
            tokens=self.tokens,
            labels=self.labels,
            size=self.size("classify"),
            device=self.device,
        )


def _made(kind: type[M], name: str, spec: HfSpec, *, base: Path, allow_code: bool) -> M | Replicas:
    """The model, or as many copies of it as it is to have GPUs."""
    if spec.trust_remote_code and not allow_code:
        raise UsageError(
            f"model {name!r} asks for trust_remote_code, which runs Python code that the checkpoint carries; "
            f"read that code, and pass --allow-code if you trust it"
        )
    if spec.devices is None:
        return kind(name, spec, base=base)
    copies = [kind(name, spec, base=base, device=device) for device in resolve_devices(spec.devices)]
    return copies[0] if len(copies) == 1 else Replicas(copies)


def make_causal(
    name: str, spec: HfSpec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> HfCausal | Replicas:
    """Causal language model (Llama, GPT-2, Mistral, Qwen …) from a folder or the hub, run on GPU or CPU.

    Generates greedily or by sampling with a stream of random numbers for each request, scores continuations and whole
    texts. Results do not depend on the batch size or the side of padding.
    """
    return _made(HfCausal, name, spec, base=base, allow_code=allow_code)


def make_seq2seq(
    name: str, spec: HfSpec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> HfSeq2Seq | Replicas:
    """Encoder-decoder model (T5, BART, Marian …) from a folder or the hub, run on GPU or CPU.

    The prompt is the source; generates a target, or scores given ones (without the end-of-text token, as lm-eval).
    """
    return _made(HfSeq2Seq, name, spec, base=base, allow_code=allow_code)


def make_classifier(
    name: str, spec: HfSpec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> HfClassifier | Replicas:
    """Sequence classifier from a folder or the hub: two labels, several, or several at once (multi-label).

    The answer is the likeliest label; of a multi-label model it is the JSON list of the labels above `threshold`, in
    alphabetical order, such as `["anger","joy"]`. A single logit is a sigmoid for the second of two labels.
    """
    return _made(HfClassifier, name, spec, base=base, allow_code=allow_code)


def make_masked(
    name: str, spec: HfSpec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> HfMasked | Replicas:
    """Masked language model (BERT, RoBERTa …) from a folder or the hub: pseudo-log-likelihoods.

    Each token is masked alone and looked up with all others seen; the log-probabilities are summed.
    """
    return _made(HfMasked, name, spec, base=base, allow_code=allow_code)
