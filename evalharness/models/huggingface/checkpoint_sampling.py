"""What transformers samples with where a request does not say: the checkpoint's own settings, then its own defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.core.location import Location
from evalharness.core.types import Json

from .identity import read_config

__all__ = ["not_followed", "sampling_defaults"]

_FILE = "generation_config.json"
# `GenerationConfig._get_default_generation_params` of transformers 5.
_TOP_K, _TOP_P = 50, 1.0
# What shapes greedy texts, too, and the values that change nothing.
_SHAPING: Mapping[str, Any] = {
    "repetition_penalty": 1,
    "encoder_repetition_penalty": 1,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "num_beams": 1,
    "min_length": 0,
    "min_new_tokens": 0,
    "bad_words_ids": [],
    "suppress_tokens": [],
    "begin_suppress_tokens": [],
}


def not_followed(settings: Any) -> str | None:
    """What a checkpoint's `GenerationConfig` asks for and we leave out, beyond its token ids; None for nothing."""
    asked = {key: getattr(settings, key, None) for key in _SHAPING}
    told = [f"{key} {value}" for key, value in asked.items() if value is not None and value != _SHAPING[key]]
    return ", ".join(told) or None


def sampling_defaults(location: Location, config: Mapping[str, Any]) -> dict[str, Json]:
    """`top_k` and `top_p` of a request that samples and names neither; None where there is no limit.

    Read from generation_config.json; where there is none, from config.json (`config`), as transformers does.
    """
    own = _own(location) or config
    top_k, top_p = own.get("top_k"), own.get("top_p")
    top_k, top_p = _TOP_K if top_k is None else int(top_k), _TOP_P if top_p is None else float(top_p)
    return {"top_k": top_k or None, "top_p": top_p if 0 < top_p < 1 else None}


def _own(location: Location) -> dict[str, Any]:
    if location.folder is not None:
        return read_config(location.folder, file=_FILE)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        path = hf_hub_download(location.source, _FILE, revision=location.commit or location.revision)
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError):
        return {}  # there is none, or the model cannot be loaded either: that says why
    return found if isinstance(found, dict) else {}
