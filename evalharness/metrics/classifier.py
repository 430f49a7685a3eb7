"""What sequence classifiers say of texts: the probability of one label, over windows of texts that are long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalharness.core.protocols import Array
from evalharness.stats.arrays import np

from .network import Network, batches, encode

__all__ = ["label_probabilities"]


def label_probabilities(
    network: Network, texts: Sequence[str], label: int, *, seconds: Sequence[str] | None = None
) -> Array:
    """(n,) the probability of the output `label` for each text, or pair with `seconds`; the highest of its windows.

    Read as transformers' pipeline reads it: a sigmoid for one output or several labels at once, else a softmax; a
    regression's number is held within [0, 1]. A text without any token has probability 0.
    """
    config = network.config
    alone = int(config.num_labels) == 1
    several = config.problem_type == "multi_label_classification"

    def run(tensors: dict[str, Any]) -> Any:
        logits = network.model(**tensors).logits.double()
        if alone and config.problem_type == "regression":
            return logits[:, 0].clamp(0.0, 1.0).cpu()
        found = logits.sigmoid() if alone or several else logits.softmax(dim=1)
        return found[:, label].cpu()

    found: Array = np.zeros(len(texts))
    for item, probability in batches(network, encode(network, texts, seconds, windows=True), run):
        found[item.text] = max(found[item.text], float(probability))
    return found
