"""How near in meaning answers are to references: the cosine of the embeddings of any encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import np

from .base import answer_text, golds, require
from .checkpoint import CheckpointMetric, settings_of, unique
from .network import Network, batches, encode

__all__ = ["SemanticSimilarity", "embed"]

Pooling = Literal["mean", "cls", "max", "last"]
_POOLING: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


@dataclass(frozen=True, kw_only=True)
class SemanticSimilarity(CheckpointMetric):
    """Mean similarity of meaning of answer and reference, the best reference counting.

        mean_i max_r cos(e(answer_i), e(reference_ir)),  e = pooled last hidden states of an encoder

    What the numbers are worth depends on the encoder: compare them only under the same one (its digest is part of the
    signature), and do not read 0.8 as "80 % right". Sentences that contradict each other are near in most encoders:
    "it is safe" and "it is not safe" have a cosine above 0.7. A blank answer and a failed one are worth 0, though an
    encoder gives an empty text a vector, too. Computed in float32, a cosine is exact to about 1e-6 and depends in that
    place on the texts beside it.

    Options:
        checkpoint: folder of an encoder (from the suite's folder), catalog:NAME, or a name that is in the local cache
            of the hub; nothing is downloaded.
        pooling: how token states become one vector: their mean (padding left out), the first token's (cls), their
            maximum or the last token's; auto takes what the checkpoint's 1_Pooling/config.json says, else the mean.
        normalize: bring the vectors to length 1, so that their product is the cosine; false gives the plain product.
        prefix: put before each text, for encoders trained with one, such as "query: ".
        max_tokens: cut texts after so many tokens (default: what sentence_bert_config.json or the model says).
        dtype: number format of the weights and of what is computed.
        device: auto (CUDA, else an Apple GPU, else the CPU), cpu, mps, cuda or cuda:N.

    Source: Reimers and Gurevych 2019 (Sentence-BERT); equals sentence-transformers' pooling of transformers'
    `AutoModel` to 1e-5.
    """

    checkpoint: str
    pooling: Literal["auto", "mean", "cls", "max", "last"] = "auto"
    normalize: bool = True
    prefix: str = ""
    max_tokens: int | None = None
    dtype: Literal["float32", "float16", "bfloat16", "float64"] = "float32"
    device: str = "auto"

    name = "semantic_similarity"
    from_files = ("pooling", "max_tokens")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_tokens is None or self.max_tokens >= 4, f"max_tokens must be 4 or more, not {self.max_tokens}")

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """Those of a cosine; none for plain products."""
        return (-1.0, 1.0) if self.normalize else (-math.inf, math.inf)

    def identify(self, folder: Path, base: Path) -> tuple[dict[str, str], tuple[str, ...]]:
        pooling = self.pooling
        if pooling == "auto":
            said = settings_of(folder / "1_Pooling")
            pooling = next((mode for key, mode in _POOLING.items() if said.get(key) is True), "mean")
        own = settings_of(folder, "sentence_bert_config.json").get("max_seq_length")
        most = self.max_tokens or (own if isinstance(own, int) and own > 0 else None)
        return {"pooling": pooling, "max_tokens": str(most)}, ()

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        pairs = [_pairs(sample, response) for sample, response in zip(samples, responses, strict=True)]
        places = unique([text for found in pairs for pair in found or () for text in pair])
        vectors = self.vectors(list(places)) if places else np.zeros((0, 1))
        return [
            None
            if found is None
            else max((self._product(vectors[places[a]], vectors[places[b]]) for a, b in found), default=0.0)
            for found in pairs
        ]

    def _product(self, first: Array, second: Array) -> float:
        value = float(first @ second)
        return min(max(value, -1.0), 1.0) if self.normalize else value

    def vectors(self, texts: Sequence[str]) -> Array:
        """(n, d) the vectors of `texts`, of length 1 with `normalize`; a text without any token has the vector 0."""
        most = self.bound.identity.get("max_tokens", "None")
        pooling: Any = self.bound.identity.get("pooling", self.pooling)
        found = embed(
            self.network(),
            [self.prefix + text for text in texts],
            pooling=pooling,
            max_tokens=int(most) if most.isdigit() else None,
        )
        if self.normalize:
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            found = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
        return found


def _pairs(sample: Sample, response: Response) -> list[tuple[str, str]] | None:
    """The texts to be compared; none for an answer that is worth 0, None where there is nothing to compare with."""
    texts = golds(sample)
    if not texts:
        return None
    answer = answer_text(response)
    if response.status in FAILED_STATES or not answer.strip():
        return []
    return [(answer, text) for text in texts if text.strip()]


def embed(network: Network, texts: Sequence[str], *, pooling: Pooling = "mean", max_tokens: int | None = None) -> Array:
    """(n, d) float64 embeddings of `texts`: the last hidden states of an encoder, pooled; no length is normalised.

    A text without any token has the vector 0.
    """

    def run(tensors: dict[str, Any]) -> Any:
        return _pooled(network.model(**tensors).last_hidden_state, tensors["attention_mask"], pooling).double().cpu()

    found: Array = np.zeros((len(texts), 1))
    for item, vector in batches(network, encode(network, texts, max_tokens=max_tokens), run):
        if found.shape[1] != len(vector):
            found = np.zeros((len(texts), len(vector)))
        found[item.text] = vector.numpy()
    return found


def _pooled(states: Any, mask: Any, pooling: Pooling) -> Any:
    """(n, d) of (n, tokens, d); padding stands on the right and is left out."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        last = mask.sum(dim=1) - 1
        return states[last.new_tensor(range(len(states))), last]
    held = mask.unsqueeze(-1).to(states.dtype)
    if pooling == "max":
        return states.masked_fill(held == 0, -math.inf).amax(dim=1)
    return (states * held).sum(dim=1) / held.sum(dim=1)
