"""How well a model predicts whole texts: perplexity by word, byte and token, bits per byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.core.protocols import Array
from evalharness.core.types import Kind, Prompt, Response, Sample
from evalharness.stats.arrays import np

from .base import BOOTSTRAP, NEEDS_NOTHING, BaseMetric, check_batch, ratio

__all__ = ["BitsPerByte", "BytePerplexity", "TokenPerplexity", "WordPerplexity"]

_ROLLING: frozenset[Kind] = frozenset({"loglikelihood_rolling"})


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "".join(message.content for message in prompt)


class _Rolling(BaseMetric):
    """A function of −Σ log-likelihood / Σ units over all texts together, not the mean of the texts' own figures."""

    __slots__ = ()

    unit = "words"
    higher_is_better = False
    bounds = (1.0, math.inf)
    kinds = _ROLLING
    needs = NEEDS_NOTHING
    interval = BOOTSTRAP
    scores_blank = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "log_likelihood", self.unit)

    def size(self, text: str) -> int:
        """How many units the text has."""
        return len(text.split()) if self.unit == "words" else len(text.encode("utf-8", "surrogatepass"))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), 3))
        for row, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            if response.loglikelihoods:
                total = math.fsum(found.total for found in response.loglikelihoods)
                stats[row] = 1.0, total, self.size(_text(sample.prompt))
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return self.figure(ratio(-totals[..., 1], totals[..., 2]))

    def figure(self, nats: Array) -> Array:
        """The figure from nats a unit."""
        # Beyond about 709 nats a unit the perplexity is infinite in float64, which is what it says.
        with np.errstate(over="ignore"):
            result: Array = np.exp(nats)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPerplexity(_Rolling):
    """Perplexity a word: how many equally likely words the model chooses from on average.

        exp(−Σ log-likelihood / Σ words)

    over all texts together; words are runs without white space. Comparable between tokenizers, unlike perplexity a
    token. No words at all give NaN.

    Source: lm-evaluation-harness `word_perplexity` (weighted_perplexity), equal for texts without white space at
    their ends.
    """

    name = "word_perplexity"


@dataclass(frozen=True, slots=True, kw_only=True)
class BytePerplexity(_Rolling):
    """Perplexity a UTF-8 byte.

        exp(−Σ log-likelihood / Σ bytes)

    over all texts together. Empty texts alone give NaN.

    Source: lm-evaluation-harness `byte_perplexity`, equal.
    """

    name = "byte_perplexity"
    unit = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class BitsPerByte(_Rolling):
    """Bits that the model needs to code one UTF-8 byte of text.

        −Σ log-likelihood / (Σ bytes · ln 2)

    over all texts together. Empty texts alone give NaN.

    Source: lm-evaluation-harness `bits_per_byte`, equal; Gao et al. 2020 (The Pile), section 3.1.
    """

    name = "bits_per_byte"
    unit = "bytes"
    bounds = (0.0, math.inf)

    def figure(self, nats: Array) -> Array:
        result: Array = nats / math.log(2)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPerplexity(_Rolling):
    """Perplexity a token of the model's own tokenizer.

        exp(−Σ log-likelihood / Σ tokens)

    over all texts together, each token scored once; the first counts where the model gives it a likelihood. Models with
    other tokenizers are not comparable by it: one that cuts texts into more pieces has the lower figure. Take
    `word_perplexity` or `bits_per_byte` for that. `evaluate`'s perplexity is another quantity: the mean of the texts'
    own perplexities. Texts whose tokens the backend does not count are left out.

    Source: Jelinek et al. 1977; what transformers' guide to perplexity computes, with windows that overlap nowhere.
    """

    name = "token_perplexity"
    unit = "tokens"

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), 3))
        for row, response in enumerate(responses):
            found = response.loglikelihoods
            if found and all(part.n_tokens > 0 for part in found):
                stats[row] = 1.0, math.fsum(part.total for part in found), sum(part.n_tokens for part in found)
        return stats
