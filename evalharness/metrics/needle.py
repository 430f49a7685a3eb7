"""What a model finds in a long text, and up to which length it finds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import Bools, np
from evalharness.stats.intervals import NO_INTERVAL, wilson

from .base import (
    BOOTSTRAP,
    NEEDS_REFERENCES,
    PROPORTION,
    BaseMetric,
    MeanMetric,
    answer_text,
    check_batch,
    golds,
    require,
)
from .text import whole_words

__all__ = ["EffectiveLength", "NeedleFound"]


def _share_found(sample: Sample, response: Response) -> float | None:
    """The share of the references that stand in the answer as words of their own; None without references."""
    references = golds(sample)
    if not references:
        return None
    if response.status in FAILED_STATES:
        return 0.0
    answer = _plain(answer_text(response) or response.text or "")
    found = [re.search(whole_words({gold: re.escape(gold)}), answer) is not None for gold in map(_plain, references)]
    return sum(found) / len(found)


def _plain(text: str) -> str:
    """In one case, with single blanks, and numbers without marks between their thousands."""
    return " ".join(re.sub(r"(?<=\d),(?=\d{3})", "", text.casefold()).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedleFound(MeanMetric):
    """Share of what was hidden in a long text that the answer brings back.

        value = Σ_i (references of sample i that stand in answer i / references of sample i) / n

    A reference must stand there as a word of its own (12 is not found in 512), in any case and with or without marks
    between thousands. An answer that brings back everything at once finds everything: keep `generate.max_tokens` small.

    Source: Kamradt 2023 (LLMTest_NeedleInAHaystack) with exact values in the place of a judge, as in Hsieh et al. 2024
    (RULER, arXiv 2404.06654), section 3.
    """

    name = "needle_found"
    interval = PROPORTION
    total = "found"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [_share_found(sample, response) for sample, response in zip(samples, responses, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveLength(BaseMetric):
    """The longest length up to which enough of what was hidden is found, at every length that was tried.

        value = max {L : found_l / n_l ≥ threshold for all tried l ≤ L}

    and 0 where the shortest already fails. The interval takes Wilson's bounds of all lengths at once (Bonferroni): its
    lower end is the longest length whose lower bounds reach the threshold, and what may be promised; its upper end is
    the longest that the data do not rule out. It can only be one of the lengths that were tried. A sample is found
    where all that was hidden for it is. Its length is what its group says; without one, the shortest of the lengths
    that holds the words of its prompt.

    Options:
        lengths: the lengths that were tried.
        threshold: the share that must be found.
        column: the group column that says the length.

    Source: the effective length of Hsieh et al. 2024 (RULER, arXiv 2404.06654), section 4, whose threshold of 0.856 is
    the figure of Llama 2 at 4K tokens; with an interval, which the paper has not.
    """

    lengths: tuple[int, ...] = (512, 1024, 2048)
    threshold: float = 0.85
    column: str = "length"

    name = "effective_length"
    needs = NEEDS_REFERENCES
    interval = BOOTSTRAP
    interval_name = "wilson-bonferroni"
    over_groups = True

    def __post_init__(self) -> None:
        require(bool(self.lengths) and min(self.lengths) > 0, "lengths must be the whole numbers that were tried")
        require(0 < self.threshold < 1, f"threshold must lie between 0 and 1, exclusive; got {self.threshold:g}")

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """From none of the lengths to the longest."""
        return (0.0, float(max(self.lengths)))

    @property
    def _tried(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.lengths)))

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", *(f"{part}_{length}" for length in self._tried for part in ("n", "found")))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        places = {str(length): 1 + 2 * i for i, length in enumerate(self._tried)}
        stats = np.zeros((len(samples), len(self.columns)))
        for row, sample, response in zip(stats, samples, responses, strict=True):
            place = places.get(self._length(sample))
            found = _share_found(sample, response)
            if place is not None and found is not None:
                row[0] = row[place] = 1.0
                row[place + 1] = float(found == 1)
        return stats

    def _length(self, sample: Sample) -> str:
        if self.column in sample.groups:
            return sample.groups[self.column]
        prompt = sample.prompt
        texts = [prompt] if isinstance(prompt, str) else [turn.content for turn in prompt]
        n_words = sum(len(text.split()) for text in texts)
        return str(next((length for length in self._tried if length >= n_words), ""))

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n, found = totals[..., 1::2], totals[..., 2::2]
        # A length without samples says nothing: it neither reaches the threshold nor misses it.
        return self._longest(n > 0, found >= self.threshold * n - 1e-12 * n)

    def finalize_samples(self, stats: Array) -> Array:
        """(n,) NaN: one sample has no effective length."""
        return np.full(len(stats), np.nan)

    def _longest(self, tried: Bools, reached: Bools) -> Array:
        """(...) the longest length up to which all those tried reach the threshold; NaN where none was tried."""
        held = np.cumsum(tried & ~reached, axis=-1) == 0
        longest = np.max(np.where(held & tried, np.array(self._tried, dtype=np.float64), 0.0), axis=-1)
        return np.where(tried.any(axis=-1), longest, np.nan)

    def interval_rows(self, stats: Array, *, confidence: float) -> tuple[float, float]:
        """From the longest length that may be promised to the longest that is not ruled out."""
        totals = stats.sum(axis=0)
        n, found = totals[1::2], totals[2::2]
        tried = n > 0
        if len(stats) < 2 or not tried.any():
            return NO_INTERVAL
        each = 1 - (1 - confidence) / int(tried.sum())
        bounds = [wilson(f, size, confidence=each) if size else (0.0, 1.0) for f, size in zip(found, n, strict=True)]
        low, high = (np.array([bound[side] for bound in bounds]) >= self.threshold for side in (0, 1))
        return float(self._longest(tried, low)), float(self._longest(tried, high))
