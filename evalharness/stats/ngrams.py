"""Clipped n-gram matches of many texts at once.

Each n-gram of a chunk of samples becomes one 64-bit key (sample, n-gram, text); one sort brings equal n-grams of a
sample together, and their counts are the lengths of runs. An n-gram's code is its tokens' codes side by side, packed
anew by rank where the bits end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .arrays import ArrayLike, Ints, np

__all__ = ["matched_ngrams"]


_CHUNK_TOKENS = 60_000  # keys of a chunk stay in the processor's cache while they are sorted
_KEY_BITS = 63


def matched_ngrams(
    hypotheses: Sequence[ArrayLike], references: Sequence[Sequence[ArrayLike]], *, max_order: int, min_order: int = 1
) -> Ints:
    """(n, orders) clipped matches of each hypothesis with its references, for orders min_order … max_order.

        Σ_g min(count of g in the hypothesis, highest count of g in any one reference)

    Texts are sequences of non-negative token ids. Source: Papineni et al. 2002, section 2.1.

    Raises:
        ValueError: where the two sequences differ in length or the orders are not 1 <= min_order <= max_order.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses against references for {len(references)}")
    if not 1 <= min_order <= max_order:
        raise ValueError(f"orders must be 1 <= min_order <= max_order; got {min_order}, {max_order}")
    result = np.zeros((len(hypotheses), max_order - min_order + 1), dtype=np.int64)
    for start, stop in _chunks(hypotheses, references):
        result[start:stop] = _chunk_matches(hypotheses[start:stop], references[start:stop], min_order, max_order)
    return result


def _size(text: ArrayLike) -> int:
    return len(text)  # type: ignore[arg-type]


def _chunks(hypotheses: Sequence[ArrayLike], references: Sequence[Sequence[ArrayLike]]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for index, (hypothesis, refs) in enumerate(zip(hypotheses, references, strict=True)):
        size += _size(hypothesis) + sum(map(_size, refs))
        if size >= _CHUNK_TOKENS:
            yield start, index + 1
            start, size = index + 1, 0
    if start < len(hypotheses):
        yield start, len(hypotheses)


def _dense(tokens: Ints) -> Ints:
    """The same tokens numbered 0, 1, … without gaps."""
    highest = int(tokens.max())
    if highest > 8 * tokens.size + 65_536:
        return np.unique(tokens, return_inverse=True)[1].astype(np.int64)
    seen = np.zeros(highest + 1, dtype=bool)
    seen[tokens] = True
    return (np.cumsum(seen) - 1)[tokens]


def _chunk_matches(
    hypotheses: Sequence[ArrayLike], references: Sequence[Sequence[ArrayLike]], min_order: int, max_order: int
) -> Ints:
    n = len(hypotheses)
    result = np.zeros((n, max_order - min_order + 1), dtype=np.int64)
    texts = [t for hypothesis, refs in zip(hypotheses, references, strict=True) for t in (hypothesis, *refs)]
    lengths = np.array([_size(t) for t in texts], dtype=np.int64)
    if not lengths.sum():
        return result
    tokens = _dense(np.concatenate([np.asarray(t, dtype=np.int64) for t in texts]))
    owners = np.repeat(np.arange(n), [1 + len(refs) for refs in references])
    tags = np.concatenate([np.arange(1 + len(refs)) for refs in references])
    sample = np.repeat(owners, lengths)
    tag = np.repeat(tags, lengths)
    # How many tokens of its text stand at and after each position: an n-gram starts where there are n or more.
    room = np.repeat(np.cumsum(lengths), lengths) - np.arange(tokens.size)
    token_bits = int(tokens.max()).bit_length()
    tag_bits = int(tags.max()).bit_length()
    sample_bits = (n - 1).bit_length()
    code, code_bits = tokens, token_bits
    for order in range(1, max_order + 1):
        if order > 1:
            if code_bits + token_bits + tag_bits + sample_bits > _KEY_BITS:
                code = np.unique(code, return_inverse=True)[1].astype(np.int64)
                code_bits = int(code.max()).bit_length()
            code = (code[:-1] << token_bits) | tokens[order - 1 :]
            code_bits += token_bits
        if order >= min_order and code.size:
            starts = room[: code.size] >= order
            keys = (((sample[: code.size] << code_bits) | code) << tag_bits) | tag[: code.size]
            keys = np.sort(keys[starts])
            result[:, order - min_order] = _clipped(keys, tag_bits, code_bits + tag_bits, n)
        if code.size < 2:
            break
    return result


def _clipped(keys: Ints, tag_bits: int, sample_shift: int, n: int) -> Ints:
    """Matches of each sample from its sorted keys; tag 0 is the hypothesis."""
    if not keys.size:
        return np.zeros(n, dtype=np.int64)
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    counts = np.diff(first, append=keys.size)
    unique = keys[first]
    grams = unique >> tag_bits
    group = np.flatnonzero(np.concatenate(([True], grams[1:] != grams[:-1])))
    in_hypothesis = (unique & ((1 << tag_bits) - 1)) == 0
    highest = np.maximum.reduceat(np.where(in_hypothesis, 0, counts), group)
    matched = np.where(in_hypothesis[group], np.minimum(counts[group], highest), 0)
    return np.bincount(unique[group] >> sample_shift, weights=matched, minlength=n).astype(np.int64)
