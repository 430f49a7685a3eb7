"""BERTScore: the words of answer and reference matched by their contextual embeddings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import np

from .base import answer_text, golds, require
from .checkpoint import CheckpointMetric
from .network import Network, batches, encode

__all__ = ["BertScore"]

_PARTS = ("precision", "recall", "f1")
# Pairs whose token embeddings are in memory at once.
_SLICE = 256


@dataclass(frozen=True, kw_only=True)
class BertScore(CheckpointMetric):
    """Mean BERTScore: how well the tokens of answer and reference match in the states of an encoder.

        P = Σ_t w_t max_u cos(h_t, h_u) / Σ_t w_t  over tokens t of the answer and u of the reference
        R the same with the sides exchanged,  F1 = 2PR/(P+R)

    Of several references the best counts, for each of P, R and F1 by itself. Special tokens weigh nothing but can be
    matched. A blank answer and a failed one are worth 0. Raw scores of unrelated texts are high (0.3 to 0.9, by model
    and layer), so only differences under the same signature mean something; `baseline` stretches the range. Texts
    longer than the encoder reads lose their end. Name several parts as several figures: they are computed once.

    Options:
        checkpoint: folder of an encoder (from the suite's folder), catalog:NAME, or a name that is in the local cache
            of the hub; nothing is downloaded.
        part: f1, precision or recall.
        layer: which layer's states are compared, 0 being the embeddings (default: the last). bert-score chooses one by
            the model's name: 17 for roberta-large, 9 for bert-base-uncased.
        idf: weigh tokens by their inverse document frequency in this text file, one text a line (bert-score takes all
            references of the run, so that its figure of a sample depends on the other samples).
        baseline: rescale to (score − baseline)/(1 − baseline); the number for this part, model and layer stands in
            bert-score's rescale_baseline files.
        dtype: number format of the weights and of what is computed.
        device: auto (CUDA, else an Apple GPU, else the CPU), cpu, mps, cuda or cuda:N.

    Source: Zhang et al. 2020, equations 1 to 3; equals bert-score 0.3.13 to 1e-5 with the same layer and idf texts.
    """

    checkpoint: str
    part: Literal["f1", "precision", "recall"] = "f1"
    layer: int | None = None
    idf: str | None = None
    baseline: float | None = None
    dtype: Literal["float32", "float16", "bfloat16", "float64"] = "float32"
    device: str = "auto"

    name = "bertscore"
    hidden = ("checkpoint", "device", "idf")
    from_files = ("idf",)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layer is None or self.layer >= 0, f"layer must be 0 or more, not {self.layer}")
        good = self.baseline is None or (math.isfinite(self.baseline) and self.baseline < 1)
        require(good, f"baseline must be below 1, not {self.baseline}")

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """Those of a cosine, rescaled."""
        return (self._rescaled(-1.0), 1.0)

    def _rescaled(self, value: float) -> float:
        return value if self.baseline is None else (value - self.baseline) / (1 - self.baseline)

    def faults(self, base: Path) -> Any:
        yield from super().faults(base)
        if self.idf is not None:
            try:
                _read(base / self.idf, self.idf)
            except UsageError as error:
                yield "idf", str(error)

    def identify(self, folder: Path, base: Path) -> tuple[dict[str, str], tuple[str, ...]]:
        if self.idf is None:
            return {"idf": "no"}, ()
        texts = _read(base / self.idf, self.idf)
        digest = sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
        return {"idf": digest[:16]}, texts

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        groups: list[list[tuple[str, str]] | None] = []
        for sample, response in zip(samples, responses, strict=True):
            texts, answer = golds(sample), answer_text(response)
            empty = response.status in FAILED_STATES or not answer.strip()
            groups.append(None if not texts else [] if empty else [(answer, text) for text in texts])
        pairs = tuple(dict.fromkeys(pair for group in groups for pair in group or ()))
        found = self._scores(pairs) if pairs else np.zeros((0, 3))
        place = {pair: index for index, pair in enumerate(pairs)}
        column = _PARTS.index(self.part)
        worst = self._rescaled(0.0)
        return [
            None
            if group is None
            else max((self._rescaled(float(found[place[pair], column])) for pair in group), default=worst)
            for group in groups
        ]

    def _scores(self, pairs: tuple[tuple[str, str], ...]) -> Array:
        network = self.network()
        layer = self._layer(network)
        return _scores(network.shown, self.bound.identity["checkpoint"], _Held(network), layer, self.bound.extra, pairs)

    def _layer(self, network: Network) -> int:
        n_layers = int(network.config.num_hidden_layers)
        if self.layer is not None and self.layer > n_layers:
            raise UsageError(
                f"bertscore: layer {self.layer} of the checkpoint {self.checkpoint!r}, which has {n_layers}"
            )
        return n_layers if self.layer is None else self.layer


class _Held:
    """A network as an argument that is the same only where it is the same object: what is cached is its."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def __hash__(self) -> int:
        return id(self.network.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.network.model is other.network.model


@lru_cache(maxsize=2)
def _scores(
    shown: str, digest: str, held: _Held, layer: int, texts: tuple[str, ...], pairs: tuple[tuple[str, str], ...]
) -> Array:
    """(n, 3) P, R and F1 of (answer, reference) pairs; remembered, since each part is a figure of its own."""
    network = held.network
    weights = _weights(network, texts) if texts else None
    # Pairs of like length together: fewer texts are padded, and fewer are read twice.
    order = sorted(range(len(pairs)), key=lambda place: len(pairs[place][0]) + len(pairs[place][1]))
    found = np.zeros((len(pairs), 3))
    for start in range(0, len(order), _SLICE):
        chosen = order[start : start + _SLICE]
        states = _states(network, [text.strip() for place in chosen for text in pairs[place]], layer, weights)
        for place in chosen:
            answer, reference = pairs[place]
            found[place] = _matched(states[answer.strip()], states[reference.strip()])
    found.setflags(write=False)
    return found


def _weights(network: Network, texts: Sequence[str]) -> Mapping[int, float]:
    """log((N+1)/(n_t+1)) of the tokens of N texts; of others log(N+1), under the key −1."""
    seen: Counter[int] = Counter()
    for item in encode(network, texts):
        seen.update(set(item.ids))
    total = len(texts) + 1
    return {-1: math.log(total)} | {token: math.log(total / (count + 1)) for token, count in seen.items()}


def _states(
    network: Network, texts: Sequence[str], layer: int, weights: Mapping[int, float] | None
) -> dict[str, tuple[Array, Array]]:
    """By text: (tokens, d) states of length 1, and (tokens,) weights."""
    distinct = list(dict.fromkeys(texts))
    special = {network.tokenizer.cls_token_id, network.tokenizer.sep_token_id} - {None}

    def run(tensors: dict[str, Any]) -> Any:
        return network.model(**tensors, output_hidden_states=True).hidden_states[layer]

    found: dict[str, tuple[Array, Array]] = {}
    for item, states in batches(network, encode(network, distinct), run):
        vectors = states[: len(item.ids)].double().cpu().numpy()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        weigh = [
            (0.0 if token in special else 1.0) if weights is None else weights.get(token, weights[-1])
            for token in item.ids
        ]
        empty = not set(item.ids) - special
        found[distinct[item.text]] = (
            np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0),
            np.zeros(len(item.ids)) if empty else np.array(weigh),
        )
    nothing = (np.zeros((0, 1)), np.zeros(0))
    return {text: found.get(text, nothing) for text in distinct}


def _matched(answer: tuple[Array, Array], reference: tuple[Array, Array]) -> tuple[float, float, float]:
    (ours, own), (theirs, other) = answer, reference
    if not own.sum() or not other.sum():
        return 0.0, 0.0, 0.0
    cosines = np.clip(ours @ theirs.T, -1.0, 1.0)
    precision = float(cosines.max(axis=1) @ own / own.sum())
    recall = float(cosines.max(axis=0) @ other / other.sum())
    both = precision + recall
    # Two cosines that cancel out have a harmonic mean without bound.
    return precision, recall, max(-1.0, 2 * precision * recall / both) if both > 0 else 0.0


def _read(path: Path, shown: str) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"idf: the file {shown!r} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    found = tuple(line for line in text.splitlines() if line.strip())
    if not found:
        raise UsageError(f"idf: the file {shown!r} holds no text; give one text a line")
    return found
