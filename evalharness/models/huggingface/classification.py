"""Label probabilities from a sequence classifier's logits, and the label that is answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.core.canonical import canonical_json
from evalharness.core.errors import UsageError

__all__ = ["Labels", "Verdict", "head_of"]

Head = Literal["softmax", "sigmoid", "multi_label", "regression"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The probability of each label, and the answer."""

    probabilities: dict[str, float]
    answer: str


@dataclass(frozen=True, slots=True)
class Labels:
    """How one classifier's logits are read.

    - `softmax`: several labels of which one is right; the likeliest is the answer, the first one of equals.
    - `sigmoid`: one logit for the second of two labels; it is the answer above `threshold`.
    - `regression`: one number trained by squared error on 0 and 1: the number itself, held within [0, 1], is the
      probability of the second label.
    - `multi_label`: a logit for each label, each right or not by itself. The answer is the canonical JSON list of
      the labels above `threshold`, in alphabetical order: `[]`, `["anger","joy"]`; the probabilities do not sum to 1.
    """

    head: Head
    names: tuple[str, ...]
    threshold: float = 0.5

    def read(self, logits: Sequence[float]) -> Verdict:
        """The verdict on one text; `logits` are float64 numbers, one for each output of the model."""
        if self.head == "softmax":
            probabilities = _softmax(logits)
            best = max(range(len(probabilities)), key=lambda index: probabilities[index])
            return Verdict(dict(zip(self.names, probabilities, strict=True)), self.names[best])
        if self.head == "multi_label":
            single = dict(zip(self.names, map(_sigmoid, logits), strict=True))
            given = sorted(name for name, probability in single.items() if probability > self.threshold)
            return Verdict(single, canonical_json(given))
        (value,) = logits
        positive = min(max(value, 0.0), 1.0) if self.head == "regression" else _sigmoid(value)
        low, high = self.names
        return Verdict({low: 1.0 - positive, high: positive}, high if positive > self.threshold else low)


def _softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    weights = [math.exp(value - top) for value in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _sigmoid(value: float) -> float:
    # Either form alone overflows on one side.
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))


def head_of(config: Any, *, labels: tuple[str, ...] | None, threshold: float, shown: str) -> Labels:
    """How the logits of a checkpoint with the settings `config` are read, `labels` in place of its own names.

    `problem_type` decides, as in transformers' pipeline; without one, one logit is a sigmoid and several a softmax.
    The two labels of a single logit are `labels`, or "not NAME" and NAME where the checkpoint names its one label,
    else "0" and "1".

    Raises:
        UsageError: `labels` has another length, or names twice the same.
    """
    n_logits = int(config.num_labels)
    problem_type = config.problem_type
    head: Head
    if problem_type == "multi_label_classification":
        head = "multi_label"
    elif n_logits == 1:
        head = "regression" if problem_type == "regression" else "sigmoid"
    elif problem_type == "regression":
        raise UsageError(f"model {shown!r} predicts {n_logits} numbers, not labels: hf-classifier cannot use it")
    else:
        head = "softmax"
    own = tuple(str(config.id2label[index]) for index in range(n_logits))
    expected = 2 if head in ("sigmoid", "regression") else n_logits
    if labels is None:
        names = own if expected == n_logits else _pair(own[0])
    elif len(labels) != expected:
        raise UsageError(f"model {shown!r} has {expected} labels ({', '.join(own)}); `labels` names {len(labels)}")
    else:
        names = labels
    if len(set(names)) != len(names):
        raise UsageError(f"model {shown!r}: labels must differ from one another; given: {', '.join(names)}")
    return Labels(head, names, threshold)


def _pair(name: str) -> tuple[str, str]:
    return ("0", "1") if name == "LABEL_0" else (f"not {name}", name)
