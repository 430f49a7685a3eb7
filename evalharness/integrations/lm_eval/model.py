"""Our engine as a model of lm-eval: `simple_evaluate(model="evalharness", model_args="pretrained=…")`.

The figures are those of lm-eval's own `hf`; what our engine does not do (beam search, a checkpoint's repetition
penalty) is left to that model, so that this holds for all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM, TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import configure_pad_token, normalize_gen_kwargs, postprocess_generated_text
from tqdm import tqdm

from evalharness.core.errors import UsageError
from evalharness.core.types import Kind, Request, Response, Sampling

from .engine import Engine
from .options import read_options
from .register import NAME
from .sampling import not_ours, sampling_of, stops_of

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

__all__ = ["EvalHarnessLM"]

logger = logging.getLogger(__name__)

# lm-eval's own default.
_MAX_GEN_TOKS = 256
# Continuations of one context that are asked for together; more would hold up the first answers.
_TOGETHER = 256


@register_model(NAME)
class EvalHarnessLM(LM):  # type: ignore[misc]
    """A Hugging Face checkpoint on evalharness' engine; the arguments are those of lm-eval's `hf`.

    `batch_size` is accepted and has no effect: batches are packed by tokens, to what memory holds. The weights are
    loaded at once; `close` gives them back.
    """

    def __init__(self, pretrained: str, **arguments: Any) -> None:
        super().__init__()
        # Called with every answer; whoever waits for the first one sees to it.
        self.at_answer: Callable[[], None] = lambda: None
        self._options = read_options({"pretrained": pretrained, **arguments})
        self._engine = Engine(self._options)
        self._engine.open()
        self.backend = "causal" if self._options.backend == "hf-causal" else "seq2seq"

    def close(self) -> None:
        """Give the weights back; the next call loads them again."""
        self._engine.close()

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers, with a padding token as lm-eval gives it."""
        self._engine.open()
        return configure_pad_token(self._engine.tokens.tokenizer)

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval's cache of built requests knows the chat template by."""
        return str(self._options.given.get("tokenizer") or self._options.given["pretrained"]).replace("/", "__")

    @property
    def eot_token_id(self) -> int | None:
        """The token that ends a text."""
        found: int | None = self.tokenizer.eos_token_id
        return found

    @property
    def prefix_token_id(self) -> int:
        """The token that stands for nothing before a text."""
        return int(self._engine.tokens.first)

    @property
    def max_length(self) -> int:
        """The most tokens that the model reads."""
        self._engine.open()
        return int(self._engine.tokens.max_length)

    @property
    def max_gen_toks(self) -> int:
        """The most tokens of an answer where a task does not say."""
        return _MAX_GEN_TOKS

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood, whether greedy decoding would say it) of each continuation after its context."""
        if self._options.enable_thinking:
            raise UsageError(
                "model_args: enable_thinking=True is for tasks that generate; this one scores given answers"
            )
        asked: list[tuple[str, dict[str, int]]] = []
        places: list[tuple[int, int]] = []
        for request in requests:
            context, continuation = request.args
            if not asked or asked[-1][0] != context or len(asked[-1][1]) >= _TOGETHER:
                asked.append((context, {}))
            slots = asked[-1][1]
            places.append((len(asked) - 1, slots.setdefault(continuation, len(slots))))
        ours = [
            self._request(place, "loglikelihood", context, continuations=tuple(slots))
            for place, (context, slots) in enumerate(asked)
        ]
        found = self._ask("loglikelihood", ours, [place for place, _ in places], requests, quiet=disable_tqdm)
        answers = []
        for request, (place, slot) in zip(requests, places, strict=True):
            likelihood = found[place].loglikelihoods[slot]
            answer = (likelihood.total, likelihood.is_greedy)
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
            answers.append(answer)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of each whole text."""
        texts, places = _distinct(request.args[0] for request in requests)
        ours = [self._request(place, "loglikelihood_rolling", text) for place, text in enumerate(texts)]
        found = self._ask("loglikelihood_rolling", ours, places, requests, quiet=disable_tqdm)
        answers = []
        for request, place in zip(requests, places, strict=True):
            answer = found[place].loglikelihoods[0].total
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answer)
            answers.append(answer)
        return answers

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The answer to each context, up to the first of its stop texts."""
        settings = [normalize_gen_kwargs(request.args[1], _MAX_GEN_TOKS) for request in requests]
        theirs = sorted({name for given in settings for name in not_ours(given, self._own_settings)})
        if theirs:
            return self._generated_by_lm_eval(requests, theirs)
        eos = str(self.tokenizer.decode(self.eot_token_id, skip_special_tokens=False))
        samplings = [
            self._with_source(sampling_of(given, self._own_settings, eos=eos, seed=_seed()), request.args[0])
            for given, request in zip(settings, requests, strict=True)
        ]
        asked, places = _distinct(_numbered([request.args[0] for request in requests], samplings))
        ours = [
            self._request(place, "generate", context, sampling=sampling, repeat=repeat)
            for place, (context, sampling, repeat) in enumerate(asked)
        ]
        found = self._ask("generate", ours, places, requests, quiet=disable_tqdm)
        answers = []
        for request, given, place in zip(requests, settings, places, strict=True):
            answer = postprocess_generated_text(
                found[place].text or "", list(stops_of(given, eos=eos)), self._options.think_end_token
            )
            self.cache_hook.add_partial("generate_until", request.args, answer)
            answers.append(answer)
        return answers

    def _with_source(self, sampling: Sampling, context: str) -> Sampling:
        """`sampling` with the length that lm-eval allows: a decoder's text may be longer by its source.

        lm-eval gives transformers the length of the context and of the answer together as `max_length`, which of an
        encoder-decoder bounds what the decoder says, its start token included.
        """
        if self.backend == "causal":
            return sampling
        self._engine.open()
        source, _ = self._engine.tokens.source(context, scored=False)
        most = _decoder_positions(self._engine.weights)
        length = sampling.max_tokens + len(source) - 1
        return replace(sampling, max_tokens=length if most is None else max(sampling.max_tokens, min(length, most)))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text that the chat template makes of the turns; without the system's where it refuses that."""
        import jinja2

        def rendered(turns: list[dict[str, str]]) -> str:
            text = self.tokenizer.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
                **self._options.chat_template_args,
            )
            return str(text)

        if not self.tokenizer.chat_template:
            raise UsageError(
                f"model {self._options.given['pretrained']!r} has no chat template; leave out --apply_chat_template, "
                f"or name a tokenizer that has one: tokenizer=…"
            )
        try:
            return rendered(chat_history)
        except jinja2.TemplateError:
            logger.warning("the chat template refuses the turns; the system's are left out")
            return rendered([turn for turn in chat_history if turn["role"] != "system"])

    chat_template = TemplateLM.chat_template

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval's results say of the model."""
        self._engine.open()
        weights, checkpoint = self._engine.weights, self._options.checkpoint
        info = {
            "model_num_parameters": self._engine.n_parameters,
            "model_dtype": getattr(weights, "dtype", ""),
            "model_revision": self._options.given.get("revision", "main"),
            "model_sha": _commit(checkpoint.path, checkpoint.revision),
        }
        if checkpoint.adapter:
            info["peft_sha"] = _commit(checkpoint.adapter, checkpoint.revision)
        return info

    @cached_property
    def _own_settings(self) -> Mapping[str, Any]:
        """The checkpoint's own settings of generation, which transformers applies where a request says nothing."""
        from transformers import AutoConfig, GenerationConfig

        checkpoint = self._options.checkpoint
        source = str(Path(checkpoint.path).expanduser())
        where = {} if checkpoint.revision is None else {"revision": checkpoint.revision}
        try:
            found = GenerationConfig.from_pretrained(source, **where)
        except OSError:
            config = AutoConfig.from_pretrained(source, trust_remote_code=checkpoint.trust_remote_code, **where)
            found = GenerationConfig.from_model_config(config)
        settings: dict[str, Any] = found.to_dict()
        return settings

    def _generated_by_lm_eval(self, requests: list[Instance], reasons: Sequence[str]) -> list[str]:
        from lm_eval.models.huggingface import HFLM

        logger.warning(
            "evalharness' engine does not do %s; lm-eval's own model generates these answers, at its own speed",
            ", ".join(reasons),
        )
        # Two copies of the weights may not fit.
        self._engine.close()
        # lm-eval's own command line names the first GPU where nobody names a device: without one it means the best that
        # there is, where the default of its class means a GPU alone.
        theirs = HFLM(**{**self._options.given, "device": self._options.given.get("device") or "cuda:0"})
        theirs.set_cache_hook(self.cache_hook)
        answers: list[str] = theirs.generate_until(requests)
        return answers

    def _request(self, place: int, kind: Kind, prompt: str, **fields: Any) -> Request:
        return Request(
            key=str(place),
            model=self._engine.model.name,
            kind=kind,
            sample_id=str(place),
            prompt=prompt,
            **fields,
        )

    def _ask(
        self, kind: Kind, ours: Sequence[Request], places: Sequence[int], asked: Sequence[Instance], *, quiet: bool
    ) -> list[Response]:
        """The responses to `ours`; request i of lm-eval's `asked` is answered by the one at `places[i]`."""
        counts = [0] * len(ours)
        for place in places:
            counts[place] += 1

        def name_of(place: int) -> str:
            instance = asked[places.index(place)]
            return f"task {instance.task_name!r}, document {instance.doc_id}"

        with tqdm(total=len(places), desc=f"Running {kind} requests", disable=quiet) as bar:

            def done(place: int) -> None:
                self.at_answer()
                bar.update(counts[place])

            return self._engine.answers(kind, ours, name_of=name_of, done=done)


def _decoder_positions(model: Any) -> int | None:
    """How many tokens the decoder has positions for, where it looks them up: beyond, lm-eval's own model fails."""
    import torch

    looked_up = any(
        "position" in name and isinstance(module, torch.nn.Embedding)
        for name, module in model.get_decoder().named_modules()
    )
    known = [getattr(model.config, key, None) for key in ("max_decoder_position_embeddings", "max_position_embeddings")]
    return next((n for n in known if looked_up and isinstance(n, int)), None)


def _distinct(items: Iterable[Hashable]) -> tuple[list[Any], list[int]]:
    """The distinct items in the order in which they first come, and of each item where it stands among them."""
    seen: dict[Any, int] = {}
    places = [seen.setdefault(item, len(seen)) for item in items]
    return list(seen), places


def _numbered(contexts: Sequence[str], samplings: Sequence[Sampling]) -> Iterable[tuple[str, Sampling, int]]:
    """Each context with its sampling and, where it samples, how often the two have come before."""
    seen: dict[tuple[str, Sampling], int] = {}
    for context, sampling in zip(contexts, samplings, strict=True):
        if sampling.temperature == 0:
            yield context, sampling, 0
            continue
        repeat = seen.get((context, sampling), 0)
        seen[context, sampling] = repeat + 1
        yield context, sampling, repeat


def _seed() -> int:
    """The seed that lm-eval has given torch."""
    import torch

    return int(torch.initial_seed()) % 2**63


def _commit(source: str, revision: str | None) -> str:
    """The commit of a hub name; "" for a folder, and where the hub does not say."""
    if Path(source).expanduser().is_dir():
        return ""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        return str(HfApi().model_info(source, revision=revision).sha)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError):
        return ""
