"""Label sets: which label an answer is, and how a metric gets the set of its task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Metric
from evalharness.core.registry import suggestion
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import NDArray, np

from .base import BOOTSTRAP, LABELLED_KINDS, NEEDS_TARGET, BaseMetric, check_batch, distinct, require

__all__ = ["LabelledMetric", "choose_positive", "class_columns", "label_list", "label_of", "single_labels"]

_POSITIVE_NAMES = frozenset({"positive", "pos", "true", "yes", "1"})


def label_of(response: Response) -> str | None:
    """The label that a response gives; None where nothing could be read.

    A text from which no answer was looked for is its own label, stripped.
    """
    if response.answer is not None:
        return response.answer
    return response.text.strip() if response.text is not None and response.status == "ok" else None


def label_list(text: str) -> tuple[str, ...] | None:
    """The labels of a multi-label gold or answer, a JSON list of texts such as `["anger","joy"]`; None for others."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return tuple(sorted(set(found))) if all(isinstance(label, str) for label in found) else None


def single_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The label set behind `labels`: where all of them are lists (multi-label golds), what stands in the lists."""
    lists = [label_list(label) for label in labels]
    if not lists or None in lists:
        return tuple(labels)
    return tuple(sorted({label for found in lists for label in found or ()}))


def choose_positive(labels: tuple[str, ...], positive: str | None, *, metric: str) -> str:
    """The positive label: `positive`, else the one of two labels that is called positive, pos, true, yes or 1.

    Raises:
        UsageError: where `positive` is none of the labels, or none is given and no name decides.
    """
    if positive is not None:
        if positive not in labels:
            raise UsageError(
                f"{metric}: the positive label {positive!r} is none of the task's labels "
                f"({', '.join(map(repr, labels[:10]))}){suggestion(positive, labels)}"
            )
        return positive
    named = [label for label in labels if label.casefold() in _POSITIVE_NAMES]
    if len(labels) == 2 and len(named) == 1:
        return named[0]
    raise UsageError(
        f"{metric}: which label is the positive one? Labels: {', '.join(map(repr, labels[:10]))}; "
        f"say it: {{{metric}: {{positive: {labels[-1] if labels else '…'}}}}}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledMetric(BaseMetric):
    """A metric over a label set, which is its option `labels` or else the task's.

    An answer that is none of the labels, or could not be read, counts as wrong and as no class of its own. So does
    a gold label outside the set. A sample without a gold label is not measured.
    """

    labels: tuple[str, ...] = ()

    kinds = LABELLED_KINDS
    needs = NEEDS_TARGET
    interval = BOOTSTRAP

    def __post_init__(self) -> None:
        require(not isinstance(self.labels, str), f"labels must be a list of names, not the text {self.labels!r}")
        require(distinct(self.labels), f"labels must be distinct; got {', '.join(map(repr, self.labels))}")

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        return self if self.labels else dataclasses.replace(self, labels=tuple(labels))

    def known_labels(self) -> tuple[str, ...]:
        """The label set.

        Raises:
            UsageError: if neither the option nor the task gave one.
        """
        if not self.labels:
            raise UsageError(
                f"{self.name} needs the label set: give the task `labels: [...]`, or call for_task(labels) first"
            )
        return self.labels

    def codes(
        self, samples: Sequence[Sample], responses: Sequence[Response]
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
        """(measured, gold, answer), each (n,): label numbers, K for anything that is none of the K labels."""
        check_batch(samples, responses)
        labels = self.known_labels()
        number = {label: i for i, label in enumerate(labels)}
        k = len(labels)
        measured = np.array([s.target is not None for s in samples], dtype=np.bool_)
        gold = np.array([k if s.target is None else number.get(s.target, k) for s in samples], dtype=np.intp)
        said = [label_of(r) for r in responses]
        answer = np.array([k if label is None else number.get(label, k) for label in said], dtype=np.intp)
        return measured, gold, answer

    def class_counts(
        self, samples: Sequence[Sample], responses: Sequence[Response], numbers: Sequence[int]
    ) -> NDArray[np.float64]:
        """(n, 1 + 3·c) rows: n, then gold, answered and both (true positives) for each of the class `numbers`."""
        check_batch(samples, responses)
        column = {self.known_labels()[number]: i for i, number in enumerate(numbers)}
        every = set(self.known_labels())
        is_gold, is_answer = (np.zeros((len(samples), len(column)), dtype=np.bool_) for _ in range(2))
        measured = np.zeros((len(samples), 1), dtype=np.bool_)
        for row, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            if sample.target is None:
                continue
            measured[row] = True
            said = label_of(response)
            # Only a gold list makes a list of an answer: elsewhere such a text is just no label.
            several = None if sample.target in every else label_list(sample.target)
            gold = (sample.target,) if several is None else several
            answer = () if said is None else (said,) if several is None else label_list(said) or ()
            is_gold[row, [column[label] for label in gold if label in column]] = True
            is_answer[row, [column[label] for label in answer if label in column]] = True
        parts = [measured, is_gold, is_answer, is_gold & is_answer]
        return np.concatenate(parts, axis=1).astype(np.float64)


def class_columns(labels: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns of `LabelledMetric.class_counts`."""
    return ("n", *(f"{part}:{label}" for part in ("gold", "answered", "correct") for label in labels))
