"""What the built-in metrics share: defaults of the protocol, the signature, checks, and the shape of a mean.

A metric is a frozen dataclass whose fields are its options. The first column of every built-in metric is `n`: 1 for a
sample that was measured and 0 for one that carries nothing to measure, whose row is all zeros.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array, IntervalKind, Metric, Need
from evalharness.core.types import FAILED_STATES, Kind, Response, Sample
from evalharness.stats.arrays import Bools, np

__all__ = [
    "BOOTSTRAP",
    "LABELLED_KINDS",
    "NEEDS_NOTHING",
    "NEEDS_REFERENCES",
    "NEEDS_TARGET",
    "ORIGINALS",
    "PROPORTION",
    "TEXT_KINDS",
    "BaseMetric",
    "MeanMetric",
    "MetricOptionError",
    "RepeatsMetric",
    "RowsMetric",
    "answer_as_it_came",
    "answer_text",
    "check_batch",
    "distinct",
    "golds",
    "measured_pairs",
    "nothing_read",
    "package_version",
    "ratio",
    "require",
    "with_originals",
]

ORIGINALS = "original"
"""The column of a metric of pairs that is 1 in the rows that the others are compared with: every group has them."""
# Typed here, because an annotation in a dataclass would make an option of it.
PROPORTION: IntervalKind = "proportion"
BOOTSTRAP: IntervalKind = "bootstrap"
NEEDS_NOTHING: frozenset[Need] = frozenset()
NEEDS_REFERENCES: frozenset[Need] = frozenset({"references"})
NEEDS_TARGET: frozenset[Need] = frozenset({"target"})
TEXT_KINDS: frozenset[Kind] = frozenset({"generate"})
LABELLED_KINDS: frozenset[Kind] = frozenset({"generate", "loglikelihood", "classify"})


class MetricOptionError(UsageError, ValueError):
    """An option of a metric is wrong; also a `ValueError`, so that pydantic reports it at its place in the suite."""


@runtime_checkable
class RowsMetric(Protocol):
    """The escape hatch: a metric whose figure does not follow from totals (medians, quantiles, AUC).

    Its `finalize` is NaN for totals of more than one sample.
    """

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The figure of the rows `stats` (n, k) for each row of frequency weights (..., n) -> (...); None is all 1."""
        ...


@runtime_checkable
class RepeatsMetric(Protocol):
    """A metric that sees all answers to a sample together, and gives one row for them: pass@k, agreement.

    Other metrics give a row for each answer, and the scorer takes the mean. Its `sample_stats` is `repeat_stats` of
    groups of one. `least_repeats` is how many answers it takes for a figure.
    """

    @property
    def least_repeats(self) -> int:
        """The fewest answers to a sample that it can measure."""
        ...

    def repeat_stats(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Array:
        """(n, k) statistics, one row a sample, from all answers to it in the order of the repeats."""
        ...


class BaseMetric:
    """Defaults of the `Metric` protocol.

    `counts_states` says that the metric measures the states of responses and must see the failed ones too.
    `counts_measured` says that the n of a figure counts the samples with something to measure, and not those without.
    `reads_more` says that answers and references, or labels, are not enough: other fields of the rows, or how answers
    ended, are read as well.
    `agrees_with` names the package whose figures the metric equals; its version is part of the signature.
    """

    __slots__ = ()
    # Read by pydantic where a suite's options are validated: an unknown option is an error.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    name = ""
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    kinds: frozenset[Kind] = TEXT_KINDS
    needs: frozenset[Need] = NEEDS_REFERENCES
    interval: IntervalKind = "mean"
    scores_blank = True
    counts_states = False
    counts_measured = True
    reads_more = False
    agrees_with = ""

    @property
    def columns(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def signature(self) -> str:
        parts = [self.name, *(f"{key}:{_shown(value)}" for key, value in self.options().items())]
        if self.agrees_with:
            parts.append(f"{self.agrees_with}:{package_version(self.agrees_with)}")
        return "|".join([*parts, f"version:{self.version}"])

    def options(self) -> dict[str, Any]:
        """The options with their values, in the order of their declaration."""
        if not dataclasses.is_dataclass(self):
            return {}
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        return self

    def faults(self, base: Path) -> Iterable[tuple[str, str]]:
        """(option, message with the remedy) of what the metric needs and does not find: a package, a file from `base`.

        Asked when a suite is checked, before anything is sent; nothing large is loaded.
        """
        return ()

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        raise NotImplementedError

    def finalize(self, totals: Array) -> Array:
        raise NotImplementedError


class MeanMetric(BaseMetric):
    """A mean over samples: columns `n` and the sum of the samples' values."""

    __slots__ = ()

    total = "sum"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", self.total)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        values = self.values(samples, responses)
        known = np.array([v is not None for v in values], dtype=np.float64)
        return np.stack([known, np.array([0.0 if v is None else v for v in values], dtype=np.float64)], axis=1)

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Sequence[float | None]:
        """The value of each sample; None where there is nothing to measure."""
        raise NotImplementedError

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])


def ratio(numerator: Array, denominator: Array, *, empty: float = math.nan) -> Array:
    """The quotient numerator / denominator, and `empty` where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    defined = denominator != 0
    result: Array = np.divide(numerator, denominator, out=np.full(numerator.shape, empty), where=defined)
    return result


def check_batch(samples: Sequence[Sample], responses: Sequence[Response]) -> None:
    """Raise unless there is exactly one response a sample, in order."""
    for name, batch, kind in (("samples", samples, Sample), ("responses", responses, Response)):
        if isinstance(batch, str | bytes) or not isinstance(batch, Sequence):
            raise TypeError(f"{name} must be a sequence of {kind.__name__}s, not {type(batch).__name__}")
        for index, item in enumerate(batch):
            if not isinstance(item, kind):
                raise TypeError(f"{name}[{index}] must be a {kind.__name__}, not {type(item).__name__}")
    if len(samples) != len(responses):
        raise ValueError(f"{len(samples)} samples but {len(responses)} responses; give one response a sample")


def measured_pairs(metric: object, current: Array, baseline: Array) -> Bools | None:
    """(n,) the pairs in which either run has something to measure; None where all count, whatever stands in them.

    A text without an identity term has no share of it: as a pair it would add to n, and to the degrees of freedom, and
    say nothing.
    """
    if not getattr(metric, "counts_measured", False):
        return None
    spoken = (np.asarray(current)[:, 0] > 0) | (np.asarray(baseline)[:, 0] > 0)
    return None if spoken.all() else spoken


def with_originals(members: Bools, columns: Sequence[str], rows: Array) -> Bools:
    """(n,) the rows of a group, `members`, and those that it cannot do without: of pairs the other half."""
    if ORIGINALS not in columns:
        return members
    found: Bools = members | (np.asarray(rows)[:, list(columns).index(ORIGINALS)] > 0)
    return found


def answer_text(response: Response) -> str:
    """What a response is scored on: its answer; "" where nothing could be read or no answer came.

    The text itself stands in for an answer that was never looked for.
    """
    if response.answer is not None:
        return response.answer
    return (response.text or "") if response.status == "ok" else ""


def answer_as_it_came(response: Response) -> str:
    """The answer with the white space at its ends, where it is the whole text and nothing was read out of that."""
    answer, text = answer_text(response), response.text or ""
    return text if answer == text.strip() else answer


def nothing_read(response: Response) -> bool:
    """Whether no answer came, or none could be read: then even an empty reference is not met."""
    return response.status in FAILED_STATES or (response.status == "unparsed" and response.answer is None)


def golds(sample: Sample) -> tuple[str, ...]:
    """The references of a sample.

    Raises:
        TypeError: where they are one str: each character would be a reference.
    """
    if isinstance(sample.references, str):
        raise TypeError(f"sample {sample.id!r}: references must be a tuple of texts, not a str")
    return sample.references


def package_version(package: str) -> str:
    """The installed version of a package, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not-installed"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def require(condition: bool, message: str) -> None:
    """Raise a `MetricOptionError` with `message` unless `condition` holds."""
    if not condition:
        raise MetricOptionError(message)


def distinct(items: Iterable[str]) -> bool:
    """Whether no item stands twice."""
    seen = list(items)
    return len(set(seen)) == len(seen)
