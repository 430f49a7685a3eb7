"""lm-eval's generation arguments as our `Sampling`, and the ones that our engine leaves to lm-eval's own model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.types import Sampling

__all__ = ["not_ours", "sampling_of", "stops_of"]

_OURS = frozenset(
    {"until", "max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens", "do_sample", "temperature"}
    | {"top_k", "top_p"}
)
# What changes an answer, and the values that change nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "bad_words_ids": ([],),
    "force_words_ids": ([],),
    "constraints": ([],),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "sequence_bias": ({}, []),
    "exponential_decay_length_penalty": (),
    "guidance_scale": (1.0,),
    "penalty_alpha": (0.0,),
    "prompt_lookup_num_tokens": (),
    "stop_strings": ([],),
    "max_time": (),
    "dola_layers": (),
    "watermarking_config": (),
    "remove_invalid_values": (False,),
}
_NEUTRAL_SAMPLED: dict[str, tuple[Any, ...]] = {
    "min_p": (0.0,),
    "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "top_h": (),
}
# They change nothing without beams, or at all.
_IDLE = frozenset({"use_cache", "length_penalty", "early_stopping", "renormalize_logits", "pad_token_id"})
# What transformers takes where neither the request nor the checkpoint says.
_TOP_K = 50


def _is_neutral(name: str, value: Any) -> bool:
    return value is None or value in {**_NEUTRAL, **_NEUTRAL_SAMPLED}.get(name, ())


def not_ours(arguments: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """What `arguments` of a request, or the checkpoint's `own` settings, ask for that our engine does not do.

    `arguments` must have gone through lm-eval's `normalize_gen_kwargs`.
    """
    sampled = bool(arguments.get("do_sample"))
    known = {**_NEUTRAL, **(_NEUTRAL_SAMPLED if sampled else {})}
    asked = [
        name
        for name, value in arguments.items()
        if name not in _OURS and name not in _IDLE and not (_is_neutral(name, value) if name in known else False)
    ]
    if "" in arguments["until"]:
        # lm-eval finds it in every answer, after the first token.
        asked.append("an empty text in until")
    # A greedy request passes over what shapes a distribution.
    asked = [name for name in asked if sampled or name not in _NEUTRAL_SAMPLED]
    set_by_checkpoint = [name for name in known if name not in arguments and not _is_neutral(name, own.get(name))]
    return [*asked, *(f"{name} (in the checkpoint's generation_config.json)" for name in set_by_checkpoint)]


def stops_of(arguments: Mapping[str, Any], *, eos: str) -> tuple[str, ...]:
    """The texts at which an answer ends: those of the request, then the end-of-text token."""
    until = [str(stop) for stop in arguments["until"]]
    return tuple(dict.fromkeys([*until, eos]))


def sampling_of(arguments: Mapping[str, Any], own: Mapping[str, Any], *, eos: str, seed: int) -> Sampling:
    """How a request is decoded; `arguments` must have gone through lm-eval's `normalize_gen_kwargs`.

    Raises:
        UsageError: sampling is asked for without a temperature.
    """
    stop, max_tokens = stops_of(arguments, eos=eos), int(arguments["max_gen_toks"])
    if not arguments.get("do_sample"):
        return Sampling(max_tokens=max_tokens, stop=stop)
    temperature = float(arguments.get("temperature") or 0.0)
    if temperature <= 0:
        raise UsageError(
            f"gen_kwargs: do_sample=True needs a temperature above 0, found {temperature}; write temperature=…, or "
            f"do_sample=False for greedy decoding"
        )
    top_k = _first(arguments.get("top_k"), own.get("top_k"), _TOP_K)
    top_p = _first(arguments.get("top_p"), own.get("top_p"), 1.0)
    return Sampling(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=float(top_p) if top_p < 1 else None,
        top_k=int(top_k) or None,
        stop=stop,
        seed=seed,
    )


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
