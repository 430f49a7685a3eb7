"""Answers from documents, judged by entailment: does the context say it, and was the right context found?

A classifier for natural language inference (NLI) reads a passage and a sentence and says whether the one entails the
other. The same questions can be put to a judge: `llm_judge` with `rubric: builtin:groundedness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from evalharness.core.protocols import Need
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import Bools, np

from .base import NEEDS_NOTHING, NEEDS_REFERENCES, answer_text, golds, require
from .checkpoint import CheckpointMetric, unique
from .classifier import label_probabilities
from .places import absent_everywhere, parse_place, texts_of
from .text import sentences

__all__ = ["ContextPrecision", "ContextRecall", "Groundedness"]

# Sentences and passages together in one call: their number is a product.
_PAIRS = 4096


class _Asked(NamedTuple):
    """What one sample asks: which of the sentences do the passages entail?"""

    sentences: tuple[str, ...]
    passages: tuple[str, ...]


class _Entailment(CheckpointMetric):
    """What all share: the passages, the sentences, and the classifier's word on each pair of them."""

    network_kind = "classifier"
    from_files = ("output",)
    context: str
    threshold: float

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_place(self.context, option="context")
        require(0 <= self.threshold < 1, f"threshold must be from 0 to below 1, not {self.threshold:g}")

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        place = parse_place(self.context, option="context")
        contexts = [place.found(s, r) for s, r in zip(samples, responses, strict=True)]
        absent_everywhere(self.name, place, contexts, responses)
        asked = [
            self.asked(sample, response, tuple(texts_of(context, place=place, sample=sample)))
            for sample, response, context in zip(samples, responses, contexts, strict=True)
        ]
        known = self._probabilities([pair for one in asked if isinstance(one, _Asked) for pair in _pairs(one)])
        return [
            self.figure([[known[passage, sentence] for sentence in one.sentences] for passage in one.passages])
            if isinstance(one, _Asked)
            else one
            for one in asked
        ]

    def _probabilities(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
        distinct = list(dict.fromkeys(pairs))
        found: dict[tuple[str, str], float] = {}
        for start in range(0, len(distinct), _PAIRS):
            part = distinct[start : start + _PAIRS]
            passages, said = zip(*part, strict=True)
            values = label_probabilities(self.network(), passages, self.output, seconds=said)
            found |= dict(zip(part, values.tolist(), strict=True))
        return found

    def asked(self, sample: Sample, response: Response, passages: tuple[str, ...]) -> _Asked | float | None:
        """What is asked of the classifier; a figure where there is nothing to ask, None where nothing is measured."""
        raise NotImplementedError

    def figure(self, entailed: Sequence[Sequence[float]]) -> float:
        """The figure of one sample from the probability that each passage entails each sentence."""
        raise NotImplementedError


def _pairs(asked: _Asked) -> list[tuple[str, str]]:
    return list(product(asked.passages, asked.sentences))


def _sentences(*texts: str) -> tuple[str, ...]:
    """The distinct sentences that have a letter or a digit."""
    found = [part.strip() for text in texts for part in sentences(text)]
    return tuple(unique([part for part in found if any(map(str.isalnum, part))]))


@dataclass(frozen=True, kw_only=True)
class Groundedness(_Entailment):
    """Mean share of the sentences of an answer that its context entails.

        mean_i (1/|S_i|) Σ_{s ∈ S_i} [max_c P(entailment | passage c, s) > threshold]

    Each passage is read by itself, a long one in windows, and a sentence needs one that entails it: what follows only
    from two together counts as not grounded. Sentences are taken as they stand, so "It opened in 1889" is checked
    without knowing what "it" is. An answer without sentences and a failed one are worth 0, one without any context,
    too. A polite "I do not know" is no claim and is seldom entailed: count refusals apart. Groundedness is not truth:
    the context itself may be wrong. The worth of the figure is that of the classifier: look at what it says of pairs
    that you know.

    Options:
        checkpoint: folder of an NLI classifier (from the suite's folder), catalog:NAME, or a name that is in the local
            cache of the hub; nothing is downloaded.
        context: where the passages stand: meta.docs.text (what the answer brought along), row.column, prompt.
        label: what the classifier calls entailment.
        measure: share of entailed sentences, or mean probability of entailment.
        threshold: above which probability a sentence counts as entailed.
        dtype: number format of the weights and of what is computed.
        device: auto (CUDA, else an Apple GPU, else the CPU), cpu, mps, cuda or cuda:N.

    Source: Honovich et al. 2022 (TRUE) and Laban et al. 2022 (SummaC-ZS: the best passage counts); the probabilities
    equal those of transformers' own model to 1e-5 where premise and sentence fit into one window.
    """

    checkpoint: str
    context: str = "row.context"
    label: str = "entailment"
    measure: Literal["share", "mean"] = "share"
    threshold: float = 0.5
    dtype: Literal["float32", "float16", "bfloat16", "float64"] = "float32"
    device: str = "auto"

    name = "groundedness"
    needs = NEEDS_NOTHING

    def asked(self, sample: Sample, response: Response, passages: tuple[str, ...]) -> _Asked | float | None:
        said = () if response.status in FAILED_STATES else _sentences(answer_text(response))
        return _Asked(said, passages) if said and passages else 0.0

    def figure(self, entailed: Sequence[Sequence[float]]) -> float:
        best = np.asarray(entailed).max(axis=0)
        return float(best.mean() if self.measure == "mean" else (best > self.threshold).mean())


class _AgainstReference(_Entailment):
    """What asks about the sentences of the best reference."""

    needs: frozenset[Need] = NEEDS_REFERENCES

    def asked(self, sample: Sample, response: Response, passages: tuple[str, ...]) -> _Asked | float | None:
        wanted = _sentences(*golds(sample))
        if not wanted:
            return None
        return _Asked(wanted, passages) if passages and response.status not in FAILED_STATES else 0.0


@dataclass(frozen=True, kw_only=True)
class ContextRecall(_AgainstReference):
    """Mean share of the sentences of the references that the retrieved context entails.

        mean_i (1/|S_i|) Σ_{s ∈ S_i} [max_c P(entailment | passage c, s) > threshold],  S_i: sentences of references

    Was all found that is needed? It asks about what was retrieved, not about the answer. The sentences of several
    references count together. With the names of relevant documents in the data, `recall_at_k` says the same without a
    classifier's errors.

    Options:
        checkpoint: folder of an NLI classifier (from the suite's folder), catalog:NAME, or a name that is in the local
            cache of the hub; nothing is downloaded.
        context: where the passages stand: meta.docs.text (what the answer brought along), row.column, prompt.
        label: what the classifier calls entailment.
        threshold: above which probability a sentence counts as entailed.
        dtype: number format of the weights and of what is computed.
        device: auto (CUDA, else an Apple GPU, else the CPU), cpu, mps, cuda or cuda:N.

    Source: Es et al. 2024 (RAGAS, context recall), with entailment in the place of a language model's verdict; no
    tool's figure is claimed.
    """

    checkpoint: str
    context: str = "row.context"
    label: str = "entailment"
    threshold: float = 0.5
    dtype: Literal["float32", "float16", "bfloat16", "float64"] = "float32"
    device: str = "auto"

    name = "context_recall"

    def figure(self, entailed: Sequence[Sequence[float]]) -> float:
        return float((np.asarray(entailed).max(axis=0) > self.threshold).mean())


@dataclass(frozen=True, kw_only=True)
class ContextPrecision(_AgainstReference):
    """Mean precision of the retrieved passages at the ranks of those that are of use.

        mean_i Σ_k v_ik · (Σ_{j≤k} v_ij / k) / Σ_k v_ik,  v_ik = [passage k entails a sentence of the references]

    Do the useful ones come first? 0 where no passage is of use. The order of the passages is that of the list. Needs
    and traps as `context_recall`; with the names of relevant documents in the data, `map` and `precision_at_k` say it
    without a classifier's errors.

    Options:
        checkpoint: folder of an NLI classifier (from the suite's folder), catalog:NAME, or a name that is in the local
            cache of the hub; nothing is downloaded.
        context: where the passages stand: meta.docs.text (what the answer brought along), row.column, prompt.
        label: what the classifier calls entailment.
        threshold: above which probability a sentence counts as entailed.
        dtype: number format of the weights and of what is computed.
        device: auto (CUDA, else an Apple GPU, else the CPU), cpu, mps, cuda or cuda:N.

    Source: RAGAS, context precision, with entailment in the place of a language model's verdict; no tool's figure is
    claimed.
    """

    checkpoint: str
    context: str = "row.context"
    label: str = "entailment"
    threshold: float = 0.5
    dtype: Literal["float32", "float16", "bfloat16", "float64"] = "float32"
    device: str = "auto"

    name = "context_precision"

    def figure(self, entailed: Sequence[Sequence[float]]) -> float:
        useful: Bools = np.any(np.asarray(entailed) > self.threshold, axis=1)
        if not useful.any():
            return 0.0
        at = useful.cumsum() / np.arange(1, len(useful) + 1)
        return float(at[useful].mean())
