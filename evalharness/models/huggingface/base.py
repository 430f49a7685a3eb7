"""What the Hugging Face models have in common: where they are, who they are, loading, and the sizes of batches."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evalharness.core.errors import UsageError
from evalharness.core.location import Location, locate
from evalharness.core.memory import map_large_pieces, trim_memory
from evalharness.core.types import Json, Kind, Message, Request, Response
from evalharness.models.batching import BatchModel

from .architecture import check_architecture, check_folder
from .hardware import free_bytes, resolve_device, resolve_dtype, steady_attention
from .identity import describe, package_versions, read_config
from .max_length import max_length_of
from .memory import BatchSize, keep_memory
from .spec import Backend, HfSpec
from .tokens import Tokens

if TYPE_CHECKING:
    from .loading import Loaded

__all__ = ["HfModel"]

# Padded tokens a batch under batch_size: auto. On a CPU the activations should stay in the cache of the core that works
# on them: SmolLM2-135M in float32 scores 465 tokens/s a thread at 512 and 335 at 2,048. A GPU wants many, and memory
# that ends makes them fewer.
_TOKENS_PER_THREAD = 512
_TOKENS_GPU = 32768
# Decoding reads all weights for each token, so more texts together cost little, on a CPU until its cores are busy: a
# layer of SmolLM2-135M does 11 billion operations a second for 1 text, 62 for 8, 202 for 64.
_GENERATED_ROWS = {"cpu": 64}
_GENERATED_ROWS_GPU = 128
_GENERATED_TOKENS_PER_ROW = 512
# What the keys and values of texts that are decoded together may take on a CPU: a third of what the weights take, so
# that they never are what memory ends with, and a little in any case.
_KEPT_SHARE = 3
_KEPT_BYTES = 32 * 2**20
# Parameters of a model whose memory is wanted back at once.
_LARGE = 10_000_000


class HfModel(BatchModel):
    """A checkpoint that is run here; a subclass says what its kind of model can do.

    `device` is where it runs, if not where `spec` says.
    """

    backend: ClassVar[Backend]
    padded_kind: ClassVar[Kind] = "loglikelihood"
    batches: Any = None  # `PaddedBatches` of that kind, where the backend has them

    def __init__(self, name: str, spec: HfSpec, *, base: Path, device: str | None = None) -> None:
        super().__init__(name)
        self.spec = spec
        self._asked_device = spec.device if device is None else device
        self._at = locate(spec.path, base=base, revision=spec.revision)
        self._tokenizer_at = None if spec.tokenizer is None else locate(spec.tokenizer, base=base, what="tokenizer")
        self._adapter_at = None if spec.adapter is None else _adapter(spec.adapter, base)
        if self._at.hub is None:
            assert self._at.folder is not None
            check_folder(self._at.folder, shown=spec.path)
        self._config = read_config(self._at.folder)
        if self._adapter_at is None:
            # An adapter may bring the head that its base model lacks.
            check_architecture(self.backend, self._config, shown=spec.path)
        self._loaded_model: Loaded | None = None
        self._sizes: dict[str, BatchSize] = {}

    @cached_property
    def device(self) -> str:
        """The device that is computed on: cpu, cuda, cuda:1, mps."""
        return resolve_device(self._asked_device)

    @property
    def _dtype(self) -> str:
        # Of a hub name the format is part of the commit: told the same way before and after its download.
        folder = self._at.folder if self._at.hub is None else None
        return resolve_dtype(self.spec.dtype, device=self.device, folder=folder, config=self._config)

    def identity(self) -> Mapping[str, Json]:
        versions = package_versions(self.name, adapter=self.spec.adapter is not None)
        return describe(
            self.backend,
            self.spec,
            versions=versions,
            location=self._at,
            tokenizer=self._tokenizer_at,
            adapter=self._adapter_at,
            device=self.device,
            dtype=self._dtype,
        )

    def sampling_defaults(self) -> Mapping[str, Json]:
        """`top_k` and `top_p` that transformers would sample with where a request does not say."""
        return self._sampling_defaults

    @cached_property
    def _sampling_defaults(self) -> Mapping[str, Json]:
        from .checkpoint_sampling import sampling_defaults

        return sampling_defaults(self._at, self._config)

    @cached_property
    def _chat_tokenizer(self) -> Any:
        from .loading import load_tokenizer

        return load_tokenizer(self.name, self.spec, self._tokenizer_at or self._at)

    def chat_text(self, turns: Sequence[Message], begin_answer: bool) -> str:
        """The text that the chat template makes of `turns`, as lm-eval makes it: no weights are loaded.

        `begin_answer` says whether an answer is begun behind them; else the last turn is continued. Where the template
        refuses the system's turn it is left out.

        Raises:
            UsageError: the model has no chat template, or its template refuses these turns.
        """
        import jinja2

        tokenizer = self._chat_tokenizer
        if tokenizer.chat_template is None:
            raise UsageError(f"model {self.name!r} has no chat template; set apply_chat_template: false")
        shown = [{"role": turn.role, "content": turn.content} for turn in turns]
        for kept in (shown, [turn for turn in shown if turn["role"] != "system"]):
            try:
                text = tokenizer.apply_chat_template(
                    kept, tokenize=False, add_generation_prompt=begin_answer, continue_final_message=not begin_answer
                )
            except jinja2.TemplateError as error:
                refused = error
                continue
            return str(text)
        raise UsageError(f"the chat template of model {self.name!r} refuses these turns: {refused}")

    def load(self) -> None:
        from .loading import load

        # Asked for first, since it says in plain words which package is missing.
        package_versions(self.name, adapter=self.spec.adapter is not None)

        if self.device == "cpu":
            # The dense weights of each layer go back to the system as soon as the layer has been laid out.
            map_large_pieces()
        self._loaded_model = load(
            self.name,
            self.backend,
            self.spec,
            location=self._at,
            tokenizer=self._tokenizer_at,
            adapter=self._adapter_at,
            device=self.device,
            dtype=self._dtype,
        )
        if self.device == "cpu":
            # Not before: weights are large pieces that go back as they are when they are not needed any more.
            keep_memory()
            trim_memory()
        self.prepare(self._loaded_model)

    def unload(self) -> None:
        loaded, self._loaded_model = self._loaded_model, None
        n_parameters = 0 if loaded is None else _sizes(loaded.model)[0]
        del loaded
        self._sizes.clear()
        self.forget()
        if self.device == "cpu":
            trim_memory()
        if n_parameters > _LARGE:
            # Modules hold one another in circles; a full collection takes a quarter of a second, worth it for these.
            gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def prepare(self, loaded: Loaded) -> None:
        """Make what `respond` computes with."""
        limit = self.spec.max_length
        self.tokens = Tokens(
            loaded.tokenizer,
            max_length=max_length_of(loaded.model.config, loaded.tokenizer, limit=limit),
            name=self.name,
            n_embeddings=_n_embeddings(loaded),
        )

    def forget(self) -> None:
        """Drop what `prepare` made."""
        self.__dict__.pop("tokens", None)
        self.batches = None

    def respond(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        """The responses, a batch at a time, of one of the kinds in `capabilities`."""
        raise NotImplementedError

    def answer(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        from .loading import quiet

        batches = self.respond(kind, requests)
        while True:
            # Entered anew for each batch: between batches the settings are those of whoever else runs.
            with quiet(), steady_attention(self.device):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    @contextlib.contextmanager
    def randomised(self, *, seed: int = 0) -> Iterator[None]:
        """Within the block the upper half of the model knows nothing; see `randomised.randomised_top`.

        What is held of texts computed before is forgotten on both sides: it belongs to other weights.

        Raises:
            UsageError: the model has weights that cannot be drawn anew.
        """
        from .onednn import with_onednn, without_onednn
        from .randomised import randomised_top

        self.forget_computed()
        is_laid_out = without_onednn(self.weights) > 0
        try:
            with randomised_top(self.weights, n_layers=None, seed=seed):
                yield
        finally:
            if is_laid_out:
                with_onednn(self.weights)
            self.forget_computed()

    def forget_computed(self) -> None:
        """Give back what is held of texts computed before."""

    @property
    def weights(self) -> Any:
        """The model of transformers; None while it is not loaded."""
        return None if self._loaded_model is None else self._loaded_model.model

    def report(self) -> Mapping[str, Mapping[str, Json]]:
        """For the record: under `weights` how large the model is, and by kind of request what it has computed."""
        if self._loaded_model is None:
            return {}
        n_parameters, size = _sizes(self._loaded_model.model)
        padded = {} if self.batches is None else self.batches.report()
        return {"weights": {"n_parameters": n_parameters, "bytes": size}} | (
            {self.padded_kind: padded} if padded else {}
        )

    def size(self, kind: str) -> BatchSize:
        """How much goes into a batch; what memory has taught is kept from one call to the next."""
        if kind not in self._sizes:
            self._sizes[kind] = self._first_size(kind)
        return self._sizes[kind]

    def _first_size(self, kind: str) -> BatchSize:
        if kind == "tree":
            # Nothing is padded, so the number of requests is no measure of the work.
            return BatchSize(tokens=self._tokens_at_once())
        if self.spec.batch_size != "auto":
            return BatchSize(rows=int(self.spec.batch_size))
        if kind == "generate":
            rows = _GENERATED_ROWS.get(self.device, _GENERATED_ROWS_GPU)
            size = BatchSize(rows=rows, tokens=rows * _GENERATED_TOKENS_PER_ROW)
            if self._loaded_model is not None:
                model = self._loaded_model.model
                kept = _bytes_per_token(model)
                if self.device == "cpu" and size.tokens is not None:
                    _, n_bytes = _sizes(model)
                    size.tokens = min(size.tokens, max(_KEPT_BYTES, n_bytes // _KEPT_SHARE) // kept)
                # On several devices none holds all layers of a token: what is left on the first one says too little.
                if self.spec.device_map is None:
                    size.bound(kept, free=free_bytes(self.device))
            return size
        return BatchSize(tokens=self._tokens_at_once())

    def _tokens_at_once(self) -> int:
        if self.device != "cpu":
            return _TOKENS_GPU
        import torch

        return _TOKENS_PER_THREAD * int(torch.get_num_threads())


def _sizes(model: Any) -> tuple[int, int]:
    from .onednn import sizes_of

    return sizes_of(model)


def _n_embeddings(loaded: Loaded) -> int | None:
    """How many tokens the model knows, where its tokenizer knows more; None where it knows no more."""
    try:
        n = getattr(loaded.model.get_input_embeddings(), "num_embeddings", None)
        return n if isinstance(n, int) and len(loaded.tokenizer) > n else None
    except (NotImplementedError, AttributeError, TypeError):
        return None


def _bytes_per_token(model: Any) -> int:
    """What the keys and values of one token take, by the model's settings; 2 kB where they do not say."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    layers, heads = getattr(config, "num_hidden_layers", None), getattr(config, "num_attention_heads", None)
    if not layers or not heads:
        return 2048
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * layers * kept * width * next(model.parameters()).element_size())


def _adapter(text: str, base: Path) -> Location:
    location = locate(text, base=base, what="adapter")
    if location.hub is None and location.folder is not None and not (location.folder / "adapter_config.json").is_file():
        raise UsageError(f"adapter folder {text!r} is not a PEFT adapter: it has no adapter_config.json")
    return location
