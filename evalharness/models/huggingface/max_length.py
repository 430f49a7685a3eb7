"""How many tokens a model reads, by its settings and its tokenizer."""

from __future__ import annotations

from typing import Any

__all__ = ["max_length_of"]

_DEFAULT_MAX_LENGTH = 2048
# lm-eval's `resolve_max_length` knows the first three, in this order.
_LENGTH_KEYS = (
    *("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length"),
    "max_encoder_position_embeddings",  # LED, which counts its decoder's apart
)
_LENGTH_KEYS_OF_LM_EVAL = frozenset(_LENGTH_KEYS[:3])
_GENERATIVE = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
# Their positions count from padding_idx + 1, so that many of the embeddings are never used.
_OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "data2vec-text", "mpnet", "ibert", "xmod"}
    | {"roberta-prelayernorm", "luke", "lilt", "markuplm"}
)
# Tokenizers that know no limit say 1e30.
_NO_LIMIT = 10_000_000


def max_length_of(config: Any, tokenizer: Any, *, limit: int | None) -> int:
    """The most tokens that the model reads: `limit`, else what its settings and its tokenizer say, else 2048.

    Of a model that generates, the settings come before the tokenizer's own limit, as in lm-eval; of an encoder the
    smaller of the two holds (sentence encoders are trained on less than their positions).
    """
    if limit is not None:
        return limit
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    found = [(key, getattr(text, key, None)) for key in _LENGTH_KEYS]
    known = [(key, value) for key, value in found if isinstance(value, int) and value > 0][:1]
    of_tokenizer = getattr(tokenizer, "model_max_length", None)
    limits = [int(of_tokenizer)] if isinstance(of_tokenizer, int | float) and 0 < of_tokenizer < _NO_LIMIT else []
    named = [name for part in (config, text) for name in getattr(part, "architectures", None) or ()]
    generates = any(str(name).endswith(_GENERATIVE) for name in named)
    for key, value in known:
        if text.model_type in _OFFSET_POSITIONS:
            limits.append(value - (text.pad_token_id or 0) - 1)
        elif generates and key in _LENGTH_KEYS_OF_LM_EVAL:
            return value
        else:
            limits.append(value)
    return min(limits, default=_DEFAULT_MAX_LENGTH)
