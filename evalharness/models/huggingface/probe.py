"""Whether a model may be computed as a prefix tree: asked of the model itself, not of a list of names.

A few made-up rows are scored the plain way and as a tree. Where the two differ by more than the rounding of the dtype,
or the model cannot attend over a tree at all, the plain way is taken, and the reason is kept for the record.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evalharness.core.types import LogLikelihood, Request, Sampling

from .memory import BatchSize, Failure, Outcome
from .rows import Row
from .tokens import Tokens

if TYPE_CHECKING:
    from .head import Head
    from .metering import Meter

__all__ = ["longest_tree", "probe_prompts", "probe_rows", "same_texts", "tolerance_of", "why_not"]

RowOutcome = Outcome[Row, list[LogLikelihood]]

# Largest difference of a token's log-probability that rounding explains. Between two orders of summation float32
# differs by some 1e-5 on real models; a wrong position or mask moves it by tenths.
_TOLERANCE = {"float32": 2e-3, "float64": 2e-3, "float16": 0.05, "bfloat16": 0.3}
# Rotary embeddings whose frequencies follow from the longest sequence of the batch: short sequences are safe.
_BY_LENGTH = ("dynamic", "longrope")


def probe_rows(n_vocabulary: int) -> list[Row]:
    """Rows that share prefixes at three depths, made of tokens from the middle of the vocabulary."""
    random = np.random.default_rng(0)

    def made(n: int) -> list[int]:
        low, high = n_vocabulary // 8, max(n_vocabulary // 8 + 2, n_vocabulary // 2)
        return [int(token) for token in random.integers(low, high, n)]

    shared = made(9)
    rows = []
    for length in (3, 1):
        context = shared + made(length)
        for n_scored in (3, 1, 2):
            target = made(n_scored)
            inputs = (*context, *target[:-1])
            first = len(context) - 1
            rows.append(Row(inputs, tuple(range(first, first + n_scored)), (tuple(target),), (0,)))
    return rows


def why_not(
    tree: Callable[..., Iterator[list[RowOutcome]]],
    plain: Callable[..., Iterator[list[RowOutcome]]],
    *,
    n_vocabulary: int,
    dtype: str,
    meter: Meter,
) -> str | None:
    """Why `tree` does not give what `plain` gives, None if it does; `meter` measures the one pass of `plain`.

    The rows go through in two calls and in small stretches, so that all that can happen to a long one happens here:
    a stretch that ends inside a sequence, a prefix that is held from the call before. (A CPU reads 16 tokens sooner
    than 9 to 15.)
    """
    rows = probe_rows(n_vocabulary)
    found: dict[int, list[LogLikelihood] | Failure] = {}
    expected: dict[int, list[LogLikelihood] | Failure] = {}
    for part in (rows[:4], rows[4:]):
        for outcomes in tree(part, size=BatchSize(tokens=16)):
            found.update((id(outcome.item), outcome.result) for outcome in outcomes)
    with meter:
        for outcomes in plain(rows, size=BatchSize(rows=len(rows))):
            expected.update((id(outcome.item), outcome.result) for outcome in outcomes)
    worst = 0.0
    for row in rows:
        result, wanted = found[id(row)], expected[id(row)]
        for one in (result, wanted):
            if isinstance(one, Failure):
                return f"it failed on a trial: {one.message}"
        assert not isinstance(result, Failure)
        assert not isinstance(wanted, Failure)
        apart = abs(result[0].total - wanted[0].total) / wanted[0].n_tokens
        if math.isnan(apart):
            # No comparison with NaN is true, so that it would pass for no difference at all.
            return f"on a trial the model computed NaN in {dtype}"
        worst = max(worst, apart)
    tolerance = _TOLERANCE.get(dtype, _TOLERANCE["bfloat16"])
    if not worst <= tolerance:
        rounding = f"rounding in {dtype} explains {tolerance:g}"
        return f"on a trial a shared prefix changed log-probabilities by {worst:.2g} a token; {rounding}"
    return None


def probe_prompts(config: Any, tokens: Tokens) -> list[tuple[Request, tuple[int, ...]]]:
    """Prompts of several lengths that share a beginning, and how much to say after each."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    rows = probe_rows(int(text.vocab_size))
    request = Request(key="", model="", kind="generate", sample_id="", prompt="")
    return [
        (dataclasses.replace(request, sampling=Sampling(max_tokens=n)), row.inputs)
        for n, row in zip((3, 1, 2), rows[::2], strict=True)
    ]


def same_texts(
    model: Any,
    prompts: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
    *,
    head: Head,
    device: str,
    meter: Meter,
) -> str | None:
    """Why `texts` are not what `model` says greedily after `prompts`, None if they are; `meter` measures the reading.

    They are read in one plain padded forward pass: every token must be within rounding of the likeliest there.
    """
    import torch

    from .scoring import padded

    tolerance = tolerance_of(model)
    read = [(*prompt, *new[:-1]) for prompt, new in zip(prompts, texts, strict=True)]
    # Nothing looks to the right, so any token will do there.
    ids, _, _ = padded(read, pad=read[0][0], side="right", device=device)
    pairs = list(zip(prompts, texts, strict=True))
    where = [(row, len(prompt) - 1 + at) for row, (prompt, new) in enumerate(pairs) for at in range(len(new))]
    rows, columns = torch.tensor(where, device=device).unbind(1)
    with torch.inference_mode():
        with meter:
            logits = torch.cat(list(head.logits({"input_ids": ids, "use_cache": False}, rows, columns)))
        said = torch.tensor([token for new in texts for token in new], device=logits.device)
        chosen = logits[torch.arange(len(said), device=logits.device), said]
        short = float((logits.max(dim=-1).values - chosen).max())
    if not short <= tolerance:
        return f"on a trial it chose a token whose logit is {short:.2g} below that of the likeliest one"
    return None


def tolerance_of(model: Any) -> float:
    """The largest difference of a token's log-probability that rounding in the dtype of `model` explains."""
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    return _TOLERANCE.get(dtype, _TOLERANCE["bfloat16"])


def longest_tree(config: Any) -> int | None:
    """The longest sequence whose tokens may share a forward pass with those of others; None: any.

    Beyond it, what a token computes depends on the length of the sequence that it is in.
    """
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    limits = []
    chunk = getattr(text, "attention_chunk_size", None)
    if isinstance(chunk, int) and chunk > 0:
        limits.append(chunk)
    for key in ("rope_parameters", "rope_scaling"):
        rope = getattr(text, key, None)
        if not isinstance(rope, dict):
            continue
        for part in (rope, *(value for value in rope.values() if isinstance(value, dict))):
            if part.get("rope_type", part.get("type")) in _BY_LENGTH:
                known = part.get("original_max_position_embeddings") or getattr(
                    text, "original_max_position_embeddings", None
                )
                # At the very length, transformers keeps the frequencies of a longer sequence before it.
                limits.append(int(known or getattr(text, "max_position_embeddings", 0) or 0) - 1)
    return min(limits, default=None)
