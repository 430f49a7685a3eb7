"""lm-eval's `generation_kwargs` as settings of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.types import Json

__all__ = ["generation_of"]

# In lm-eval's order: the first that is given counts.
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_DEFAULT_LENGTH = 256
# What changes nothing: greedy decoding with one beam, and a cache, are how we decode.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "num_beams": (1,),
    "use_cache": (True, False),
    "repetition_penalty": (1, 1.0),
    "num_return_sequences": (1,),
    "length_penalty": (1, 1.0),
    "early_stopping": (True, False),
}


def generation_of(settings: Mapping[str, Any]) -> dict[str, Json]:
    """max_tokens, temperature, top_p, top_k and stop, by the rules of lm-eval's `normalize_gen_kwargs`.

    `do_sample: false`, or no temperature, is greedy decoding; so is a temperature of 0. top_p and top_k are there where
    the task names them: None for no limit.

    Raises:
        UsageError: a setting has no counterpart here, and the answers would be others.
    """
    given = dict(settings)
    until = given.pop("until", None)
    stop = [until] if isinstance(until, str) else list(until or ())
    if "" in stop:
        raise UsageError(
            "generation_kwargs has an empty text in until, which lm-eval finds after the first token of every answer; "
            "remove it from the task, or write max_gen_toks: 1"
        )
    lengths = [given.pop(name, None) for name in _LENGTHS]
    do_sample = given.pop("do_sample", None)
    temperature = given.pop("temperature", None)
    found: dict[str, Json] = {
        "max_tokens": int(next((n for n in lengths if n is not None), _DEFAULT_LENGTH)),
        "temperature": _temperature(do_sample, temperature),
        "stop": stop,
    }
    for name in ("top_p", "top_k"):
        value = given.pop(name, None)
        # Neither has an effect on greedy decoding; 0 tokens, and a share of all, mean no limit, whatever a checkpoint's
        # own settings say.
        if value is not None and found["temperature"]:
            limited = value > 0 and not (name == "top_p" and value >= 1)
            found[name] = (int(value) if name == "top_k" else float(value)) if limited else None
    odd = {name: value for name, value in given.items() if value is not None and value not in _NEUTRAL.get(name, ())}
    if odd:
        listed = ", ".join(f"{name}: {value!r}" for name, value in odd.items())
        raise UsageError(f"generation_kwargs has what our engine does not do ({listed})")
    return found


def _temperature(do_sample: bool | None, temperature: Any) -> float:
    if do_sample is False:
        return 0.0
    if temperature is not None:
        return float(temperature)
    # transformers samples at its default of 1 where it is only told to sample.
    return 1.0 if do_sample else 0.0
