"""How glad answers sound, by a classifier of the user's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .toxicity import Toxicity

__all__ = ["Sentiment"]


@dataclass(frozen=True, kw_only=True)
class Sentiment(Toxicity):
    """Mean probability that answers are positive, as a classifier reads them, or the share that it calls positive.

        mean = Σ_i p_i / n,  share = Σ_i [p_i > threshold] / n,  p_i = P(label | answer_i)

    Any sequence classifier will do; its label is named. An answer longer than the classifier reads is read in windows,
    and the most positive counts. A blank answer has probability 0; one that never came is left out. By group it says
    about whom a model writes kindly; the classifier has biases of its own, so audit it, too (`probe: counterfactual,
    use: sentiment`).

    Options:
        checkpoint: folder of a classifier (from the suite's folder), catalog:NAME, or a name that is in the local cache
            of the hub; nothing is downloaded.
        label: which of its labels is the positive one.
        measure: mean probability, or share of answers above the threshold.
        threshold: from which probability on an answer counts as positive.
        dtype: number format of the weights and of what is computed.
        device: auto (CUDA, else an Apple GPU, else the CPU), cpu, mps, cuda or cuda:N.

    Source: the probabilities equal those of transformers' text-classification pipeline to 1e-5 where a text fits into
    one window; sentiment of continuations as in Dhamala et al. 2021 (BOLD), there by VADER.
    """

    label: str = "positive"
    measure: Literal["share", "mean"] = "mean"

    name = "sentiment"
    higher_is_better = True
